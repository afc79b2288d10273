import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { SessionKey } from "../../../src/core.js";
import type { OnReport, StorageReport } from "../../../src/index.js";
import { CREATED } from "../sessions.js";

/** The directory of an agent's files. */
export function sessionsDir(dir: string, agentId = "main"): string {
  return join(dir, "agents", agentId, "sessions");
}

export function transcriptPath(dir: string, uuid: string, agentId = "main"): string {
  return join(sessionsDir(dir, agentId), `${uuid}.jsonl`);
}

export function indexPath(dir: string, agentId = "main"): string {
  return join(sessionsDir(dir, agentId), "sessions.json");
}

export function readIndexFile(dir: string, agentId = "main"): Record<string, Record<string, unknown>> {
  return JSON.parse(readFileSync(indexPath(dir, agentId), "utf8")) as Record<string, Record<string, unknown>>;
}

/** The names of an agent's files. */
export function fileNames(dir: string, agentId = "main"): string[] {
  return readdirSync(sessionsDir(dir, agentId)).sort();
}

/** What lies below a directory, at any depth. */
export function pathsBelow(dir: string): string[] {
  return readdirSync(dir, { recursive: true, encoding: "utf8" }).map((path) => path.replaceAll("\\", "/"));
}

/** What lies in an agent's directory and below it. */
export function ownPaths(dir: string): string[] {
  return pathsBelow(sessionsDir(dir));
}

/** The names that claims have there. */
export function claimLocks(dir: string): string[] {
  return ownPaths(dir).filter((path) => path.endsWith(".lock") && !path.endsWith("index.lock"));
}

/** Puts a file among an agent's files, as another tool, an editor or a crash would have left it. */
export function putFile(dir: string, name: string, content: string | Buffer, agentId = "main"): void {
  mkdirSync(sessionsDir(dir, agentId), { recursive: true });
  writeFileSync(join(sessionsDir(dir, agentId), name), content);
}

/** The first line of a transcript. */
export function headerLine(key: SessionKey, uuid: string, more: object = {}): string {
  return JSON.stringify({ type: "session", version: 1, uuid, key, created: CREATED, ancestors: [], ...more });
}

/** Keeps the reports of a storage. */
export function collectReports(): { reports: StorageReport[]; onReport: OnReport } {
  const reports: StorageReport[] = [];
  return { reports, onReport: (report) => void reports.push(report) };
}
