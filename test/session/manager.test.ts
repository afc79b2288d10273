import { mkdtempSync, readdirSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { SessionManager } from "../../src/index.js";
import { builders, scriptedProvider } from "../../src/testing.js";

test("smoke", async () => {
  const dir = mkdtempSync(join(tmpdir(), "ocs-"));
  const b = builders();
  const provider = scriptedProvider((r) => `echo ${r.messages.length}`);
  const m = new SessionManager({ dir, provider });
  const out = await m.handle(b.dm("1", "hello"));
  console.log(out);
  console.log(await m.handle(b.dm("1", "/model gpt-4o")));
  console.log(await m.handle(b.dm("1", "/status")));
  console.log(await m.handle(b.dm("1", "again")));
  console.log(await m.handle(b.dm("1", "/clear")));
  console.log(await m.handle(b.dm("1", "after")));
  console.log(await m.handle(b.dm("1", "after", { messageId: "1" })));
  await m.close();
  const d = join(dir, "agents/main/sessions");
  for (const f of readdirSync(d)) console.log(f, readFileSync(join(d, f), "utf8"));
  const m2 = new SessionManager({ dir });
  const s = await m2.open(m2.resolve({ chatType: "dm", channel: "telegram", peerId: "1" }));
  console.log(await s.status());
  for await (const x of s.history({ includeCleared: true })) console.log(x);
  expect(1).toBe(1);
});
