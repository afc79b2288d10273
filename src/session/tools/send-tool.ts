import { z } from "zod";
import { failureText } from "../../core/failure.js";
import { type Cause, nextHop } from "../../core/hops.js";
import type { SessionKey } from "../../core/key.js";
import type { SessionRecord } from "../../core/record.js";
import { waitingRun } from "../../core/runs.js";
import { mayBegin } from "../../core/tool-policy.js";
import { isSessionError } from "../../errors.js";
import { codeOf } from "../error-code.js";
import { causeRun, Stopped, TooManyWaiting } from "../runs/cause-run.js";
import { replyBack } from "../runs/reply-back.js";
import { failedReport, type RunReport, reportOf, shortReply } from "../runs/run-report.js";
import type { Shell, ToolUser } from "../shell.js";
import { type JsonObject, makeTool, Refusal, type SessionTool } from "../tool.js";
import { untilAborted, withinSeconds } from "../until-aborted.js";
import { Guard } from "./guard.js";

const MOST_CHARACTERS = 65_536;

// So long a model that works with others is waited for; what comes later can be asked for.
const DEFAULT_TIMEOUT_SECONDS = 30;

const input = z.strictObject({
  sessionKey: z.string().describe('To whom: a key from sessions_list, or "main" for your agent\'s main session.'),
  message: z
    .string()
    .max(MOST_CHARACTERS)
    .refine((text) => text.trim() !== "", "expected something to say")
    .describe("What to say. The agent of that session reads and answers it."),
  timeoutSeconds: z
    .number()
    .min(0)
    .max(3600)
    .optional()
    .describe(`How long to wait for the answer. 0: not at all. Default ${DEFAULT_TIMEOUT_SECONDS}.`),
});

export function sendTool(shell: Shell, user: ToolUser): SessionTool {
  const guard = new Guard(shell, user, "sessions_send");
  return makeTool(
    {
      name: "sessions_send",
      description:
        "Sends a message to another session, whose agent answers it. Returns { runId, status, reply }: `ok` with the reply; `accepted` or `timeout` when the answer is " +
        "still to come (ask session_status with sessionKey and runId later, and do not send again); `denied` or `error` with the reason.",
      input,
      hasStatus: true,
      async run({ sessionKey, message, timeoutSeconds = DEFAULT_TIMEOUT_SECONDS }, signal) {
        const {
          key: target,
          record: there,
          requester,
        } = await guard.reach(sessionKey, (key) => mayBegin(shell.config, key));
        const { record: here } = requester;
        const cause = permitted(shell, guard, await guard.cause(here), user.key, target);
        guard.allowed(target);
        const sent = await send(shell, {
          from: user.key,
          target,
          mayBeNew: there === undefined,
          message,
          cause,
          signal,
        });
        const { run, done } = sent;
        // In a turn: the answer would come behind that, which waits for it.
        const isCircle = user.turn !== undefined && shell.runs.waits.doesWait(target, user.key);
        const seconds = isCircle ? 0 : timeoutSeconds;
        const waiting = seconds === 0 ? undefined : waitFor(done, seconds, signal);
        const report = await (waiting && user.turn ? shell.runs.waits.during(user.key, target, waiting) : waiting);
        if (report !== undefined) return { runId: run, ...answerOf(report) };
        if (here !== undefined && !signal.aborted) answerLater(shell, here, sent, cause);
        const note = "That session waits for your own answer, and answers you after it.";
        return { runId: run, status: seconds === 0 ? "accepted" : "timeout", ...(isCircle ? { note } : {}) };
      },
    },
    user.turn?.lifespan,
  );
}

/** What led to the message, where no limit is against it. */
function permitted(shell: Shell, guard: Guard, cause: Cause, from: SessionKey, target: SessionKey): Cause {
  const { maxHops, maxSendsPerMinute } = shell.config.tools.sessions;
  const hop = nextHop(cause, from, target, maxHops);
  if (!hop.allowed) {
    guard.refused(target, hop.setting ?? hop.reason);
    throw new Refusal("denied", `Not sent: ${hop.reason}.`);
  }
  if (!shell.runs.rate.count(from)) {
    guard.refused(target, `tools.sessions.maxSendsPerMinute is ${maxSendsPerMinute}`);
    throw new Refusal("denied", `Not sent: you may send ${maxSendsPerMinute} messages a minute. Wait a minute.`);
  }
  return hop.cause;
}

// Who has not been told the answer by the tool may be told it as a message.
function answerLater(shell: Shell, from: SessionRecord, { target, done }: Sent, cause: Cause): void {
  const goOn = async () => replyBack(shell, { from, target, cause, report: await done });
  void shell.runs.inBackground(goOn(), (error) =>
    shell.logger.warn(
      { key: from.key, from: target.key, code: codeOf(error) },
      "a reply between sessions was not answered",
    ),
  );
}

interface Message {
  from: SessionKey;
  target: SessionKey;
  /** It was not there when it was looked for, and may be. */
  mayBeNew: boolean;
  message: string;
  cause: Cause;
  signal: AbortSignal;
}

interface Sent {
  run: string;
  target: SessionRecord;
  done: Promise<RunReport>;
}

async function send(shell: Shell, { from, target, mayBeNew, message, cause, signal }: Message): Promise<Sent> {
  const { hops, chain } = cause;
  const provenance = { kind: "inter-session" as const, from, hops, chain: [...chain] };
  try {
    const wish = { key: target, content: message, provenance };
    const { run, stored, outcome } = causeRun(shell, wish, { mayBegin: mayBeNew, signal });
    const record = await stored;
    const over = outcome.then(reportOf, failedReport);
    return { run, target: record, done: over.then((report) => orWaiting(shell, target, run, report)) };
  } catch (error) {
    if (error instanceof Stopped) throw new Refusal("error", "This turn was stopped; nothing was sent.");
    if (isSessionError(error, "SESSION_NOT_FOUND"))
      throw new Refusal("denied", "Not sent: that session has been removed.");
    if (error instanceof TooManyWaiting || isSessionError(error, "QUEUE_FULL"))
      throw new Refusal("error", "Not sent: too many messages wait for that session. Try again later.");
    throw error;
  }
}

// What could not begin is not over: it waits for who next uses the session.
async function orWaiting(shell: Shell, key: SessionKey, run: string, report: RunReport): Promise<RunReport> {
  if (report.status !== "error") return report;
  const [record] = await Promise.allSettled([shell.ledger.read(key)]);
  const waits = record.status === "fulfilled" && record.value && waitingRun(record.value, run) !== undefined;
  return waits ? { status: "waiting" } : report;
}

async function waitFor(
  done: Promise<RunReport>,
  timeoutSeconds: number,
  signal: AbortSignal,
): Promise<RunReport | undefined> {
  return (await withinSeconds(timeoutSeconds, signal, (enough) => untilAborted(done, enough, () => {})))?.value;
}

function answerOf(report: RunReport): JsonObject {
  if (report.status === "ok") return { ...report, ...shortReply(report) };
  if (report.status !== "error") return { status: "accepted" };
  return {
    status: "error",
    error: `The message was stored, and its turn did not end with an answer: ${failureText(report.code)}.`,
  };
}
