// Where it was measured: said beside every figure, because ratios travel and absolute figures do not.
import { statfsSync } from "node:fs";
import { cpus, loadavg, platform, release, totalmem } from "node:os";

const FILE_SYSTEMS = new Map([
  [0xef53, "ext4"],
  [0x01021994, "tmpfs"],
  [0x9123683e, "btrfs"],
  [0x58465342, "xfs"],
  [0x794c7630, "overlayfs"],
  [0x2fc12fc1, "zfs"],
  [0x1a, "apfs"],
  [0x6969, "nfs"],
]);

export function describeMachine(dir) {
  const all = cpus();
  const { type } = statfsSync(dir);
  return {
    date: new Date().toISOString().slice(0, 10),
    cpu: all[0]?.model.trim() ?? "unknown",
    cores: all.length,
    memoryGigabytes: Math.round(totalmem() / 2 ** 30),
    system: `${platform()} ${release().split("-")[0]}`,
    node: process.version,
    load: Math.round(loadavg()[0] * 10) / 10,
    fileSystem: FILE_SYSTEMS.get(type) ?? `type 0x${type.toString(16)}`,
  };
}

export function machineLine({ cpu, cores, memoryGigabytes, system, node, fileSystem, date }) {
  return `${cpu}, ${cores} cores, ${memoryGigabytes} GB, ${system}, Node ${node.slice(1)}, ${fileSystem}, ${date}`;
}
