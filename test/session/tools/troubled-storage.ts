import { type Claim, MemoryStorage, type SessionKey } from "../../../src/index.js";
import { deferred } from "../store-dir.js";

export type StorageStep = "read" | "update" | "claim" | "delete";

type UpdateArgs = Parameters<MemoryStorage["update"]>;

/** A write that has been begun and is not done until it is let go. */
export interface HeldWrite {
  /** Resolves when the write has come. */
  reached: Promise<void>;
  release(): void;
}

interface Hold {
  isMeant(key: SessionKey): Promise<boolean>;
  reached(): void;
  released: Promise<void>;
}

interface Fault {
  step: StorageStep;
  isMeant(key: SessionKey, claim: Claim | undefined): boolean;
}

/** A storage in memory that holds back a write, or fails a step, where the test says so. */
export class TroubledStorage extends MemoryStorage {
  /** How many steps there have been. */
  steps = 0;
  /** The step that fails, counted from 1. */
  failingStep: number | undefined;
  /** What failed last. */
  failed: string | undefined;
  readonly #holds: Hold[] = [];
  #faults: Fault[] = [];

  /** Holds back the write that makes the next sub-agent of which `isMeant` tells, by how many were made before. */
  holdNewSubagent(isMeant: (madeBefore: number) => boolean = () => true): HeldWrite {
    const reached = deferred();
    const released = deferred();
    let made = 0;
    this.#holds.push({
      isMeant: async (key) => {
        if (!key.includes(":subagent:") || (await super.read(key)) !== undefined) return false;
        made += 1;
        return isMeant(made - 1);
      },
      reached: () => reached.resolve(),
      released: released.promise,
    });
    return { reached: reached.promise, release: () => released.resolve() };
  }

  /** Lets the next step of that kind fail, once for each call of this. */
  failNext(step: StorageStep, isMeant: Fault["isMeant"]): void {
    this.#faults.push({ step, isMeant });
  }

  override async read(key: SessionKey) {
    this.#take("read", key);
    return super.read(key);
  }

  override async update(...args: UpdateArgs) {
    const [key, , options] = args;
    this.#take("update", key, options?.claim);
    for (const [at, hold] of this.#holds.entries()) {
      if (!(await hold.isMeant(key))) continue;
      this.#holds.splice(at, 1);
      hold.reached();
      await hold.released;
      break;
    }
    return super.update(...args);
  }

  override async claim(...args: Parameters<MemoryStorage["claim"]>) {
    this.#take("claim", args[0]);
    return super.claim(...args);
  }

  override async delete(key: SessionKey) {
    this.#take("delete", key);
    return super.delete(key);
  }

  #take(step: StorageStep, key: SessionKey, claim?: Claim): void {
    this.steps += 1;
    const fault = this.#faults.find((one) => one.step === step && one.isMeant(key, claim));
    if (fault === undefined && this.steps !== this.failingStep) return;
    this.#faults = this.#faults.filter((one) => one !== fault);
    this.failed = `${step} of ${key}`;
    throw new Error("EIO");
  }
}

/** Lets everything go on that waits for no time: in memory, all there is to do. */
export async function pause(): Promise<void> {
  for (let round = 0; round < 50; round += 1) await new Promise(setImmediate);
}
