import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { type Numbered, type Order, STARTED_BY_CONTRACT, type Value, type Word } from "./orders.js";
import { heldBack, within } from "./within.js";

interface Asked {
  resolve(value: Value): void;
  reject(error: Error): void;
}

/** A process of its own with a storage in it that does what it is told. */
export class StorageProcess {
  readonly #child: ChildProcess;
  readonly #timeout: number;
  readonly #asked = new Map<number, Asked>();
  readonly #ready: Promise<void>;
  #numbers = 0;
  #progress = 0;
  #onProgress: (() => void) | undefined;
  #complaints = "";

  constructor(module: string | URL, options: { execArgv?: readonly string[] | undefined; timeout: number }) {
    this.#timeout = options.timeout;
    const path = typeof module === "string" && !module.startsWith("file:") ? module : fileURLToPath(module);
    this.#child = fork(path, [STARTED_BY_CONTRACT], {
      stdio: ["ignore", "ignore", "pipe", "ipc"],
      ...(options.execArgv === undefined ? {} : { execArgv: [...options.execArgv] }),
    });
    this.#child.stderr?.on("data", (data: Buffer) => {
      this.#complaints = `${this.#complaints}${data}`.slice(-4000);
    });
    this.#ready = heldBack(
      new Promise((resolve, reject) => {
        this.#child.on("message", (message) => {
          if ("ready" in (message as Word)) resolve();
          else this.#hear(message as Word);
        });
        this.#child.once("error", reject);
        this.#child.once("close", () => {
          const ended = new Error(`The process of ${path} has ended before it answered. ${this.#complaints}`.trim());
          reject(ended);
          for (const { reject: fail } of this.#asked.values()) fail(ended);
        });
      }),
    );
  }

  /** Waits until the module can be told something, and has it open a storage. */
  async open(place: string): Promise<void> {
    const ready = "The start of the module, which must call serveContract(makeStorage),";
    await within(this.#ready, ready, Math.max(this.#timeout, 10_000));
    await this.ask({ do: "open", place });
  }

  /** Gives an order, and waits for what comes of it. */
  ask(order: Order): Promise<Value> {
    return within(this.askPatiently(order), `${order.do} in another process`, this.#timeout);
  }

  /** Gives an order that may take as long as it likes. */
  askPatiently(order: Order): Promise<Value> {
    const number = ++this.#numbers;
    const answer = new Promise<Value>((resolve, reject) => this.#asked.set(number, { resolve, reject }));
    const numbered: Numbered = { number, order };
    this.#child.send(numbered, (error) => {
      if (error !== null) this.#asked.get(number)?.reject(error);
    });
    return heldBack(answer);
  }

  /** Waits until the process has told so many times how far it is; gives how often it has. */
  async progressed(times: number): Promise<number> {
    const reached = new Promise<void>((resolve) => {
      this.#onProgress = () => {
        if (this.#progress >= times) resolve();
      };
      this.#onProgress();
    });
    await within(reached, "progress in another process", this.#timeout);
    return this.#progress;
  }

  /** How often the process has told how far it is. */
  get progress(): number {
    return this.#progress;
  }

  /** Ends the process as a power cut of its own would: it gets no chance to do anything. */
  async kill(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await ended;
  }

  #hear(word: Word): void {
    if ("progress" in word) {
      this.#progress += 1;
      this.#onProgress?.();
    } else if ("answers" in word) {
      const asked = this.#asked.get(word.answers);
      this.#asked.delete(word.answers);
      if ("value" in word) asked?.resolve(word.value);
      else asked?.reject(Object.assign(new Error(`${word.error.name}: ${word.error.message}`), word.error));
    }
  }
}
