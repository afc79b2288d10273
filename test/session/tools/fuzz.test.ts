import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { JsonObject, SessionManager, SessionsConfigInput } from "../../../src/index.js";
import { HOSTILE_IDS } from "../../core/arbitraries.js";
import { all } from "../store-dir.js";
import { OPEN, stage, tool } from "./cast.js";
import { populated, wordsOf } from "./populate.js";

const DM = "agent:main:telegram:dm:Zoë";
const CHILD = "agent:main:subagent:child";
// Ids that a careless reader of keys takes for one another.
const HIDDEN = [
  "agent:main:main",
  "agent:main:telegram:dm:zoë",
  "agent:main:telegram:dm:Zoe\u0308",
  "agent:main:telegram:dm:Zoë2",
  "agent:main:telegram:dm:Zo",
  "agent:main:telegram:dm:a%3Ab",
  "agent:main:telegram:dm:a%253Ab",
  "agent:main:telegram:dm:..",
  "agent:main:telegram:dm:../../coder",
  "agent:main:telegram:dm:a%00b",
  "agent:main:telegram:dm:__proto__",
  "agent:main:telegram:dm:\u212aelvin",
  "agent:main:telegram:dm:Kelvin",
  "agent:main:telegram:work:dm:Zoë",
  "agent:main:dm:Zoë",
  "agent:main:telegram:group:-100",
  "agent:main:telegram:group:-100:topic:42",
  "agent:main:subagent:other",
  "agent:coder:main",
  "agent:coder:subagent:child",
  "agent:coder:telegram:dm:Zoë",
] as const;
const VISIBLE = [DM, CHILD] as const;

const swap = (text: string, from: string, to: string) => text.split(from).join(to);
const LOOK_ALIKES: readonly (readonly [string, string])[] = [
  [":", "\uff1a"],
  [":", "\u2236"],
  ["a", "\u0430"],
  ["e", "\u0435"],
  ["o", "\u03bf"],
  ["K", "\u212a"],
  ["-", "\u2010"],
  ["1", "\uff11"],
  ["m", "\uff4d"],
];

// Half a letter has no escape.
const wellFormed = (key: string) => key.replace(/\p{Cs}/gu, "\ufffd");

/** Ways to write a key otherwise. */
const changes = fc.oneof(
  fc.constantFrom<((key: string) => string)[]>(
    (key) => key.toUpperCase(),
    (key) => key.toLowerCase(),
    (key) => key.replace(/[a-z](?=[^a-z]*$)/, (letter) => letter.toUpperCase()),
    (key) => key.normalize("NFC"),
    (key) => key.normalize("NFD"),
    (key) => key.normalize("NFKC"),
    (key) => encodeURIComponent(wellFormed(key)),
    (key) => encodeURI(wellFormed(key)),
    (key) => swap(key, "%", "%25"),
    (key) => swap(key, "%3A", "%3a"),
    (key) => swap(key, "%3A", ":"),
    (key) => swap(key, ".", "%2e"),
    (key) => swap(key, ".", "%2E"),
    (key) => swap(key, "%00", "\0"),
    (key) => swap(key, "ë", "%C3%AB"),
    (key) => swap(key, "/", "\\"),
    (key) => swap(key, ":", "::"),
    (key) => swap(key, ":", "/"),
    (key) => key.replace("agent:", ""),
    (key) => key.replace("agent:main:", "main"),
    (key) => key.replace("agent:main:", "agent:main:../coder:"),
    (key) => key.replace(":dm:", ":direct:"),
    (key) => key.replace("telegram:", "telegram:default:"),
    (key) => key.slice(0, -1),
    (key) => key.slice(1),
    (key) => `${key}\0`,
    (key) => `${key}${"a".repeat(2000)}`,
    (key) => `"${key}"`,
    (key) => `${key}.jsonl`,
    (key) => `./${key}`,
    (key) => `${key}/../${HIDDEN[0]}`,
    (key) => `${CHILD}:${key}`,
    (key) => `${key}:${CHILD}`,
  ),
  fc.constantFrom(...LOOK_ALIKES).map(
    ([from, to]) =>
      (key: string) =>
        swap(key, from, to),
  ),
  fc
    .tuple(fc.constantFrom(" ", "\n", "\t", "\0", "\u200b", "\ufeff", "\u202e", "\ud800", ":", "*", "?"), fc.nat(60))
    .map(
      ([extra, at]) =>
        (key: string) =>
          key.slice(0, at) + extra + key.slice(at),
    ),
  fc.constantFrom(...HOSTILE_IDS).map((id) => (key: string) => `${key}:${id}`),
  fc.constantFrom(...HOSTILE_IDS).map((id) => (key: string) => key.replace(/[^:]*$/, id)),
);

const spelling = fc
  .tuple(
    fc.constantFrom<string[]>(...HIDDEN, ...VISIBLE, "main"),
    fc.array(changes, { maxLength: 3 }),
    // What no list of tricks has.
    fc.option(fc.string({ unit: "grapheme", maxLength: 4 }), { freq: 4 }),
  )
  .map(([key, ways, tail]) => ways.reduce((text, change) => change(text), key) + (tail ?? ""));

const refused = (answer: JsonObject) => "error" in answer;
const store = () =>
  populated([
    { key: DM },
    { key: CHILD, ancestors: [DM] },
    ...HIDDEN.map((key) => ({ key, ancestors: key.includes("subagent") ? ["agent:main:telegram:dm:zoë"] : [] })),
  ]);
const keysOf = async (manager: SessionManager) => (await all(manager.list())).map(({ key }) => key).sort();
const RATE = { maxSendsPerMinute: 1_000_000 };

describe("G18 no spelling of a key reaches further than the key", () => {
  test("under tree: each reaches the asker itself and its child by their very names, and nobody else", async () => {
    const { manager, provider } = stage(
      { "agent:": () => "done" },
      { storage: await store(), config: { tools: { sessions: RATE } } },
    );
    await using _ = manager;
    const keys = await keysOf(manager);
    const hidden = async () => Promise.all(HIDDEN.map(async (key) => (await manager.get(key))?.messageCount));
    const before = await hidden();
    await fc.assert(
      fc.asyncProperty(spelling, async (sessionKey) => {
        const isMine = (VISIBLE as readonly string[]).includes(sessionKey);
        for (const name of ["session_status", "sessions_history", "sessions_send"] as const) {
          const input = name === "sessions_send" ? { sessionKey, message: "hello" } : { sessionKey };
          const asked = provider.requests.length;
          const answer = await tool(manager, DM, name).execute(input);
          const isAllowed = isMine && !(name === "sessions_send" && sessionKey === DM);
          expect([name, sessionKey, refused(answer)]).toEqual([name, sessionKey, !isAllowed]);
          if (isAllowed && name === "session_status") expect(answer.key).toBe(sessionKey);
          if (isAllowed && name === "sessions_history") expect(answer.sessionKey).toBe(sessionKey);
          for (const { key } of provider.requests.slice(asked)) expect(key).toBe(sessionKey);
          for (const key of HIDDEN) expect(JSON.stringify(answer)).not.toContain(wordsOf(key));
        }
      }),
      { numRuns: 400 },
    );
    expect(await hidden()).toEqual(before);
    expect(await keysOf(manager)).toEqual(keys);
  });

  test("under agent: what is reached has exactly the name that was asked for, or is the agent's main session", async () => {
    const { manager, provider } = stage(
      { "agent:main:": () => "done" },
      { storage: await store(), config: { tools: { sessions: { visibility: "agent", ...RATE } } } },
    );
    await using _ = manager;
    const coder = async () => Promise.all((await keysOf(manager)).filter((key) => key.startsWith("agent:coder:")));
    const before = await coder();
    await fc.assert(
      fc.asyncProperty(spelling, async (sessionKey) => {
        const meant = sessionKey === "main" ? "agent:main:main" : sessionKey;
        const status = await tool(manager, DM, "session_status").execute({ sessionKey });
        const history = await tool(manager, DM, "sessions_history").execute({ sessionKey });
        if (!refused(status)) expect([status.key, history.sessionKey]).toEqual([meant, meant]);
        if (!refused(status)) expect(meant.startsWith("agent:main:")).toBe(true);
        expect(refused(history)).toBe(refused(status));
        for (const key of HIDDEN)
          if (key !== meant) expect(JSON.stringify(history)).not.toContain(JSON.stringify(wordsOf(key)).slice(1, -1));
        const asked = provider.requests.length;
        const sent = await tool(manager, DM, "sessions_send").execute({ sessionKey, message: "hello" });
        const turns = provider.requests.slice(asked).map(({ key }) => key as string);
        expect(turns).toEqual(refused(sent) ? [] : [meant]);
        expect(turns.every((key) => key.startsWith("agent:main:"))).toBe(true);
      }),
      { numRuns: 400 },
    );
    expect(await coder()).toEqual(before);
  });

  test.each(["main", "home"])(
    "main is the asker's own agent's main session, with mainKey %s, and nothing else is",
    async (mainKey) => {
      const agents = ["main", "coder", "home"];
      const keys = agents.flatMap((agent) => [
        { key: `agent:${agent}:main` },
        { key: `agent:${agent}:home` },
        { key: `agent:${agent}:telegram:dm:1` },
        { key: `agent:${agent}:subagent:s`, ancestors: ["agent:main:telegram:dm:1"] },
      ]);
      const config: SessionsConfigInput = { ...OPEN, session: { mainKey } };
      const { manager } = stage({}, { storage: await populated(keys), config });
      await using _ = manager;
      const from = fc.constantFrom(...keys.map(({ key }) => key));
      const name = fc.oneof(
        fc.constantFrom(
          "main",
          "Main",
          "MAIN",
          "main ",
          " main",
          "main\0",
          "main:",
          ":main",
          "agent:main",
          "\uff4dain",
        ),
        fc.constantFrom("home", "", "default", "*", ".", "self", "current", "parent", "null", "undefined", "__proto__"),
      );
      await fc.assert(
        fc.asyncProperty(from, name, async (key, sessionKey) => {
          const answer = await tool(manager, key, "session_status").execute({ sessionKey });
          expect([sessionKey, refused(answer)]).toEqual([sessionKey, sessionKey !== "main"]);
          if (sessionKey === "main") expect(answer.key).toBe(`agent:${key.split(":")[1]}:${mainKey}`);
        }),
      );
    },
  );

  test("main opens nothing that its key would not", async () => {
    const keys = [{ key: DM }, { key: "agent:main:main" }, { key: "agent:coder:main" }];
    const { manager } = stage({}, { storage: await populated(keys), config: {} });
    await using _ = manager;
    for (const name of ["session_status", "sessions_history", "sessions_send"]) {
      const input = name === "sessions_send" ? { message: "hi" } : {};
      const ask = (sessionKey: string) => tool(manager, DM, name).execute({ ...input, sessionKey });
      const [alias, key] = [await ask("main"), await ask("agent:main:main")];
      expect(refused(alias)).toBe(true);
      expect(JSON.stringify(alias)).toBe(JSON.stringify(key).replace("agent:main:main", "main"));
    }
  });
});
