import { JsonlStorage } from "../../../src/index.js";
import { builders } from "../../../src/testing.js";
import { append, dm } from "../sessions.js";

// A host that has had its index written and waits to be told to end: with a shutdown of its own, or without one.
const [dir, shutdown] = process.argv.slice(2);

async function run(): Promise<void> {
  // Before the storage is used: whoever listens first is off the list first.
  if (shutdown === "once") {
    process.once("SIGTERM", async () => {
      // Long enough for a second look at who listens.
      for (let n = 0; n < 50; n += 1) await new Promise((resolve) => setImmediate(resolve));
      process.stdout.write("ended in order\n", () => process.exit(0));
    });
  }
  const storage = new JsonlStorage({ dir: dir ?? "", durability: "off" });
  await append(storage, dm("alice"), builders().user("1"));
  await storage.close();
  setInterval(() => undefined, 1_000);
  process.stdout.write("ready\n");
}

if (dir !== undefined) void run();
