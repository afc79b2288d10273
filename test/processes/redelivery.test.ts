import { expect, test } from "vitest";
import { isMessageEntry } from "../../src/core.js";
import { builders } from "../../src/testing.js";
import { collect } from "../storage/sessions.js";
import { openJsonl, tempDir } from "../storage/storage-kinds.js";
import { children } from "./children.js";
import { type Handled, now } from "./orders.js";

const ROUNDS = 50;
const SOON_MS = 4;

const start = children();

test("G4 a message that two processes are given in the same instant is answered by one of them", async () => {
  const dir = tempDir();
  const both = await Promise.all([start(dir), start(dir)]);
  const b = builders();
  for (let round = 0; round < ROUNDS; round += 1) {
    // Half of them begin their session.
    const message = b.dm(`peer${round % 2 === 0 ? round : 0}`, `question ${round}`);
    const at = now() + SOON_MS;
    const handled = await Promise.all(
      both.map((child) => child.tell({ do: "handle", message, at }) as Promise<Handled>),
    );
    expect(handled.map(({ status }) => status).sort(), `round ${round}`).toEqual(["duplicate", "replied"]);
    expect(
      handled.reduce((sum, { calls }) => sum + calls, 0),
      `round ${round}`,
    ).toBe(1);
  }
  const storage = openJsonl(dir);
  const asked: string[] = [];
  for await (const { uuid } of storage.list()) {
    for (const entry of await collect(storage.entries(uuid)))
      if (isMessageEntry(entry) && entry.role === "user") asked.push(String(entry.content));
  }
  expect(asked.sort()).toEqual(Array.from({ length: ROUNDS }, (_, round) => `question ${round}`).sort());
});
