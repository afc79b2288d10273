import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { JsonlStorage, type JsonlStorageOptions, MemoryStorage, type SessionStorage } from "../../src/index.js";

/** Where sessions live for one test. */
export interface Place {
  /** A storage on this place; a kind that persists gives a further one each time, memory always the same. */
  open(): SessionStorage;
}

/** Every storage that the clauses must hold for. */
export const storageKinds: readonly { name: string; persists: boolean; place(): Place }[] = [
  {
    name: "MemoryStorage",
    persists: false,
    place() {
      const storage = new MemoryStorage();
      return { open: () => storage };
    },
  },
  {
    name: "JsonlStorage",
    persists: true,
    place() {
      const dir = tempDir();
      return { open: () => openJsonl(dir) };
    },
  },
];

/** A directory that is gone when the test is over. */
export function tempDir(): string {
  const dir = mkdtempSync(join(tmpdir(), "sessions-"));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

/** A JSONL storage that is closed before its directory is removed. Power cuts are not what these tests are about. */
export function openJsonl(dir: string, options: Omit<JsonlStorageOptions, "dir"> = {}): JsonlStorage {
  const storage = new JsonlStorage({ dir, durability: "off", ...options });
  onTestFinished(() => storage.close());
  return storage;
}
