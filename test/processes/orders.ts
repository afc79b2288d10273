import type { SessionKey } from "../../src/core.js";
import type { InboundMessage, JsonlStorage, ProviderHooks, SessionManager } from "../../src/index.js";
import { builders } from "../../src/testing.js";
import { appending } from "../storage/sessions.js";
import { type Acked, type Deleted, entryIds, type Happened } from "./history.js";
import { type Load, runLoad } from "./load.js";

/** What a process can be told to do. `at` is when, on the clock that all processes share. */
export type Order =
  /** Updates one after the other, each with some entries. */
  | {
      do: "append";
      key: SessionKey;
      writer: string;
      from?: number;
      count: number;
      entries?: number;
      size?: number;
      at?: number;
    }
  | { do: "delete"; key: SessionKey; at?: number }
  | { do: "claim"; key: SessionKey }
  | { do: "session-append"; key: SessionKey; writer: string; count: number }
  | { do: "handle"; message: InboundMessage; at: number }
  | { do: "load"; load: Load }
  | { do: "stop" }
  | { do: "close" };

export type Answer = Happened[] | Handled | undefined;

/** What became of a message that was handed to a manager. */
export interface Handled {
  status: string;
  calls: number;
}

/** What a process says by itself: what it did, or that it is about to hold a claim or delete a session. */
export type Reported = Happened | { kind: "holds"; key: SessionKey } | { kind: "failed"; what: string };

export interface World {
  dir: string;
  storage: JsonlStorage;
  manager(provider: ProviderHooks): SessionManager;
  /** Resolves when the parent will get it whatever happens to this process. */
  report(reported: Reported): Promise<void>;
}

let manager: { sessions: SessionManager; calls: number } | undefined;
let stopped = false;
let running: Promise<void> | undefined;

/** Milliseconds on a clock that all processes of a machine share. */
export function now(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

export async function answerTo(order: Order, world: World): Promise<Answer> {
  const { storage } = world;
  if ("at" in order && order.at !== undefined) waitUntil(order.at);
  switch (order.do) {
    case "append":
      return append(order, world);
    case "delete": {
      const start = now();
      await storage.delete(order.key);
      return [{ kind: "delete", key: order.key, start, end: now() } satisfies Deleted];
    }
    case "claim":
      await storage.claim(order.key);
      return undefined;
    case "session-append": {
      const { sessions } = managerOf(world);
      const session = await sessions.open(order.key);
      for (let number = 0; number < order.count; number += 1)
        await session.append({ role: "user", content: `${order.writer} ${number}` });
      return undefined;
    }
    case "handle":
      return handle(order.message, world);
    case "load":
      stopped = false;
      running = runLoad(order.load, world, () => stopped);
      return undefined;
    case "stop":
      stopped = true;
      await running;
      return undefined;
    case "close":
      await manager?.sessions.close();
      await storage.close();
      return undefined;
  }
}

async function append(order: Order & { do: "append" }, { storage }: World): Promise<Acked[]> {
  const { key, writer, from = 0, count, entries = 1, size = 10 } = order;
  const b = builders();
  const acked: Acked[] = [];
  for (let number = from; number < from + count; number += 1) {
    const ids = entryIds(writer, number, entries);
    const start = now();
    const update = appending(
      key,
      ids.map((id) => b.user("x".repeat(size), { id })),
    );
    const record = await storage.update(key, update);
    acked.push({ kind: "update", key, uuid: record?.uuid ?? "", ids, start, end: now() });
  }
  return acked;
}

async function handle(message: InboundMessage, world: World): Promise<Handled> {
  const mine = managerOf(world);
  const before = mine.calls;
  const { status } = await mine.sessions.handle(message);
  return { status, calls: mine.calls - before };
}

function managerOf(world: World): { sessions: SessionManager; calls: number } {
  if (manager !== undefined) return manager;
  const made = {
    calls: 0,
    sessions: world.manager({
      generate: async () => {
        made.calls += 1;
        await new Promise((resolve) => setTimeout(resolve, 5));
        return "answer";
      },
    }),
  };
  manager = made;
  return made;
}

// A timer would be a millisecond late, and another in each process.
function waitUntil(at: number): void {
  while (now() < at);
}
