import { setTimeout as pause } from "node:timers/promises";
import { expect, test } from "vitest";
import { dm } from "../storage/sessions.js";
import { openJsonl, tempDir } from "../storage/storage-kinds.js";
import { children } from "./children.js";
import { faultsOf, finalOf, type Happened } from "./history.js";
import { Random } from "./random.js";

// Longer than the lock on writing the index lives without its holder.
const SLEEPS_MS = 6_500;

const start = children();

test("G4 G9 S18 a process that sleeps through everything others do loses nothing of theirs or its own when it wakes", async () => {
  const seed = Date.now() % 1_000_000;
  const random = new Random(seed);
  const dir = tempDir();
  const happened: Happened[] = [];
  const faults: string[] = [];
  const startWriter = async (number: number) => {
    const child = await start(dir, "off", (reported) => {
      if (reported.kind === "failed") faults.push(reported.what);
      else if (reported.kind !== "holds") happened.push(reported);
    });
    const own = dm(`own${number}`);
    await child.tell({
      do: "load",
      load: { writer: `w${number}`, seed: seed + number * 10, lanes: 2, own, pause: 20 },
    });
    return child;
  };
  const [sleeper, ...others] = await Promise.all([0, 1, 2].map(startWriter));
  for (let nap = 0; nap < 10; nap += 1) {
    await pause(random.between(50, 300));
    sleeper?.signal("SIGSTOP");
    await pause(nap === 5 ? SLEEPS_MS : random.between(50, 600));
    sleeper?.signal("SIGCONT");
  }
  for (const child of [sleeper, ...others]) {
    await child?.tell({ do: "stop" });
    await child?.tell({ do: "close" });
  }
  const { sessions, faults: disagreements } = await finalOf(openJsonl(dir));
  expect([...faults, ...disagreements, ...faultsOf(happened, sessions)], `seed ${seed}`).toEqual([]);
  expect(happened.length).toBeGreaterThan(500);
}, 60_000);
