import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { open, unlink, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { systemLockClock } from "../../../../src/storage/jsonl/lock/lock-clock.js";
import { OwnerLock } from "../../../../src/storage/jsonl/lock/owner-lock.js";

export { OwnerLock };

/** What a process that has locks is told to do. */
export type Order =
  | { do: "acquire"; path: string; scratch: string; patience?: number }
  | { do: "dieAt"; call: number }
  | { do: "isHeld" | "release" }
  | { do: "block"; until: string }
  | { do: "round"; path: string; scratch: string; witness: string }
  | { do: "holding" | "endRound" };

let lock: OwnerLock | undefined;
let round: { over: AbortController; holding: Promise<void>; done: Promise<string> } | undefined;

async function follow(order: Order): Promise<unknown> {
  switch (order.do) {
    case "acquire": {
      const signal = order.patience === undefined ? undefined : AbortSignal.timeout(order.patience);
      lock = await OwnerLock.acquire(order.path, { scratch: order.scratch, token: randomUUID(), signal });
      return lock.token;
    }
    case "dieAt":
      return dieAt(order.call);
    case "isHeld":
      return lock?.isHeld();
    case "release":
      return lock?.release();
    case "block": {
      const nobody = new Int32Array(new SharedArrayBuffer(4));
      while (!existsSync(order.until)) Atomics.wait(nobody, 0, 0, 20);
      return "awake";
    }
    case "round":
      return startRound(order);
    case "holding":
      return round?.holding;
    case "endRound":
      round?.over.abort("over");
      return round?.done;
  }
}

/** Ends this process without a word just before the given call to the file system. */
async function dieAt(call: number): Promise<void> {
  const files = createRequire(__filename)("node:fs/promises") as Record<string, unknown>;
  const handle = await open(__filename);
  const handles = Object.getPrototypeOf(handle) as Record<string, unknown>;
  await handle.close();
  let calls = 0;
  const count = (owner: Record<string, unknown>, names: string[]) => {
    for (const name of names) {
      const real = owner[name] as (...args: unknown[]) => unknown;
      owner[name] = function (this: unknown, ...args: unknown[]) {
        if (++calls === call) process.kill(process.pid, "SIGKILL");
        return real.apply(this, args);
      };
    }
  };
  count(files, ["open", "link", "unlink", "lstat", "rename", "rmdir", "rm"]);
  count(handles, ["chmod", "writeFile", "stat", "read"]);
}

/** Says "holds" or "waits" as soon as it does; the round then goes on until it is ended. */
function startRound({ path, scratch, witness }: { path: string; scratch: string; witness: string }): Promise<string> {
  const over = new AbortController();
  let hold = (): void => undefined;
  const holding = new Promise<void>((resolve, reject) => {
    hold = resolve;
    over.signal.addEventListener("abort", () => reject(new Error("The round is over.")));
  });
  holding.catch(() => "nobody has to ask");
  return new Promise((report) => {
    const clock = {
      ...systemLockClock,
      wait: (milliseconds: number, signal: AbortSignal | undefined) => {
        report("waits");
        return systemLockClock.wait(milliseconds, signal);
      },
    };
    const takePart = async (): Promise<string> => {
      let mine: OwnerLock;
      try {
        mine = await OwnerLock.acquire(path, { scratch, token: randomUUID(), signal: over.signal, clock });
      } catch (error) {
        return error === "over" ? "gave up" : `failed: ${String(error)}`;
      }
      try {
        await writeFile(witness, "", { flag: "wx" });
        report("holds");
        hold();
        if (!over.signal.aborted) await new Promise((end) => over.signal.addEventListener("abort", end));
        const outcome = mine.isHeld() ? "held" : "lost";
        await unlink(witness);
        return outcome;
      } catch (error) {
        report("holds");
        return `not alone: ${String(error)}`;
      } finally {
        await mine.release();
      }
    };
    round = { over, holding, done: takePart() };
  });
}

if (process.send !== undefined) {
  process.on("message", ({ id, order }: { id: number; order: Order }) => {
    follow(order).then(
      (value) => process.send?.({ id, value }),
      (error: unknown) => process.send?.({ id, error: String(error) }),
    );
  });
  // Whoever started it has gone.
  process.on("disconnect", () => process.exit());
  process.send({ id: 0 });
}
