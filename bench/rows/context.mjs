// What a model is sent: building it, and knowing how large it is.
import { at, fresh, grouped, lane, OURS, PEERS } from "../who.mjs";

const TIKTOKEN = { name: "tiktoken alone", kind: "raw", module: at("contenders/tiktoken.mjs") };

const WINDOW = 500;

export function contextRows({ n, prepared }) {
  const { pi, langchain } = PEERS;
  const builds = n.histories.flatMap((count) => {
    const judged = count === n.histories.at(-1);
    const from = (dir) => ({ scenario: "build", dir, with: { count } });
    const label = `N = ${grouped(count)}`;
    const memory = fresh({ scenario: "build", with: { count } });
    return [
      lane(
        `ours-${count}`,
        OURS,
        label,
        from(prepared(`ours-compacted-${count}`, OURS, "prepareCompacted", { count })),
      ),
      {
        ...lane(`pi-${count}`, pi, label, from(prepared(`pi-compacted-${count}`, pi, "prepareCompacted", { count }))),
        judged,
      },
      { ...lane(`langchain-${count}`, langchain, label, memory), judged },
    ];
  });
  const assess = (withs) =>
    fresh({ scenario: "assess", warm: 10, count: n.assessed, with: { size: WINDOW, ...withs } });
  const first = fresh({ scenario: "firstCount", with: {} });
  const long = (what) => fresh({ scenario: "countLong", with: { what } });
  return [
    {
      id: "context.build",
      rounds: n.slowRounds,
      title: "Build the context of an open session of N messages, the last 50 of which a compaction kept",
      metric: "warmMs",
      columns: ["first", "warm", "open", "stall", "memory"],
      lanes: builds,
    },
    {
      id: "context.assess",
      rounds: n.slowRounds,
      title: `Know the size of a window of ${WINDOW} messages of which one is new`,
      metric: "p50",
      columns: ["p50", "p99", "first", "stall", "memory"],
      reference: "tiktoken",
      lanes: [
        lane("session", OURS, "a whole turn, from handle() to the model", assess({ face: "turn" })),
        lane("status", OURS, "session.status()", assess({ face: "status" })),
        lane("tiktoken", TIKTOKEN, "each message anew", assess({})),
        lane("langchain", langchain, "trimMessages, tiktoken", assess({ counter: "tiktoken" })),
        // These do not count tokens: what they save in time they lose in what they know.
        {
          ...lane("langchain-characters", langchain, "trimMessages, characters / 4", assess({ counter: "characters" })),
          judged: false,
        },
        { ...lane("pi", pi, "estimateContextTokens, characters / 4", assess({})), judged: false },
      ],
    },
    {
      id: "context.tokenizer",
      rounds: n.slowRounds,
      title: "Load the tokenizer and count three words, in a new process",
      metric: "ms",
      columns: ["ms", "stall", "added", "memory"],
      reference: "tiktoken",
      lanes: [
        lane("session", OURS, "loadTokenCounter", first),
        lane("tiktoken", TIKTOKEN, "get_encoding", first),
        { ...lane("langchain", langchain, "js-tiktoken", first), judged: false },
      ],
    },
    {
      id: "context.long",
      rounds: n.slowRounds,
      title: "A turn that has to count a message of a million characters",
      metric: "stallMs",
      columns: ["ms", "stall", "tokens", "memory"],
      lanes: [
        lane("letters", OURS, "one letter", long("letters")),
        lane("blanks", OURS, "blanks", long("blanks")),
        lane("base64", OURS, "base64", long("base64")),
        lane("base64-whole", TIKTOKEN, "base64 at once", long("base64")),
      ],
    },
  ];
}
