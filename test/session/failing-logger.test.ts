import { expect, onTestFinished, test, vi } from "vitest";
import { type Logger, MemoryStorage, SessionManager } from "../../src/index.js";
import { builders, scriptedProvider } from "../../src/testing.js";
import { pause } from "./tools/troubled-storage.js";

/** What the process says while a test runs. */
function saidByProcess() {
  const warnings: unknown[] = [];
  const rejections: unknown[] = [];
  const onWarning = (warning: Error & { code?: string }) => void warnings.push(warning.code);
  const onRejection = (reason: unknown) => void rejections.push(reason);
  process.on("warning", onWarning);
  process.on("unhandledRejection", onRejection);
  onTestFinished(() => {
    process.off("warning", onWarning);
    process.off("unhandledRejection", onRejection);
  });
  return { warnings, rejections };
}

const everyLevel = (log: () => void): Logger => ({ debug: log, info: log, warn: log, error: log });

test.each([
  [
    "throws",
    () => {
      throw new Error("The disk of the log is full.");
    },
  ],
  ["fails later", async () => Promise.reject(new Error("The disk of the log is full."))],
])("a logger that %s costs no message, and is one warning of the process", async (_how, log) => {
  const { warnings, rejections } = saidByProcess();
  const calls = vi.fn(log);
  const manager = new SessionManager({
    storage: new MemoryStorage(),
    logger: everyLevel(calls),
    provider: scriptedProvider(() => "answered"),
  });
  manager.on("turn.started", () => {
    throw new Error("A listener fails, which is logged.");
  });
  manager.on("turn.completed", async () => Promise.reject(new Error("Also later.")));
  const { dm } = builders();
  for (const text of ["one", "two"])
    expect(await manager.handle(dm("1", text))).toMatchObject({ status: "replied", text: "answered" });
  expect(await manager.handle(dm("1", "/status"))).toMatchObject({ status: "command" });
  expect(await manager.purge("agent:main:telegram:dm:1")).toBe(true);
  await manager.close();
  await pause();
  expect(calls.mock.calls.length).toBeGreaterThan(4);
  expect(rejections).toEqual([]);
  expect(warnings).toEqual(["OPENCLAW_SESSIONS_LOGGER"]);
});
