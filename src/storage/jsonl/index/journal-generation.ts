import { randomUUID } from "node:crypto";
import { constants, writeSync } from "node:fs";
import { type FileHandle, open, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { codeOf, isRefusal } from "../fault.js";
import { ownPrivately, SAFELY } from "../layout.js";
import { readJournalLine } from "./journal-line.js";

/** One file of a journal. */
export interface Generation {
  number: number;
  file: FileHandle;
  /** What has been read of it. */
  position: number;
  /** The name that its first line gives it. */
  id?: string | undefined;
  /** It is over, and what stands behind the line that says so does not count. `next` names the one after it. */
  closed?: { next: string | undefined } | undefined;
  /** Why it cannot be written to, where it can only be read. */
  refusal?: unknown;
}

const NAME = /^(\d{9})\.jsonl$/;
const APPEND = constants.O_RDWR | constants.O_APPEND | SAFELY;
const READ = constants.O_RDONLY | SAFELY;
const READ_ONLY = new TypeError("A journal that was opened to be read is not written.");
const NEWLINE = 0x0a;
// More than a first line takes.
const NAME_BYTES = 512;

/** The numbers of the files there are, in order. */
export async function generationsIn(dir: string): Promise<number[]> {
  try {
    const names = await readdir(dir);
    return names
      .flatMap((name) => NAME.exec(name)?.[1] ?? [])
      .map(Number)
      .sort((a, b) => a - b);
  } catch (error) {
    if (codeOf(error) === "ENOENT") return [];
    throw error;
  }
}

export function generationPath(dir: string, number: number): string {
  return join(dir, `${String(number).padStart(9, "0")}.jsonl`);
}

/** Opens a file of a journal, to be read only where it cannot be written. `undefined` when there is none. */
export async function openGeneration(path: string, number: number, readOnly: boolean): Promise<Generation | undefined> {
  try {
    if (readOnly) return { number, file: await open(path, READ), position: 0, refusal: READ_ONLY };
    return { number, file: await open(path, APPEND), position: 0 };
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    if (readOnly || !isRefusal(error)) throw error;
    const reading = await openGeneration(path, number, true);
    return reading && { ...reading, refusal: error };
  }
}

/** Makes a file of a journal. @throws EEXIST when there is one. */
export async function makeGeneration(path: string, number: number, boot: string | null): Promise<Generation> {
  const file = await open(path, APPEND | constants.O_CREAT | constants.O_EXCL, 0o600);
  try {
    await ownPrivately(file, path);
    const id = randomUUID();
    writeSync(file.fd, `${JSON.stringify({ boot, id })}\n`);
    return { number, file, position: 0, id };
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** Finds out the name of a file of a journal, without taking in what it says. */
export async function readName(generation: Generation): Promise<void> {
  if (generation.id !== undefined) return;
  const head = Buffer.alloc(NAME_BYTES);
  const { bytesRead } = await generation.file.read(head, 0, NAME_BYTES, 0);
  const end = head.subarray(0, bytesRead).indexOf(NEWLINE);
  const line = end < 0 ? undefined : readJournalLine(head.toString("utf8", 0, end));
  if (line !== undefined && "boot" in line) generation.id = line.id;
}

/** The last line of a file of a journal. */
export function closingLine(next: string | undefined): string {
  return `${JSON.stringify({ closed: true, ...(next === undefined ? {} : { next }) })}\n`;
}

/** For one that nobody else knows of yet. */
export async function readNameOrClose(generation: Generation): Promise<void> {
  try {
    await readName(generation);
  } catch (error) {
    await Promise.allSettled([generation.file.close()]);
    throw error;
  }
}

/** Whether a path names the file that is open. */
export async function isNamed({ file }: Generation, path: string): Promise<boolean> {
  try {
    const [open, named] = await Promise.all([file.stat(), stat(path)]);
    return open.ino === named.ino && open.dev === named.dev;
  } catch (error) {
    if (codeOf(error) === "ENOENT") return false;
    throw error;
  }
}

/** Whether two handles are on the same file. */
async function isSame(one: FileHandle, other: FileHandle): Promise<boolean> {
  const [a, b] = await Promise.all([one.stat(), other.stat()]);
  return a.ino === b.ino && a.dev === b.dev;
}

/** Opens for writing what could only be read: what was refused may be allowed by now. @throws what it is refused for. */
export async function writeAgain(
  generation: Generation,
  openFile: (number: number) => Promise<Generation | undefined>,
  readOnly: boolean,
): Promise<void> {
  const { file, refusal } = generation;
  if (refusal === undefined) return;
  if (readOnly) throw refusal;
  const again = await openFile(generation.number);
  const mayWrite = again !== undefined && again.refusal === undefined && (await isSame(file, again.file));
  if (mayWrite && generation.file === file) {
    generation.file = again.file;
    generation.refusal = undefined;
    await file.close();
    return;
  }
  await again?.file.close();
  if (generation.refusal !== undefined) throw refusal;
}
