// Loading the package and making its first object.
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { dist } from "../library.mjs";
import { at, fresh, lane, OURS, PEERS, RAW } from "../who.mjs";

export function startRows({ n }) {
  const { pi, grammy, langgraph } = PEERS;
  const load = (path) => fresh({ scenario: "construct", import: pathToFileURL(path).href, with: {} });
  return [
    {
      id: "start",
      rounds: n.startRounds,
      title: "Import and construct, in a new process",
      metric: "importMs",
      columns: ["import", "construct", "importMemory"],
      lanes: [
        lane("ours", OURS, "dist/index.js", load(join(dist, "index.js"))),
        lane("node", { ...RAW, name: "Node alone" }, "nothing imported", fresh({ scenario: "baseline" })),
        lane("pi", pi, pi.packageName, load(at("peers/pi-whole.mjs"))),
        lane("langgraph", langgraph, langgraph.packageName, load(langgraph.module)),
        lane("grammy", grammy, "grammy + storage-file", load(at("peers/grammy-whole.mjs"))),
        // The adapter is sixty lines and does nothing without grammY's own session plugin: shown, but not judged.
        { ...lane("grammy-alone", grammy, "storage-file alone", load(grammy.module)), judged: false },
      ],
    },
  ];
}
