import { Readable, Writable } from "node:stream";
import { run } from "../../src/cli/run.js";
import { type Message, SessionManager } from "../../src/index.js";
import { builders, manualClock, scriptedProvider } from "../../src/testing.js";

/** When the stores of these tests begin. */
export const START = Date.UTC(2026, 2, 18, 10);

/** What a command printed and told the shell. */
export interface Ran {
  code: number;
  stdout: string;
  stderr: string;
}

/** The process around a command, as far as a test wants to say something about it. */
export interface Around {
  stdin?: Iterable<string | Buffer>;
  env?: Record<string, string>;
  now?: number;
  /** Standard output is a terminal of this width. */
  columns?: number;
  /** What a write to standard output fails with, from the call of this number on. */
  stdoutFails?: { code: string; from: number };
}

/** Runs a command line in this process. */
export async function cli(argv: readonly string[], around: Around = {}): Promise<Ran> {
  const { stdin = [], env = {}, now = START, columns, stdoutFails } = around;
  const stdout = captured(stdoutFails);
  const stderr = captured();
  const code = await run(argv, {
    stdin: Readable.from(stdin),
    stdout: Object.assign(stdout.stream, columns === undefined ? {} : { isTTY: true, columns }),
    stderr: stderr.stream,
    env,
    now: () => now,
  });
  return { code, stdout: stdout.text(), stderr: stderr.text() };
}

function captured(fails?: { code: string; from: number }) {
  const chunks: string[] = [];
  let writes = 0;
  const stream = new Writable({
    decodeStrings: false,
    write(chunk: string, _encoding, done) {
      writes += 1;
      if (fails !== undefined && writes >= fails.from) {
        done(Object.assign(new Error(`write ${fails.code}`), { code: fails.code, syscall: "write" }));
        return;
      }
      chunks.push(chunk);
      done();
    },
  });
  return { stream, text: () => chunks.join("") };
}

/** The parsed document a command printed. */
export function jsonOf<T = Record<string, unknown>>(ran: Ran): T[] {
  return JSON.parse(ran.stdout) as T[];
}

/** A bot on a directory, whose model answers `re: ` and what it was told last; each message comes a minute after the other. */
export function bot(dir: string) {
  const clock = manualClock(START);
  const provider = scriptedProvider(({ messages }) => `re: ${JSON.stringify(messages.at(-1)?.content)}`);
  const manager = new SessionManager({ dir, clock, provider, durability: "off" });
  const build = builders();
  return {
    manager,
    provider,
    clock,
    build,
    /** Someone writes to it on Telegram and is answered. */
    async hears(peerId: string, text: string): Promise<void> {
      await manager.handle(build.dm(peerId, text));
      clock.advance(60_000);
    },
    close: () => manager.close(),
  };
}

/** A store in which one session holds these messages. @returns its key. */
export async function storeWith(dir: string, messages: readonly Message[], peerId = "42"): Promise<string> {
  const manager = new SessionManager({ dir, clock: manualClock(START), durability: "off" });
  const session = await manager.open({ channel: "telegram", chatType: "dm", peerId });
  if (messages.length > 0) await session.append(...messages);
  await manager.close();
  return session.key;
}
