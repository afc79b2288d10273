import { isSessionError, type TurnOutcome } from "../../index.js";
import { ModelServerError } from "./openai-model.js";
import { spoken } from "./spoken.js";

/** What became of a message, with the session it went to first. */
export function outcomeLine(outcome: TurnOutcome): string {
  const says = (text: string) => `[${outcome.key}] bot: ${spoken(text)}`;
  const remark = (text: string) => `[${outcome.key}] (${text})`;
  switch (outcome.status) {
    case "replied":
    case "command":
      return says(outcome.text);
    case "silent":
      return remark("the bot has nothing to say");
    case "ignored":
      return remark(
        `noted, not answered: ${outcome.reason === "not-mentioned" ? "mention @bot" : "not allowed to send"}`,
      );
    case "aborted":
      return remark("stopped");
    case "duplicate":
      return remark("seen before");
  }
}

/** What went wrong, for the person at the terminal. @throws what is not a fault but a mistake in the program. */
export function faultLine(error: unknown): string {
  if (!isSessionError(error)) throw error;
  return error.cause instanceof ModelServerError
    ? `(no answer: ${error.cause.message} Your message is kept.)`
    : `(${error.code}: ${error.message})`;
}
