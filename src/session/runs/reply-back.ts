import { type Cause, nextHop } from "../../core/hops.js";
import type { SessionKey } from "../../core/key.js";
import { codeOf } from "../error-code.js";
import type { Shell } from "../shell.js";
import { causeRun } from "./cause-run.js";
import { type RunReport, reportOf } from "./run-report.js";

/**
 * Lets two sessions go on answering each other after a message whose sender has not waited: at most as many turns as the config
 * allows, and until one has nothing to say or says `REPLY_SKIP`. What they answer is delivered to nobody else.
 */
export async function replyBack(
  shell: Shell,
  { from, target, cause, report }: { from: SessionKey; target: SessionKey; cause: Cause; report: RunReport },
): Promise<void> {
  const { maxPingPongTurns } = shell.config.session.agentToAgent;
  let [speaker, listener] = [target, from];
  let { hops, chain } = cause;
  let reply = report.status === "ok" ? report.reply : undefined;
  try {
    for (let turn = 0; turn < maxPingPongTurns && reply !== undefined; turn += 1) {
      // The one that listens now had its turn before; its tools must not send to the one that speaks.
      const hop = nextHop({ hops, chain: chain.filter((key) => key !== listener) }, speaker, listener, Infinity);
      if (!hop.allowed) return;
      ({ hops, chain } = hop.cause);
      const provenance = {
        kind: "inter-session" as const,
        from: speaker,
        hops,
        chain: [...chain],
        reply: true as const,
      };
      const { stored, outcome } = causeRun(shell, { key: listener, content: reply, provenance });
      await stored;
      const answer = reportOf(await outcome);
      reply = answer.status === "ok" ? answer.reply : undefined;
      [speaker, listener] = [listener, speaker];
    }
  } catch (error) {
    shell.logger.warn(
      { key: listener, from: speaker, code: codeOf(error) },
      "a reply between sessions was not answered",
    );
  }
}
