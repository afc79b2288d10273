import { JsonlStorage, StorageError } from "../../../../src/index.js";
import { builders } from "../../../../src/testing.js";
import { append, dm } from "../../sessions.js";

/** So many sessions at once, each so many messages one after the other, and once more what was refused. */
export interface Load {
  dir: string;
  sessions: number;
  messages: number;
  openFiles?: number;
  durability: "always" | "off";
}

export interface Outcome {
  /** What was acknowledged, by peer. */
  acknowledged: Record<string, string[]>;
  refused: { peer: string; id: string; code: unknown; cause: unknown; typed: boolean }[];
  reports: string[];
}

async function run({ dir, sessions, messages, ...options }: Load): Promise<Outcome> {
  const outcome: Outcome = { acknowledged: {}, refused: [], reports: [] };
  const storage = new JsonlStorage({ dir, ...options, onReport: ({ kind }) => void outcome.reports.push(kind) });
  const talk = async (peer: string) => {
    const b = builders();
    outcome.acknowledged[peer] = [];
    for (let n = 0; n < messages; n += 1) {
      const id = `${peer}.${n}`;
      try {
        await append(storage, dm(peer), b.user("hello", { id }));
        outcome.acknowledged[peer]?.push(id);
      } catch (error) {
        const { code, cause } = error as { code?: unknown; cause?: { code?: unknown } };
        outcome.refused.push({ peer, id, code, cause: cause?.code, typed: error instanceof StorageError });
      }
    }
  };
  await Promise.all(Array.from({ length: sessions }, (_, n) => talk(`p${n}`)));
  await storage.close().catch((error: unknown) => void outcome.reports.push(`close: ${String(error)}`));
  return outcome;
}

const [load] = process.argv.slice(2);
if (load !== undefined) void run(JSON.parse(load) as Load).then((outcome) => console.log(JSON.stringify(outcome)));
