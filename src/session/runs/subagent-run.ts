import type { SessionKey } from "../../core/key.js";
import type { Claim } from "../../storage/storage.js";
import { anySignal } from "../any-signal.js";
import { codeOf } from "../error-code.js";
import { takeIn } from "../intake.js";
import { letGo } from "../let-go.js";
import type { TurnOutcome } from "../outcome.js";
import type { Arrival, ReplyTo, Shell } from "../shell.js";
import { startRun } from "./cause-run.js";
import { deleteSubagent } from "./delete-subagent.js";
import { reportOf, shortReply } from "./run-report.js";
import type { LiveRun } from "./runs.js";
import { type Announcement, endIds, endSubagent, type SubagentResult, type SubagentTask } from "./subagent-end.js";
import { WorkPlace } from "./work-place.js";

/** A sub-agent, and how it is to be run. */
export interface SpawnedSubagent extends SubagentTask {
  /** Nearest first. */
  ancestors: readonly SessionKey[];
  cleanup: "delete" | undefined;
  /** 0: no limit. */
  timeoutSeconds: number;
  /** Where its parent's answer to its result goes. */
  replyTo: ReplyTo | undefined;
  claim: Claim;
  /** Its task. */
  arrival: Arrival;
}

type Ended = { result: SubagentResult; announcement?: Announcement };

// A write that fails once in a while must not cost the result of an hour's work.
const ATTEMPTS = 3;

/** A sub-agent from before it is made to its end, of which there is one. */
export class SubagentRun implements LiveRun {
  /** Resolves when it is durable, with parent and child. */
  readonly made: Promise<void>;
  readonly ended: Promise<SubagentResult>;
  readonly settled: Promise<TurnOutcome | undefined>;
  readonly left: Promise<void>;
  state: "pending" | "running" | "ended" = "pending";
  claim: Claim | undefined;
  readonly #shell: Shell;
  readonly #spawned: SpawnedSubagent;
  readonly #stop = new AbortController();
  readonly #place: WorkPlace;
  #why: "killed" | "timed_out" | undefined;
  #limit: ReturnType<typeof setTimeout> | undefined;

  /** `make` writes it down; until then it can be stopped already. */
  constructor(shell: Shell, spawned: SpawnedSubagent, make: () => Promise<void>) {
    this.#shell = shell;
    this.#spawned = spawned;
    this.#place = new WorkPlace(shell.runs.slots, this.#stop.signal);
    this.claim = spawned.claim;
    this.made = make();
    const end = this.#end();
    this.ended = end.then(({ result }) => result);
    this.settled = end.then(({ announcement }) => this.#answer(announcement));
    this.left = this.#leave();
    // Whoever waits for none of them must not end the process.
    void Promise.allSettled([this.made, this.ended, this.settled, this.left]);
  }

  get key(): SessionKey {
    return this.#spawned.key;
  }

  get ancestors(): readonly SessionKey[] {
    return this.#spawned.ancestors;
  }

  get run(): string {
    return this.#spawned.run;
  }

  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  stop(why: "killed" | "timed_out"): void {
    this.#why ??= why;
    this.#shell.queue.inLine(this.key).stop();
    this.#stop.abort();
  }

  whileWaiting<T>(work: Promise<T>): Promise<T> {
    return this.#place.whileWaiting(work);
  }

  async #end(): Promise<Ended> {
    try {
      await this.made;
      const result = await this.#work();
      clearTimeout(this.#limit);
      return await this.#store(result);
    } finally {
      // Also where it was never made: a parent that waits for those of its children that live would wait for ever.
      this.state = "ended";
    }
  }

  async #store(result: SubagentResult): Promise<Ended> {
    const ids = endIds(this.#shell);
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await endSubagent(this.#shell, this.#spawned, result, { ids });
      } catch (error) {
        if (attempt < ATTEMPTS) continue;
        // It stays among those that live, and its end is found in its transcript later.
        const { key, run } = this;
        this.#shell.logger.error({ key, run, code: codeOf(error) }, "the end of a sub-agent could not be stored");
        throw error;
      }
    }
  }

  async #work(): Promise<SubagentResult> {
    const { runs, queue } = this.#shell;
    try {
      let last = await this.#task();
      // What it has started is part of its task: its last words are those after the last of them has been told.
      const heard = new Set<LiveRun>();
      const hear = async (child: LiveRun) => {
        heard.add(child);
        const [answer] = await Promise.allSettled([runs.waits.during(this.key, child.key, child.settled)]);
        if (answer.status === "fulfilled" && answer.value?.status === "replied") last = answer.value;
      };
      for (;;) {
        if (last.status === "aborted") runs.stopDescendants(this.key);
        const children = runs.childrenOf(this.key).filter((child) => !heard.has(child));
        if (children.length === 0) return this.#resultOf(last);
        await Promise.all(children.map(hear));
      }
    } catch (error) {
      await Promise.allSettled(runs.stopDescendants(this.key).map(({ settled }) => settled));
      const why = this.#why ?? (queue.closing.aborted ? "killed" : undefined);
      return why === undefined ? { status: "failed", code: codeOf(error) } : { status: why };
    }
  }

  #task(): Promise<TurnOutcome> {
    const { arrival, timeoutSeconds } = this.#spawned;
    const { queue, runs } = this.#shell;
    return queue.run(this.key, true, async (slot) => {
      // One that is stopped while it waits is noted down as such, without the model being called.
      if (await this.#place.take(anySignal(slot.signal, this.signal))) this.state = "running";
      const late = () => runs.stop(this, "timed_out");
      if (timeoutSeconds > 0) this.#limit = setTimeout(late, timeoutSeconds * 1000);
      try {
        return await takeIn(this.#shell, { ...arrival, signal: this.signal }, slot);
      } finally {
        this.#place.leave();
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

  // Behind the turns that others have asked of it: they run under the claim it holds.
  async #leave(): Promise<void> {
    const { queue, logger } = this.#shell;
    const { claim, key, run } = this;
    const { parent, cleanup } = this.#spawned;
    const [ended] = await Promise.allSettled([this.ended, this.settled]);
    const isOver = ended.status === "fulfilled";
    const leave = async () => {
      this.claim = undefined;
      if (claim !== undefined) await letGo(this.#shell, key, claim);
      if (isOver && cleanup === "delete") await deleteSubagent(this.#shell, parent, { key, run });
    };
    try {
      await (queue.closing.aborted ? queue.idle(key).then(leave) : queue.run(key, false, leave));
    } catch (error) {
      logger.warn({ key, code: codeOf(error) }, "what a sub-agent has left behind could not be put away");
    }
  }
}
