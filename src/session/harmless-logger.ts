import type { Logger } from "./hooks.js";

/**
 * The host's logger, which may fail, at once or later, without harm to what is being told of: a line of log must not cost a message,
 * nor an unheard rejection the process. The first failure is a warning of the process.
 */
export function harmlessLogger(logger: Logger): Logger {
  let hasFailed = false;
  const failed = () => {
    if (hasFailed) return;
    hasFailed = true;
    process.emitWarning("The logger given to SessionManager has failed. What it fails to take is not logged.", {
      code: "OPENCLAW_SESSIONS_LOGGER",
    });
  };
  const harmless = (level: keyof Logger): Logger[typeof level] => {
    return (facts, message) => {
      try {
        const result: unknown = logger[level](facts, message);
        if (result instanceof Promise) result.catch(failed);
      } catch {
        failed();
      }
    };
  };
  return { debug: harmless("debug"), info: harmless("info"), warn: harmless("warn"), error: harmless("error") };
}
