// openclaw-sessions, where a context is built and its tokens are counted.
import { library } from "../library.mjs";
import { message, text } from "../messages.mjs";

const { SessionManager, MemoryStorage, loadTokenCounter } = await library();

const KEY = "agent:main:telegram:dm:100000000";

// A summary of some hundred words, as models write them.
const SUMMARY = Array.from({ length: 3 }, (_, number) => text(number)).join("\n");

const dm = (said, number) => ({
  channel: "telegram",
  chatType: "dm",
  peerId: "100000000",
  text: said,
  messageId: String(number),
});

const withCompaction = (compaction) => ({ agents: { defaults: { compaction } } });

/** A session of `count` messages with one compaction, which kept the last of them: some 50, by what 50 such take. */
export async function prepareCompacted({ dir, count }) {
  const { countMessage } = await loadTokenCounter();
  let keepRecentTokens = 0;
  for (let number = count - 50; number < count; number += 1) keepRecentTokens += countMessage(message(number));
  const manager = new SessionManager({
    dir,
    durability: "off",
    config: withCompaction({ keepRecentTokens, strategy: () => SUMMARY, memoryFlush: { enabled: false } }),
  });
  const session = await manager.open(KEY);
  for (let number = 0; number < count; number += 1) await session.append(message(number));
  const outcome = await session.compact();
  if (outcome.status !== "compacted") throw new Error(`the session was not compacted: ${JSON.stringify(outcome)}`);
  await manager.close();
}

export async function openCompacted({ dir }) {
  const manager = new SessionManager({ dir });
  const session = await manager.open(KEY);
  return {
    build: async () => (await session.context()).messages.map(({ content }) => content),
    close: () => manager.close(),
  };
}

/**
 * A window of `size` messages near its threshold. `face`: "turn", from `handle` to the call of the model, with the message stored
 * and everything else a turn does; or "status", which does no more than say how large the window is.
 */
export async function assessing({ size, face }) {
  let called = () => {};
  const manager = new SessionManager({
    storage: new MemoryStorage(),
    // Far from the threshold nothing is counted. This is where it has to be, and nothing is due yet.
    config: withCompaction({ reserveTokensFloor: 20_000, memoryFlush: { enabled: false } }),
    provider: {
      contextWindow: () => 70_000,
      async generate() {
        called();
        return text(1);
      },
    },
  });
  const session = await manager.open(KEY);
  const messages = Array.from({ length: size }, (_, number) => message(number));
  await session.append(...messages);
  const sources = new Set();
  manager.on("context.assessed", ({ source, action }) => sources.add(`${source} ${action}`));
  let turn;
  return face === "turn"
    ? {
        assess(number) {
          return new Promise((resolve) => {
            called = resolve;
            turn = manager.handle(dm(text(size + number), number));
          });
        },
        async after() {
          await turn;
          if ([...sources].join() !== "estimate none") throw new Error(`assessed otherwise: ${[...sources].join()}`);
        },
        close: () => manager.close(),
      }
    : {
        before: (number) => session.append(message(size + number)),
        assess: () => session.status(),
        close: () => manager.close(),
      };
}

export async function loadCounter() {
  const { countText } = await loadTokenCounter();
  return countText("one two three");
}

/** A turn whose message has to be counted, because of its bytes it might not fit. */
export async function countingTurn({ said }) {
  await loadTokenCounter();
  let called = () => {};
  const manager = new SessionManager({
    storage: new MemoryStorage(),
    provider: {
      contextWindow: () => said.length,
      async generate() {
        called();
        return "That is long.";
      },
    },
  });
  const sources = [];
  manager.on("context.assessed", ({ source, tokens }) => sources.push({ source, tokens }));
  let turn;
  return {
    count() {
      return new Promise((resolve, reject) => {
        called = resolve;
        turn = manager.handle(dm(said, 1));
        turn.catch(reject);
      });
    },
    async close() {
      await turn;
      await manager.close();
      const [{ source, tokens }] = sources;
      if (source !== "estimate") throw new Error(`it was not counted, but ${source}`);
      return tokens;
    },
  };
}
