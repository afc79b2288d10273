import { expect, test } from "vitest";
import { manualClock } from "../../../src/testing.js";
import { OPEN, stage, tool } from "./cast.js";
import { populated } from "./populate.js";

const DM = "agent:main:telegram:dm:1";
const OTHER = "agent:main:main";

async function answers(name: string, input: object) {
  const storage = await populated([{ key: DM }, { key: OTHER }]);
  const { manager } = stage({ "agent:": () => "done" }, { storage, clock: manualClock(), config: OPEN });
  await using _ = manager;
  const answer = await tool(manager, DM, name).execute(input);
  // Made anew each time.
  return JSON.parse(
    JSON.stringify(answer, (field, value) => (["runId", "childSessionKey"].includes(field) ? "new" : value)),
  );
}

test.each<[string, object, string[]]>([
  ["sessions_list", {}, ["kinds", "limit", "activeMinutes", "messageLimit"]],
  ["sessions_history", { sessionKey: OTHER }, ["limit", "before", "includeTools"]],
  ["session_status", {}, ["sessionKey", "runId"]],
  ["sessions_send", { sessionKey: OTHER, message: "hi" }, ["timeoutSeconds"]],
  ["sessions_spawn", { task: "work" }, ["agentId", "label", "model", "mode", "timeoutSeconds", "cleanup"]],
])("G18 null in what %s may be given is as left out", async (name, required, optional) => {
  const expected = await answers(name, required);
  expect(expected).not.toHaveProperty("error");
  for (const field of optional)
    expect([field, await answers(name, { ...required, [field]: null })]).toEqual([field, expected]);
  const nulls = Object.fromEntries(optional.map((field) => [field, null]));
  expect(await answers(name, { ...required, ...nulls })).toEqual(expected);
});

test.each<[string, object]>([
  ["sessions_history", { sessionKey: null }],
  ["sessions_send", { sessionKey: OTHER, message: null }],
  ["sessions_send", { sessionKey: null, message: "hi" }],
  ["sessions_spawn", { task: null }],
])("G18 %s needs what it needs, also where %j says that there is none", async (name, input) => {
  expect(await answers(name, input)).toHaveProperty("error");
});
