import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { settleLogs, type Written } from "../../../../src/storage/jsonl/commit/commits.js";
import type { StorageReport } from "../../../../src/storage/report.js";
import { logsIn, openFor, ownDir, Session } from "./sessions-on-disk.js";
import { dice, UnsafeDisk } from "./unsafe-disk.js";

interface Plan {
  /** For each session the sizes of its updates, in groups: those of one group do not wait for each other. */
  sessions: number[][][];
  /** After so many events the power fails. */
  crashAfter: number;
  random: number[];
}

const plan: fc.Arbitrary<Plan> = fc.record({
  sessions: fc.array(
    fc.array(fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 3 }), { minLength: 1, maxLength: 5 }),
    { minLength: 1, maxLength: 9 },
  ),
  crashAfter: fc.integer({ min: 0, max: 80 }),
  random: fc.array(fc.nat({ max: 1000 }), { minLength: 40, maxLength: 60 }),
});

// On a machine that is busy a run takes ten times as long.
const BOUNDED = { interruptAfterTimeLimit: 5000 };

const turn = () => new Promise((resolve) => setImmediate(resolve));

/** Runs a plan and cuts the power in the middle; what the next process finds after it has settled the logs. */
async function afterPowerCut({ sessions: scripts, crashAfter, random }: Plan, writers: number, faults: number) {
  const roll = dice(random);
  const [live, found] = [ownDir(), ownDir()];
  const disk = await UnsafeDisk.install(roll, faults);
  try {
    const sessions = await Session.beginMany(live.dir, scripts.length);
    const processes = Array.from({ length: writers }, (_, n) => openFor(live.dir, "always", `p${n}`));
    const acknowledged: Written[] = [];
    let promised: Written[] | undefined;
    let events = 0;
    const event = () => {
      events += 1;
      if (roll(5) === 0) for (const { timers } of processes) timers.goOff();
      if (promised !== undefined || events <= crashAfter) return;
      promised = [...acknowledged];
      disk.cutPower(live.dir, found.dir);
    };
    disk.onEvent = event;
    const update = async (session: Session, length: number): Promise<void> => {
      const written = session.write(`${session.size}:`.padEnd(length, "x").concat("\n"));
      try {
        await processes[roll(writers)]?.commits.commit(written);
        acknowledged.push(written);
      } catch (error) {
        expect(error).toMatchObject({ code: "EIO" });
      }
      event();
    };
    await Promise.all(
      sessions.map(async (session, index) => {
        for (const group of scripts[index] ?? []) {
          for (let turns = roll(3); turns > 0; turns -= 1) await turn();
          await Promise.all(group.map((length) => update(session, length)));
        }
      }),
    );
    // Some end with a fault that is theirs to report.
    await Promise.allSettled(processes.map(({ commits }) => commits.close()));
    if (promised === undefined) {
      promised = acknowledged;
      disk.cutPower(live.dir, found.dir);
    }
    await Promise.all(sessions.map(({ handle }) => handle.close()));
    disk.remove();
    const reports: StorageReport[] = [];
    const settle = () =>
      settleLogs({
        dir: found.dir,
        transcript: (uuid) => join(found.dir, `${uuid}.jsonl`),
        isDead: async () => true,
        ownToken: "next",
        report: (report) => reports.push(report),
      });
    // Two at once, now and then: hosts start together after a power cut.
    await Promise.all(roll(2) === 0 ? [settle()] : [settle(), settle()]);
    const read = (uuid: string) => readFileSync(join(found.dir, `${uuid}.jsonl`));
    const missing = promised.filter(({ uuid, offset = 0, bytes }) => {
      const transcript = read(uuid);
      // In a line of its own; after a fault the host has the file looked at before it appends.
      const glued = faults === 0 && offset > 0 && transcript[offset - 1] !== 0x0a;
      return glued || !transcript.subarray(offset, offset + bytes.length).equals(bytes);
    });
    const again = await settle();
    return { missing, reports, again, logs: await logsIn(found.dir) };
  } finally {
    disk.remove();
    live.remove();
    found.remove();
  }
}

test("S9 G5 every byte acknowledged before a power cut is there after it, in its place", {
  timeout: 60_000,
}, async () => {
  await fc.assert(
    fc.asyncProperty(plan, async (random) => {
      const { missing, reports, again, logs } = await afterPowerCut(random, 1, 0);
      expect({ missing, reports, again, logs }).toEqual({
        missing: [],
        reports: [],
        again: { restored: [] },
        logs: [],
      });
    }),
    { numRuns: 100, ...BOUNDED },
  );
});

test("S9 G5 also when two processes write to the same sessions", async () => {
  await fc.assert(
    fc.asyncProperty(plan, async (random) => {
      const { missing, reports, again, logs } = await afterPowerCut(random, 2, 0);
      expect({ missing, again, logs }).toEqual({ missing: [], again: { restored: [] }, logs: [] });
      for (const { kind } of reports) expect(kind).toBe("gap-closed");
    }),
    { numRuns: 80, ...BOUNDED },
  );
});

test("S9 G5 also when syncs fail and later ones claim that all is well", async () => {
  await fc.assert(
    fc.asyncProperty(plan, async (random) => {
      const { missing, reports, again, logs } = await afterPowerCut(random, 1, 12);
      expect({ missing, again, logs }).toEqual({ missing: [], again: { restored: [] }, logs: [] });
      for (const { kind } of reports) expect(kind).toBe("gap-closed");
    }),
    { numRuns: 100, ...BOUNDED },
  );
});
