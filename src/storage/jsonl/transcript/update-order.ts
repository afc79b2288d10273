/** What reading from the middle of a transcript needs to know of what stands before. */
export interface Before {
  /** The name of the last update that counts; `undefined` when it is not known, and the first one read is taken as it is. */
  head: string | undefined;
  /** Whether an earlier line has this name. Asked only when an update was not decided on the one before it. */
  has(rev: string, before: number): Promise<boolean>;
  /** Whether an earlier line is the entry of this id. Asked only of lines that have lost the first one of their update. */
  hasEntry(id: string, before: number): Promise<boolean>;
}

/** What of an update tells whether it counts. */
interface Judged {
  start: number;
  entries: readonly { id: string }[];
  rev?: string | undefined;
  on?: string | undefined;
  first?: false;
}

/**
 * What becomes of an update: it counts and is the one that the next is decided on (`next`), it counts and the ones behind it were
 * there first (`moved`), or it does not count (`void`).
 */
export type Place = "next" | "moved" | "void";

/** Which updates count, told one after the other in the order of the file. */
export class Order {
  readonly #before: Before;
  #head: string | undefined;
  readonly #passedOver = new Set<string>();
  /** Named by updates that count although these are not there: they come later, in a file whose lines were moved. */
  readonly #missing = new Set<string>();

  constructor(before: Before) {
    this.#before = before;
    this.#head = before.head;
  }

  judge(update: Judged): Place | Promise<Place> {
    const { rev, on } = update;
    if (update.first === false) return this.#judgeNameless(update);
    if (rev === undefined) return "next";
    if (this.#head === undefined || on === undefined || on === this.#head) return this.#follow(rev);
    return this.#judgeLate(update, rev, on);
  }

  #follow(rev: string): Place {
    this.#head = rev;
    return "next";
  }

  async #judgeLate({ start }: Judged, rev: string, on: string): Promise<Place> {
    // Whoever named it stands before it already.
    if (this.#missing.has(rev)) return "moved";
    if (this.#passedOver.has(on)) return this.#follow(rev);
    if (await this.#before.has(on, start)) {
      this.#passedOver.add(rev);
      return "void";
    }
    this.#missing.add(on);
    return this.#follow(rev);
  }

  // Lines whose first one is missing: it has become unreadable, or they were copied, which what they say tells.
  async #judgeNameless({ entries, start }: Judged): Promise<Place> {
    for (const { id } of entries) if (await this.#before.hasEntry(id, start)) return "void";
    return "next";
  }
}
