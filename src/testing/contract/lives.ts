import assert from "node:assert/strict";
import { builders } from "../builders.js";
import type { Check } from "./check.js";
import { alice, append, say } from "./sessions.js";

// Long for a claim that is kept only by timers, short for whoever runs the tests.
const BUSY = 100;

/** Keeps this process from doing anything at all. */
export function beBusy(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}

/** S19: whose claim it is as long as its holder lives. What becomes of one whose holder died takes two processes. */
export const livingClaimChecks: readonly Check[] = [
  {
    clause: "S19",
    name: "the claim of a live holder is not taken, however busy its event loop",
    async run(trial) {
      const storage = await trial.open();
      const beside = await trial.open();
      await say(storage, alice, "1");
      const claim = await trial.granted(storage.claim(alice));
      const next = beside.claim(alice);
      await beside.read(alice);
      beBusy(BUSY);
      assert.ok(await trial.stillOpen(next, beside, alice), "the claim is still held");
      assert.equal(claim.signal.aborted, false, "the claim is not lost");
      await append(storage, alice, [builders().user("mine")], { claim });
      await claim.release();
      await (await trial.granted(next)).release();
    },
  },
];
