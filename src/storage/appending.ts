import type { TranscriptEntry } from "../core/entry.js";
import { project, type SessionRecord } from "../core/record.js";
import type { Updater } from "./storage.js";

/** Which entries follow on a record. It changes nothing it is given, and nobody changes what it has returned. */
type Appending = (
  current: SessionRecord | undefined,
) => { before: SessionRecord; append: readonly TranscriptEntry[] } | undefined;

const APPENDING = Symbol("appending");

type AppendingUpdater = Updater & { [APPENDING]?: Appending };

/** An updater that appends and changes nothing else: what the library writes with. Any storage takes it for what it is. */
export function appendingUpdater(decide: Appending): Updater {
  const updater: AppendingUpdater = (current) => {
    const decided = decide(current);
    return decided && { record: project(decided.before, decided.append), append: decided.append };
  };
  updater[APPENDING] = decide;
  return updater;
}

/** What an updater decides, if it is one that only appends: who knows that need not check what it makes of the record. */
export function appendingOf(updater: AppendingUpdater): Appending | undefined {
  return updater[APPENDING];
}
