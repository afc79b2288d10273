import { cpSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Durability } from "../../../../src/index.js";
import { BadDay, soon } from "./bad-day.js";
import type { Call, FailingDisk, Fault } from "./failing-disk.js";
import { canFail } from "./failures.js";
import type { Known, Workload } from "./workloads.js";

/** A workload on a store of its own, to be done any number of times. */
export class Trial {
  readonly workload: Workload;
  readonly #disk: FailingDisk;
  readonly #home = mkdtempSync(join(tmpdir(), "sessions-bad-days-"));
  #known: Known = new Map();
  #runs = 0;

  private constructor(workload: Workload, disk: FailingDisk) {
    this.workload = workload;
    this.#disk = disk;
  }

  static async prepare(workload: Workload, disk: FailingDisk): Promise<Trial> {
    const trial = new Trial(workload, disk);
    mkdirSync(join(trial.#home, "store"));
    trial.#known = await workload.prepare(join(trial.#home, "store"));
    return trial;
  }

  remove(): void {
    rmSync(this.#home, { recursive: true, force: true });
  }

  /** The calls that the workload makes when nothing fails. */
  async calls(durability: Durability): Promise<Call[]> {
    const { calls, errors } = await this.run(durability);
    if (errors.length > 0) throw errors[0];
    return calls;
  }

  /** Does the workload with a fault and checks everything that must be true afterwards. */
  async run(durability: Durability, fault?: Fault): Promise<{ calls: Call[]; errors: unknown[]; failed: number }> {
    this.#runs += 1;
    const dir = join(this.#home, `${this.#runs}`);
    cpSync(join(this.#home, "store"), dir, { recursive: true, errorOnExist: false, force: true });
    const unhandled: unknown[] = [];
    const onUnhandled = (error: unknown) => void unhandled.push(error);
    process.on("unhandledRejection", onUnhandled);
    const day = new BadDay(dir, { durability });
    for (const [key, ids] of this.#known) day.knows(key, ids);
    try {
      this.#disk.start(dir, fault);
      try {
        await this.workload.run(day, this.#disk);
      } finally {
        this.#disk.stop();
      }
      const { calls, failed } = this.#disk;
      await day.recover();
      await day.expectKept();
      await new Promise((resolve) => setImmediate(resolve));
      if (unhandled.length > 0) throw unhandled[0];
      return { calls, errors: day.errors, failed };
    } catch (error) {
      const call = this.#disk.calls[fault?.at ?? -1];
      const what =
        fault && `${fault.code}${fault.lasting ? " from then on" : ""} at ${fault.at}, ${call?.kind} ${call?.path}`;
      throw new Error(`${this.workload.name}, ${durability}, ${what ?? "no fault"}`, { cause: error });
    } finally {
      process.off("unhandledRejection", onUnhandled);
      await soon(day.storage.close()).catch(() => "told already");
      rmSync(dir, { recursive: true, force: true });
    }
  }
}

/** The faults that can happen to one of these calls. */
export function* faultsOf(calls: readonly Call[], codes: readonly Fault["code"][], lasting: boolean): Generator<Fault> {
  for (const [at, { kind }] of calls.entries()) {
    for (const code of codes) if (canFail({ kind, flags: "w" }, code)) yield { at, code, lasting };
  }
}
