import { readEntry, type TranscriptEntry } from "../core/entry.js";
import { copyJson } from "../core/json.js";
import type { SessionKey } from "../core/key.js";
import type { SessionRecord } from "../core/record.js";
import { StorageError } from "../errors.js";
import { recordSchema } from "./record-schema.js";
import type { Change, Updater } from "./storage.js";

/** A change that has been checked and cut off from the objects the caller still holds. */
export interface CheckedChange {
  record: SessionRecord;
  append: TranscriptEntry[];
}

/**
 * Runs an updater and checks what it decided, the same for every storage.
 * @throws TypeError when the updater is asynchronous or its change is not one that could be read back.
 * @throws StorageError when the change belongs to another session.
 */
export function decide(
  key: SessionKey,
  updater: Updater,
  current: SessionRecord | undefined,
): CheckedChange | undefined {
  const change: unknown = updater(current === undefined ? undefined : copyJson(current));
  if (change === undefined) return undefined;
  if (typeof change === "object" && change !== null && "then" in change) {
    throw new TypeError("An updater must be synchronous: no lock may be held while other code is waited for.");
  }
  if (!isChange(change)) throw new TypeError("An updater must return { record, append? } or undefined.");
  const checked = { record: copyJson(change.record), append: (change.append ?? []).map((entry) => copyJson(entry)) };
  if (!recordSchema.safeParse(checked.record).success)
    throw new TypeError("An updater returned a record that is none, so it could not be read back.");
  if (!checked.append.every(isStorable))
    throw new TypeError("An updater returned an entry that is none, so it could not be read back.");
  if (checked.record.key !== key) {
    throw new StorageError("An update may not change the key of its record.", { operation: "storage.update", key });
  }
  if (current !== undefined && checked.record.uuid !== current.uuid) {
    throw new StorageError("An update may not change the uuid of its record; delete the session first.", {
      operation: "storage.update",
      key,
    });
  }
  return checked;
}

// A transcript holds more than entries: its header, records, and what counts the lines of an update.
const RESERVED_TYPES: ReadonlySet<unknown> = new Set(["session", "record"]);
const RESERVED_FIELDS = ["_lines", "_more"];

function isStorable(entry: unknown): boolean {
  if (readEntry(entry, "") === undefined) return false;
  if (RESERVED_TYPES.has((entry as { type?: unknown }).type)) return false;
  return !RESERVED_FIELDS.some((field) => Object.hasOwn(entry as object, field));
}

function isChange(value: unknown): value is Change {
  if (typeof value !== "object" || value === null || !("record" in value)) return false;
  const { record, append } = value as { record: unknown; append?: unknown };
  return typeof record === "object" && record !== null && (append === undefined || Array.isArray(append));
}
