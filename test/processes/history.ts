import { createHash } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import { initialRecord, isMessageEntry, project, type SessionKey, type SessionRecord } from "../../src/core.js";
import type { SessionStorage, TranscriptEntry } from "../../src/index.js";

/** An update that was acknowledged, and when it ran, on a clock that all processes share. */
export interface Acked {
  kind: "update";
  key: SessionKey;
  uuid: string;
  /** The ids of the entries that it appended. */
  ids: string[];
  start: number;
  end: number;
}

/** What a reader was given: how many entries, and the digest of their ids. */
interface Seen {
  kind: "read";
  reader: string;
  uuid: string;
  count: number;
  digest: string;
  start: number;
}

/** The last few entries that a reader was given. */
interface SeenLast {
  kind: "last";
  uuid: string;
  ids: string[];
  start: number;
}

/** How many messages `list` said a session has. */
interface Listed {
  kind: "listed";
  key: SessionKey;
  uuid: string;
  messageCount: number;
  start: number;
}

/** A delete that was tried; without an end when its process was killed in it. */
export interface Deleted {
  kind: "delete";
  key: SessionKey;
  start: number;
  end: number | undefined;
}

export type Happened = Acked | Seen | SeenLast | Listed | Deleted;

/** A session as it is in the end. */
export interface Final {
  record: SessionRecord;
  entries: TranscriptEntry[];
}

/** The names that entries have here: who wrote it, which update of that writer, the place in the update. */
export function entryIds(writer: string, update: number, count: number): string[] {
  return Array.from({ length: count }, (_, place) => `${writer}.${update}.${place + 1}of${count}`);
}

function parseId(id: string): { writer: string; update: number; place: number; count: number } | undefined {
  const [, writer, update, place, count] = /^(.+)\.(\d+)\.(\d+)of(\d+)$/.exec(id) ?? [];
  if (writer === undefined) return undefined;
  return { writer, update: Number(update), place: Number(place), count: Number(count) };
}

/** A digest that tells whether two readers saw the same entries. */
export function digestOf(ids: readonly string[]): string {
  return createHash("sha256")
    .update(ids.map((id) => `${id}\n`).join(""))
    .digest("hex");
}

/** Everything a storage has, and where `list`, `read` and the transcripts do not say the same. */
export async function finalOf(storage: SessionStorage): Promise<{ sessions: Final[]; faults: string[] }> {
  const faults: string[] = [];
  const sessions: Final[] = [];
  const keys = new Set<string>();
  for await (const record of storage.list()) {
    if (keys.has(record.key)) faults.push(`${record.key} is listed twice`);
    keys.add(record.key);
    const entries: TranscriptEntry[] = [];
    for await (const entry of storage.entries(record.uuid)) entries.push(entry);
    const { key, uuid, created } = record;
    const folded = project(initialRecord({ key, uuid, created }), entries);
    if (!isDeepStrictEqual(folded, record)) {
      faults.push(`${key} is listed as ${JSON.stringify(record)}, its entries say ${JSON.stringify(folded)}`);
    }
    if (!isDeepStrictEqual(await storage.read(key), record)) faults.push(`${key} is read otherwise than listed`);
    sessions.push({ record, entries });
  }
  return { sessions, faults };
}

/**
 * What is wrong with a history of updates, each of which had ids that no other had. Transcripts are lists that are appended
 * to, so little needs to be compared: what was acknowledged, what was seen, and what is there in the end.
 */
export function faultsOf(happened: readonly Happened[], sessions: readonly Final[]): string[] {
  const faults: string[] = [];
  const byUuid = new Map(sessions.map((session) => [session.record.uuid, new Transcript(session, faults)]));
  const acked = happened.filter((one) => one.kind === "update");
  const deletes = happened.filter((one) => one.kind === "delete");
  const ackedIds = new Map<string, Acked>();
  for (const update of acked) {
    for (const id of update.ids) ackedIds.set(id, update);
    const transcript = byUuid.get(update.uuid);
    if (transcript !== undefined) transcript.mustHave(update);
    else if (!deletes.some(({ key, end = Infinity }) => key === update.key && end > update.start))
      faults.push(`${update.ids[0]} was acknowledged and is gone with ${update.uuid}, which nobody deleted`);
  }
  checkUnknown(sessions, ackedIds, acked, faults);
  checkDeletes(acked, deletes, byUuid, faults);
  const furthest = new Map<string, number>();
  for (const seen of happened.filter((one) => one.kind === "read")) {
    const transcript = byUuid.get(seen.uuid);
    if (transcript === undefined) continue;
    transcript.mustBePrefix(seen);
    const reader = `${seen.reader} ${seen.uuid}`;
    if (seen.count < (furthest.get(reader) ?? 0)) faults.push(`${reader} went back to ${seen.count} entries`);
    furthest.set(reader, Math.max(seen.count, furthest.get(reader) ?? 0));
  }
  for (const seen of happened) {
    if (seen.kind === "last") byUuid.get(seen.uuid)?.mustBeNewest(seen);
    else if (seen.kind === "listed") byUuid.get(seen.uuid)?.mustCount(seen);
  }
  return faults;
}

// A writer has one update under way at a time: of those nobody heard of, only the one after the last it was told of may be there.
function checkUnknown(
  sessions: readonly Final[],
  ackedIds: ReadonlyMap<string, Acked>,
  acked: readonly Acked[],
  faults: string[],
): void {
  const last = new Map<string, number>();
  for (const { ids } of acked) {
    const { writer = "", update = 0 } = parseId(ids[0] ?? "") ?? {};
    last.set(writer, Math.max(update, last.get(writer) ?? -1));
  }
  const places = new Map<string, string>();
  for (const { record, entries } of sessions) {
    for (const { id } of entries) {
      const elsewhere = places.get(id);
      if (elsewhere !== undefined && elsewhere !== record.uuid) faults.push(`${id} is in two transcripts`);
      places.set(id, record.uuid);
      const of = ackedIds.get(id);
      if (of !== undefined) {
        if (of.uuid !== record.uuid) faults.push(`${id} was acknowledged in ${of.uuid} and is in ${record.uuid}`);
        continue;
      }
      const name = parseId(id);
      if (name === undefined) faults.push(`${id} was written by nobody`);
      else if (name.update !== (last.get(name.writer) ?? -1) + 1) faults.push(`${id} was not under way`);
    }
  }
}

// Who writes after a delete has been acknowledged writes to another transcript than who was acknowledged before it began.
function checkDeletes(
  acked: readonly Acked[],
  deletes: readonly Deleted[],
  byUuid: ReadonlyMap<string, Transcript>,
  faults: string[],
): void {
  for (const { key, start, end } of deletes) {
    if (end === undefined) continue;
    const before = new Set(acked.filter((one) => one.key === key && one.end < start).map(({ uuid }) => uuid));
    for (const one of acked) {
      if (one.key === key && one.start > end && before.has(one.uuid))
        faults.push(`${one.ids[0]} was acknowledged in ${one.uuid} after that was deleted`);
    }
    for (const uuid of before) if (byUuid.has(uuid)) faults.push(`${uuid} was deleted and is there again`);
  }
}

class Transcript {
  readonly #name: string;
  readonly #faults: string[];
  readonly #ids: string[];
  readonly #places = new Map<string, number>();
  readonly #messages: number[] = [];
  readonly #digests: string[] = [];
  readonly #mustHave: { end: number; place: number }[] = [];
  #sorted: { end: number; place: number }[] | undefined;

  constructor({ record, entries }: Final, faults: string[]) {
    this.#name = `${record.key} (${record.uuid})`;
    this.#faults = faults;
    this.#ids = entries.map(({ id }) => id);
    const hash = createHash("sha256");
    let messages = 0;
    this.#digests.push(hash.copy().digest("hex"));
    for (const [place, entry] of entries.entries()) {
      if (this.#places.has(entry.id)) this.#fault(`${entry.id} is there twice`);
      this.#places.set(entry.id, place);
      hash.update(`${entry.id}\n`);
      this.#digests.push(hash.copy().digest("hex"));
      messages += isMessageEntry(entry) ? 1 : 0;
      this.#messages.push(messages);
    }
    this.#checkOrder();
  }

  mustHave({ ids, end }: Acked): void {
    const missing = ids.filter((id) => !this.#places.has(id));
    if (missing.length > 0) this.#fault(`${missing.join()} was acknowledged and is missing`);
    else this.#mustHave.push({ end, place: this.#places.get(ids.at(-1) ?? "") ?? -1 });
  }

  mustBePrefix({ reader, count, digest, start }: Seen): void {
    if (this.#digests[count] !== digest) this.#fault(`${reader} saw ${count} entries that are not its first`);
    else if (count <= this.#leastPlace(start))
      this.#fault(`${reader} did not see what was acknowledged before it read`);
  }

  mustBeNewest({ ids, start }: SeenLast): void {
    const first = this.#places.get(ids[0] ?? "") ?? -1;
    const asked = this.#ids.slice(first, first + ids.length);
    if (ids.length > 0 && !isDeepStrictEqual(asked, ids)) this.#fault(`${ids.join()} do not stand together`);
    const newest = this.#places.get(ids.at(-1) ?? "") ?? -1;
    if (newest < this.#leastPlace(start))
      this.#fault(`${ids.at(-1)} was read as the last, and others were acknowledged`);
  }

  mustCount({ messageCount, start }: Listed): void {
    const least = this.#messages[this.#leastPlace(start)] ?? 0;
    const most = this.#messages.at(-1) ?? 0;
    if (messageCount < least || messageCount > most)
      this.#fault(`${messageCount} messages were listed, when it had ${least} to ${most}`);
  }

  // Where the newest stands that had been acknowledged at a time.
  #leastPlace(time: number): number {
    if (this.#sorted === undefined) {
      this.#sorted = this.#mustHave.sort((a, b) => a.end - b.end);
      let place = -1;
      for (const one of this.#sorted) one.place = place = Math.max(place, one.place);
    }
    let from = 0;
    let to = this.#sorted.length;
    while (from < to) {
      const middle = (from + to) >> 1;
      if ((this.#sorted[middle]?.end ?? 0) < time) from = middle + 1;
      else to = middle;
    }
    return this.#sorted[from - 1]?.place ?? -1;
  }

  // Per writer the order in which it wrote, and every update whole and in one piece.
  #checkOrder(): void {
    const last = new Map<string, number>();
    for (let at = 0; at < this.#ids.length; ) {
      const name = parseId(this.#ids[at] ?? "");
      if (name === undefined) {
        at += 1;
        continue;
      }
      const { writer, update, count } = name;
      if (update <= (last.get(writer) ?? -1)) this.#fault(`${this.#ids[at]} stands behind what was written after it`);
      last.set(writer, update);
      const whole = entryIds(writer, update, count);
      if (!isDeepStrictEqual(this.#ids.slice(at, at + count), whole)) {
        this.#fault(`${this.#ids[at]} is not whole`);
        at += 1;
      } else {
        at += count;
      }
    }
  }

  #fault(text: string): void {
    this.#faults.push(`${this.#name}: ${text}`);
  }
}
