import { SessionManager } from "../../src/index.js";

// A host that answers forever and says which message it has dealt with. The test ends it with SIGKILL.
const [dir = "", first = "0"] = process.argv.slice(2);
const sessions = new SessionManager({
  dir,
  provider: {
    async generate({ messages, emit, record }) {
      emit("thinking");
      await record({ role: "assistant", content: [{ type: "tool-call", toolCallId: "c", toolName: "t", input: {} }] });
      await record({ role: "tool", content: [{ type: "tool-result", toolCallId: "c", toolName: "t", output: 1 }] });
      return `re: ${String(messages.findLast((message) => message.role === "user")?.content)}`;
    },
  },
});
for (let number = Number(first); number < Number(first) + 10_000; number += 1) {
  const peers = ["a", "b", "c"].map((peerId) =>
    sessions.handle({ channel: "telegram", chatType: "dm", peerId, messageId: String(number), text: `m${number}` }),
  );
  await Promise.all(peers);
  process.stdout.write(`${number}\n`);
}
