import { inspect } from "node:util";
import { JsonlStorage, SessionManager } from "../../src/index.js";
import { type Answer, answerTo, type Order, type Reported, type World } from "./orders.js";

// Does what its parent says, and ends when that is gone.
process.on("disconnect", () => process.exit());
const [dir = "", durability = "off"] = process.argv.slice(2);
const world: World = {
  dir,
  storage: new JsonlStorage({ dir, durability: durability as "always" | "batch" | "off" }),
  manager: (provider) => new SessionManager({ dir, durability: "off", provider }),
  report: (reported) =>
    new Promise((resolve, reject) => {
      process.send?.({ reported } satisfies Sent, (error: Error | null) =>
        error === null ? resolve() : reject(error),
      );
    }),
};

export type Sent = { reported: Reported } | { id: number; value: Answer } | { id: number; error: string };

process.on("message", ({ id, order }: { id: number; order: Order }) => {
  answerTo(order, world).then(
    (value) => process.send?.({ id, value } satisfies Sent),
    (error: unknown) => process.send?.({ id, error: inspect(error) } satisfies Sent),
  );
});
process.send?.({ id: 0, value: undefined } satisfies Sent);
