import { expect, test } from "vitest";
import { all } from "../store-dir.js";
import { OPEN, stage } from "./cast.js";
import { populated } from "./populate.js";

const ANN = "agent:main:telegram:dm:ann";
const BOB = "agent:main:telegram:dm:bob";
const CHILD = "agent:main:subagent:1";
const GRANDCHILD = "agent:coder:subagent:2";
const CODER = "agent:coder:main";

const inhabitants = [
  { key: ANN },
  { key: BOB },
  { key: CHILD, ancestors: [ANN] },
  { key: GRANDCHILD, ancestors: [CHILD, ANN] },
  { key: CODER },
];

test.each([
  ["self", [ANN]],
  ["tree", [ANN, CHILD, GRANDCHILD]],
  ["agent", [ANN, BOB, CHILD, GRANDCHILD]],
  ["all", [ANN, BOB, CHILD, CODER, GRANDCHILD]],
] as const)("G18 list({ visibleTo }) gives what the tools of a session may reach: %s", async (visibility, keys) => {
  const config = { tools: { ...OPEN.tools, sessions: { visibility } } };
  const { manager } = stage({}, { storage: await populated(inhabitants), config });
  await using _ = manager;
  const listed = (await all(manager.list({ visibleTo: ANN }))).map(({ key }) => key);
  expect(listed.sort()).toEqual([...keys].sort());
});

test("G18 its limit counts what may be seen, and a sub-agent sees no more than those above it", async () => {
  const { manager } = stage({}, { storage: await populated(inhabitants), config: {} });
  await using _ = manager;
  expect(await all(manager.list({ visibleTo: ANN, limit: 2 }))).toHaveLength(2);
  expect(await all(manager.list({ visibleTo: ANN, limit: 0 }))).toEqual([]);
  expect(await all(manager.list({ visibleTo: ANN, agentId: "coder" }))).toMatchObject([{ key: GRANDCHILD }]);
  expect((await all(manager.list({ visibleTo: CHILD }))).map(({ key }) => key).sort()).toEqual(
    [GRANDCHILD, CHILD].sort(),
  );
  expect(await all(manager.list({ visibleTo: "agent:main:subagent:gone" }))).toEqual([]);
  await expect(all(manager.list({ visibleTo: "ann" }))).rejects.toMatchObject({ code: "INVALID_SESSION_KEY" });
});
