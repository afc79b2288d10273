import type { SessionKey } from "../../core/key.js";
import type { Claim } from "../../storage/storage.js";
import { codeOf } from "../error-code.js";
import { takeIn } from "../intake.js";
import type { TurnOutcome } from "../outcome.js";
import type { Arrival, ReplyTo, Shell } from "../shell.js";
import { afterSeconds } from "../until-aborted.js";
import { startRun } from "./cause-run.js";
import { reportOf, shortReply } from "./run-report.js";
import type { LiveRun } from "./runs.js";
import { type Announcement, endSubagent, type SubagentResult, type SubagentTask } from "./subagent-end.js";

/** A sub-agent that has been made, and how it is to be run. */
export interface SpawnedSubagent extends SubagentTask {
  cleanup: "delete" | undefined;
  /** 0: no limit. */
  timeoutSeconds: number;
  /** Where its parent's answer to its result goes. */
  replyTo: ReplyTo | undefined;
  claim: Claim;
  /** Its task. */
  arrival: Arrival;
}

/** A sub-agent from its acceptance to its end, of which there is one. */
export class SubagentRun implements LiveRun {
  readonly ended: Promise<SubagentResult>;
  readonly settled: Promise<TurnOutcome | undefined>;
  state: "pending" | "running" | "ended" = "pending";
  claim: Claim | undefined;
  readonly #shell: Shell;
  readonly #spawned: SpawnedSubagent;
  readonly #stop = new AbortController();
  #why: "killed" | "timed_out" | undefined;
  #limit: AbortSignal | undefined;
  #isWorking = false;
  #hasSlot = false;
  #waits = 0;

  constructor(shell: Shell, spawned: SpawnedSubagent) {
    this.#shell = shell;
    this.#spawned = spawned;
    this.claim = spawned.claim;
    const end = this.#end();
    this.ended = end.then(({ result }) => result);
    this.settled = end.then(({ announcement }) => this.#answer(announcement));
    // Whoever waits for neither must not end the process.
    void Promise.allSettled([this.ended, this.settled]);
  }

  get key(): SessionKey {
    return this.#spawned.key;
  }

  get parent(): SessionKey {
    return this.#spawned.parent.key;
  }

  get run(): string {
    return this.#spawned.run;
  }

  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  stop(why: "killed" | "timed_out"): void {
    this.#why ??= why;
    this.#shell.runs.stopChildren(this.key);
    this.#stop.abort();
  }

  async whileWaiting<T>(work: Promise<T>): Promise<T> {
    this.#waits += 1;
    this.#freeSlot();
    try {
      return await work;
    } finally {
      this.#waits -= 1;
      await this.#takeSlotAgain();
    }
  }

  async #takeSlotAgain(): Promise<void> {
    const { slots } = this.#shell.runs;
    // A tool may outlive the turn that has called it, and nobody would give its place back.
    const isDue = () => this.#isWorking && this.#waits === 0 && !this.#hasSlot;
    if (!isDue() || !(await slots.take(this.#stop.signal))) return;
    if (isDue()) this.#hasSlot = true;
    else slots.free();
  }

  async #end(): Promise<{ result: SubagentResult; announcement?: Announcement }> {
    const result = await this.#work();
    try {
      return await endSubagent(this.#shell, this.#spawned, result);
    } catch (error) {
      // It stays among those that live, and is found orphaned later.
      const { key, run } = this;
      this.#shell.logger.error({ key, run, code: codeOf(error) }, "the end of a sub-agent could not be stored");
      throw error;
    } finally {
      this.state = "ended";
      await this.#leave();
    }
  }

  async #work(): Promise<SubagentResult> {
    try {
      let last = await this.#task();
      for (;;) {
        if (last.status === "aborted") this.#shell.runs.stopChildren(this.key);
        const children = this.#shell.runs.childrenOf(this.key);
        if (children.length === 0) return this.#resultOf(last);
        // What it has started is part of its task: its last words are those after the last of them has been told.
        for (const answer of await Promise.allSettled(children.map(({ settled }) => settled)))
          if (answer.status === "fulfilled" && answer.value?.status === "replied") last = answer.value;
      }
    } catch (error) {
      const children = this.#shell.runs.stopChildren(this.key);
      await Promise.allSettled(children.map(({ settled }) => settled));
      return this.#why === undefined ? { status: "failed", code: codeOf(error) } : { status: this.#why };
    }
  }

  #task(): Promise<TurnOutcome> {
    const { arrival, timeoutSeconds } = this.#spawned;
    const { queue, runs } = this.#shell;
    return queue.run(this.key, true, async (slot) => {
      // One that is stopped while it waits is noted down as such, without the model being called.
      this.#hasSlot = await runs.slots.take(AbortSignal.any([slot.signal, this.#stop.signal]));
      this.#isWorking = this.#hasSlot;
      if (this.#hasSlot) this.state = "running";
      if (timeoutSeconds > 0) {
        this.#limit = afterSeconds(timeoutSeconds);
        this.#limit.addEventListener("abort", () => this.stop("timed_out"), { once: true });
      }
      try {
        return await takeIn(this.#shell, { ...arrival, signal: this.signal }, slot);
      } finally {
        this.#isWorking = false;
        this.#freeSlot();
      }
    });
  }

  #resultOf(outcome: TurnOutcome): SubagentResult {
    if (this.#why !== undefined || outcome.status === "aborted") return { status: this.#why ?? "killed" };
    const report = reportOf(outcome);
    if (report.status === "error") return { status: "failed", code: report.code };
    const { reply } = shortReply(report);
    return { status: "completed", ...(reply === undefined ? {} : { text: reply }) };
  }

  // Its parent may be a sub-agent itself, and stopped while it deals with this.
  async #answer(announcement: Announcement | undefined): Promise<TurnOutcome | undefined> {
    if (announcement === undefined) return undefined;
    const { runs, logger } = this.#shell;
    const { replyTo, parent } = this.#spawned;
    const { key } = parent;
    try {
      return await startRun(this.#shell, { key, entry: announcement, replyTo, signal: runs.live(key)?.signal });
    } catch (error) {
      // It waits in the parent's transcript until someone takes it up; one that was begun has its end there.
      logger.debug({ key, code: codeOf(error) }, "the result of a sub-agent was not answered");
      return undefined;
    }
  }

  #freeSlot(): void {
    if (this.#hasSlot) this.#shell.runs.slots.free();
    this.#hasSlot = false;
  }

  // Behind the turns that others have asked of it: they run under the claim it holds.
  async #leave(): Promise<void> {
    const { queue, ledger, logger } = this.#shell;
    const { claim, key } = this;
    const leave = async () => {
      this.claim = undefined;
      await claim?.release();
      if (this.#spawned.cleanup === "delete") await ledger.storage.delete(key);
    };
    try {
      await (queue.closing.aborted ? leave() : queue.run(key, false, leave));
    } catch (error) {
      logger.warn({ key, code: codeOf(error) }, "what a sub-agent has left behind could not be put away");
    }
  }
}
