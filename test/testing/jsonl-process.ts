import { join } from "node:path";
import { JsonlStorage } from "../../src/index.js";
import { type MakeStorage, serveContract } from "../../src/testing.js";

/** A JSONL storage on a directory that several processes can share. Power cuts are not what these tests are about. */
export const makeJsonl: MakeStorage = (place) =>
  new JsonlStorage({ dir: join(process.env.SESSIONS_CONTRACT_HOME ?? "", place), durability: "off" });

serveContract(makeJsonl);
