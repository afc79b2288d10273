import { isSessionError } from "../../errors.js";
import type { Claim, SessionStorage } from "../../storage/storage.js";
import { builders } from "../builders.js";
import { beBusy } from "./lives.js";
import { type Numbered, type Order, STARTED_BY_CONTRACT, type Value, type Word } from "./orders.js";
import { append, contents, countOf, dm, everything, increment, present, say } from "./sessions.js";
import type { MakeStorage } from "./storage-check.js";

/**
 * To be called by the module that `storageContract` gets as `module`: when the contract has started the module as a process
 * of its own, the process does what it is told with the storages of `makeStorage`, and ends with the process that started it.
 * Otherwise it does nothing, so the same module can be imported for its `makeStorage`.
 */
export function serveContract(makeStorage: MakeStorage): void {
  if (process.argv[2] !== STARTED_BY_CONTRACT || process.send === undefined) return;
  const worker = new Worker(makeStorage);
  process.on("disconnect", () => process.exit());
  process.on("message", (message) => {
    const { number, order } = message as Numbered;
    worker.obey(order).then(
      (value) => tell({ answers: number, value }),
      (error: unknown) => tell({ answers: number, error: described(error) }),
    );
  });
  tell({ ready: true });
}

function tell(word: Word): void {
  process.send?.(word);
}

function described(error: unknown) {
  const { name, message } = error instanceof Error ? error : new Error(String(error));
  return { name, message, code: isSessionError(error) ? error.code : undefined };
}

/** A storage in a process of its own, and the claims it holds. */
class Worker {
  readonly #make: MakeStorage;
  readonly #claims = new Map<string, Claim>();
  #storage: SessionStorage | undefined;

  constructor(make: MakeStorage) {
    this.#make = make;
  }

  async obey(order: Order): Promise<Value> {
    if (order.do === "open") {
      this.#storage = await this.#make(order.place);
      return true;
    }
    const storage = present(this.#storage, "a storage that was opened");
    switch (order.do) {
      case "increment": {
        const key = dm(order.peer);
        await Promise.all(Array.from({ length: order.times }, () => storage.update(key, increment(key))));
        return countOf(await storage.read(key));
      }
      case "say":
        return (await say(storage, dm(order.peer), ...order.texts)).messageCount;
      case "pour":
        return this.#pour(storage, order.peer);
      case "contents": {
        const record = await storage.read(dm(order.peer));
        return record === undefined ? null : contents(await everything(storage, record.uuid));
      }
      case "count":
        return countOf(await storage.read(dm(order.peer)));
      case "delete":
        return storage.delete(dm(order.peer));
      case "claim":
        this.#claims.set(order.peer, await storage.claim(dm(order.peer)));
        return true;
      case "release":
        await this.#held(order.peer).release();
        return true;
      case "say-with-claim": {
        const claim = this.#held(order.peer);
        return (await append(storage, dm(order.peer), [builders().user(order.text)], { claim })).messageCount;
      }
      case "be-busy":
        tell({ progress: 0 });
        beBusy(order.milliseconds);
        return this.#claims.size;
      case "ping":
        return true;
      case "close":
        await storage.close();
        return true;
    }
  }

  async #pour(storage: SessionStorage, peer: string): Promise<never> {
    const b = builders();
    for (let n = 0; ; n += 1) {
      await append(storage, dm(peer), [b.user(`${n}`), b.assistant(`${n}`)]);
      tell({ progress: n + 1 });
    }
  }

  #held(peer: string): Claim {
    return present(this.#claims.get(peer), "a claim that was granted");
  }
}
