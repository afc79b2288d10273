import { type Cause, nextHop } from "../../core/hops.js";
import type { SessionRecord } from "../../core/record.js";
import { isSessionError } from "../../errors.js";
import { codeOf } from "../error-code.js";
import type { Shell } from "../shell.js";
import { causeRun } from "./cause-run.js";
import { type RunReport, reportOf } from "./run-report.js";

/** A conversation of a session, until it is cleared or removed. */
export type Moment = Pick<SessionRecord, "key" | "uuid" | "lastClear">;

/**
 * Lets two sessions go on answering each other after a message whose sender has not waited: at most as many turns as the config
 * allows, and until one has nothing to say, says `REPLY_SKIP`, or has been cleared or removed meanwhile. What they answer is delivered
 * to nobody else.
 */
export async function replyBack(
  shell: Shell,
  { from, target, cause, report }: { from: Moment; target: Moment; cause: Cause; report: RunReport },
): Promise<void> {
  const { maxPingPongTurns } = shell.config.session.agentToAgent;
  let [speaker, listener] = [target, from];
  let { hops, chain } = cause;
  let reply = report.status === "ok" ? report.reply : undefined;
  try {
    for (let turn = 0; turn < maxPingPongTurns && reply !== undefined; turn += 1) {
      // The one that listens now had its turn before; its tools must not send to the one that speaks.
      const others = chain.filter((key) => key !== listener.key);
      const hop = nextHop({ hops, chain: others }, speaker.key, listener.key, Number.POSITIVE_INFINITY);
      if (!hop.allowed) return;
      ({ hops, chain } = hop.cause);
      const provenance = { kind: "inter-session" as const, from: speaker.key, hops, chain: [...chain] };
      const message = { key: listener.key, content: reply, provenance: { ...provenance, reply: true as const } };
      const { stored, outcome } = causeRun(shell, message, { during: listener });
      await stored;
      const answer = reportOf(await outcome);
      reply = answer.status === "ok" ? answer.reply : undefined;
      [speaker, listener] = [listener, speaker];
    }
  } catch (error) {
    // Whoever was to be told is not there any more, or has begun anew.
    const level = isSessionError(error, "SESSION_NOT_FOUND") ? "debug" : "warn";
    const about = { key: listener.key, from: speaker.key, code: codeOf(error) };
    shell.logger[level](about, "a reply between sessions was not answered");
  }
}
