import { fstatSync, writeSync } from "node:fs";
import { unlink } from "node:fs/promises";
import { codeOf } from "../fault.js";
import { makePrivateDir } from "../layout.js";
import {
  closingLine,
  type Generation,
  generationPath,
  generationsIn,
  isNamed,
  makeGeneration,
  openGeneration,
  readName,
  readNameOrClose,
  writeAgain,
} from "./journal-generation.js";
import { type JournalMark, readJournalLine } from "./journal-line.js";

/** What is done with each mark, in the order in which they count, and the generation it was read in. */
export type OnMark = (mark: JournalMark, generation: number) => void;

const NEWLINE = 0x0a;

/**
 * The order in which the processes on a directory began to write its sessions, since the index was last written.
 *
 * A file that all of them append to, one whole line in one write, and that each follows to its end. When the index is written,
 * a new generation is begun and the old one closed by a last line; what stands behind that line does not count, and whoever
 * wrote it says it again in the next. So everyone agrees on what came first, without a lock.
 */
export class Journal {
  readonly #dir: string;
  readonly #boot: string | null;
  readonly #readOnly: boolean;
  readonly #onMark: OnMark;
  #older: Generation[] = [];
  #current: Generation | undefined;
  /** What opens, reads and closes files, one after the other. */
  #work: Promise<unknown> = Promise.resolve();
  #working = false;
  /** Something was said before what is read here, and only the index knows it. */
  #lost = false;
  /** A reading that has been asked for and not begun. */
  #next: Promise<boolean> | undefined;
  /** Whether a generation was begun before the machine was last started: a power cut may have taken marks. */
  otherBoot = false;

  constructor(dir: string, options: { boot: string | null; readOnly: boolean; onMark: OnMark }) {
    this.#dir = dir;
    this.#boot = options.boot;
    this.#readOnly = options.readOnly;
    this.#onMark = options.onMark;
  }

  /** The number of the generation that is written to; 0 before there is one. */
  get generation(): number {
    return this.#current?.number ?? 0;
  }

  /**
   * Opens what there is, to be read by `follow`. It must be opened before the index is read: what the index does not have yet
   * is then in one of these files, also when they are removed meanwhile.
   */
  open(): Promise<void> {
    return this.#inTurn(() => {
      this.#lost = false;
      return this.#open();
    });
  }

  async #open(): Promise<void> {
    for (;;) {
      await this.#closeFiles();
      const found: Generation[] = [];
      for (const number of await generationsIn(this.#dir)) {
        const generation = await this.#openFile(number);
        if (generation !== undefined) found.push(generation);
      }
      this.#current = found.pop();
      this.#older = found;
      // One that was begun, or removed, while the directory was read can be missing from what was read.
      if ((await generationsIn(this.#dir)).at(-1) === this.#current?.number) return;
    }
  }

  /** Whether anything may have been written by others that has not been followed yet. */
  get moved(): boolean {
    const current = this.#current;
    if (current === undefined || current.closed !== undefined || this.#older.length > 0 || this.#lost) return true;
    const { size, nlink } = fstatSync(current.file.fd);
    return size !== current.position || nlink === 0;
  }

  /**
   * Reads what others have written, and own marks that stand among it.
   * @returns false when the thread was lost, because what came next has been removed already: the index says it by now.
   */
  follow(): Promise<boolean> {
    // One that has begun may have read past the place where the next line is about to stand.
    this.#next ??= this.#inTurn(async () => {
      this.#next = undefined;
      return (await this.#follow()) && !this.#lost;
    });
    return this.#next;
  }

  /**
   * Writes a mark.
   * @returns whether it stands right behind what has been read. If not, `follow` tells in its place whether it counts, and
   * `begin` why nothing can be written.
   */
  write(mark: JournalMark): boolean {
    const current = this.#current;
    if (current === undefined) throw new TypeError("A journal is begun before it is written.");
    if (current.refusal !== undefined || current.closed !== undefined || this.#lost) return false;
    const bytes = Buffer.from(`${JSON.stringify(mark)}\n`);
    const written = writeSync(current.file.fd, bytes);
    const { size, nlink } = fstatSync(current.file.fd);
    if (this.#working || written !== bytes.length || size !== current.position + written || nlink === 0) return false;
    current.position = size;
    return true;
  }

  /**
   * Begins a journal where there is none, or none that goes on: what follows on the last file can be gone, as in a copy of it.
   * @throws why nothing can be written, where it can only be read.
   */
  async begin(): Promise<void> {
    const current = this.#current;
    if (current !== undefined) await writeAgain(current, (number) => this.#openFile(number), this.#readOnly);
    if (current !== undefined && current.closed === undefined) return;
    await this.#inTurn(async () => {
      await this.#follow();
      if (this.#current !== undefined && this.#current.closed === undefined) return;
      await makePrivateDir(this.#dir);
      const next = await this.#make(this.generation + 1);
      await next?.file.close();
      // Others may have begun and gone on while this process slept.
      await this.#follow(next?.id);
    });
  }

  /**
   * Closes the current generation and begins the next.
   * @returns the number of the generation that was closed; `undefined` when another process did it at the same time.
   */
  async rotate(): Promise<number | undefined> {
    await this.begin();
    return this.#inTurn(() => this.#rotate());
  }

  async #rotate(): Promise<number | undefined> {
    if (!(await this.#follow()) || this.#lost) return undefined;
    const current = this.#current as Generation;
    if (current.refusal !== undefined) throw current.refusal;
    // Whoever began one before may have died before closing this.
    const next = await this.#make(current.number + 1);
    if (next === undefined) return undefined;
    await readNameOrClose(next);
    await next.file.close();
    // If this process slept meanwhile, the generation was closed by others, who removed it and the next, and what was made
    // just now follows on nothing: the line that closed it names another one.
    writeSync(current.file.fd, closingLine(next.id));
    return (await this.#follow()) ? current.number : undefined;
  }

  /** Removes the generations up to a number: the index has what they said. */
  async remove(upTo: number): Promise<void> {
    for (const number of await generationsIn(this.#dir)) {
      if (number > upTo) continue;
      try {
        await unlink(generationPath(this.#dir, number));
      } catch (error) {
        if (codeOf(error) !== "ENOENT") throw error;
      }
    }
  }

  close(): Promise<void> {
    return this.#inTurn(() => this.#closeFiles());
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#work.then(async () => {
      this.#working = true;
      try {
        return await work();
      } finally {
        this.#working = false;
      }
    });
    // Whoever asked gets the failure; the next in turn only needs to know that it is over.
    this.#work = result.then(
      () => undefined,
      () => undefined,
    );
    return result;
  }

  async #closeFiles(): Promise<void> {
    const files = [...this.#older, ...(this.#current === undefined ? [] : [this.#current])];
    this.#older = [];
    this.#current = undefined;
    for (const { file } of files) await file.close();
  }

  /** `made` names the file that this process has just begun the journal with. */
  async #follow(made?: string): Promise<boolean> {
    if (this.#current === undefined) {
      await this.#open();
      const current = this.#current as Generation | undefined;
      if (current !== undefined) {
        await readName(current);
        // What others said before, while this process saw no journal, may be in the index alone by now.
        if (made === undefined || current.id !== made || this.#older.length > 0) this.#lost = true;
      }
    }
    const waiting = [...this.#older, ...(this.#current === undefined ? [] : [this.#current])];
    while (waiting.length > 0) {
      const generation = waiting.shift() as Generation;
      await this.#read(generation);
      const successor = waiting[0];
      if (successor !== undefined) {
        // It is over, also when whoever began the next died before saying so.
        if (generation.closed === undefined) await this.#closeFor(generation, successor);
        this.#older = this.#older.filter((older) => older !== generation);
        await generation.file.close();
      } else if (generation.closed !== undefined) {
        const next = await this.#openFile(generation.number + 1);
        // Files are removed in their order: where this one is still there, the next was not removed, and never was here.
        if (next === undefined) return isNamed(generation, generationPath(this.#dir, generation.number));
        await readNameOrClose(next);
        if (generation.closed.next !== undefined && next.id !== generation.closed.next) {
          await next.file.close();
          return false;
        }
        this.#current = next;
        await generation.file.close();
        waiting.push(next);
      } else if ((await generation.file.stat()).nlink === 0) {
        return false;
      }
    }
    return true;
  }

  async #closeFor(generation: Generation, successor: Generation): Promise<void> {
    if (generation.refusal !== undefined) return;
    await readName(successor);
    writeSync(generation.file.fd, closingLine(successor.id));
    await this.#read(generation);
  }

  /** Hands on what stands behind the position. */
  async #read(generation: Generation): Promise<void> {
    const { size } = await generation.file.stat();
    if (size <= generation.position || generation.closed !== undefined) return;
    const bytes = Buffer.allocUnsafe(size - generation.position);
    const { bytesRead } = await generation.file.read(bytes, 0, bytes.length, generation.position);
    let begin = 0;
    for (let at = bytes.indexOf(NEWLINE); at >= 0 && at < bytesRead; at = bytes.indexOf(NEWLINE, begin)) {
      const line = readJournalLine(bytes.toString("utf8", begin, at));
      begin = at + 1;
      if (line === undefined) continue;
      if ("closed" in line) {
        generation.closed = { next: line.next };
        break;
      }
      if ("boot" in line) {
        generation.id ??= line.id;
        this.otherBoot ||= line.boot !== this.#boot;
      } else {
        this.#onMark(line, generation.number);
      }
    }
    generation.position += begin;
  }

  /** Makes a file, or opens the one that another process made. */
  async #make(number: number): Promise<Generation | undefined> {
    try {
      return await makeGeneration(generationPath(this.#dir, number), number, this.#boot);
    } catch (error) {
      if (codeOf(error) !== "EEXIST") throw error;
      return this.#openFile(number);
    }
  }

  #openFile(number: number): Promise<Generation | undefined> {
    return openGeneration(generationPath(this.#dir, number), number, this.#readOnly);
  }
}
