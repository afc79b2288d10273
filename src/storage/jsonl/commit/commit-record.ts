import { crc32 } from "node:zlib";
import { isUuid } from "../layout.js";

/** Bytes of a transcript, and where in it they stand. */
export interface LogRecord {
  uuid: string;
  at: number;
  bytes: Uint8Array;
}

const NAME = /^commits-(.+)-([0-9]+)\.log$/;
const NEWLINE = 0x0a;

/** The name of a process's n-th log. */
export function logName(token: string, n: number): string {
  return `commits-${token}-${n}.log`;
}

/** Whose log a file is, when it is one. */
export function logToken(fileName: string): string | undefined {
  return NAME.exec(fileName)?.[1];
}

/** The first line of a log: who writes it. */
export function ownerLine(owner: unknown): Buffer {
  return Buffer.from(`${JSON.stringify({ owner })}\n`);
}

/**
 * Records as they stand in a log, each a line that says what follows and then the bytes as they are. The checksum tells a
 * record from one of which a power cut left the length and not the content.
 */
export function encodeRecords(records: readonly LogRecord[]): Buffer {
  const heads = records.map(
    ({ uuid, at, bytes }) => `{"uuid":"${uuid}","at":${at},"bytes":${bytes.length},"crc":${crc32(bytes)}}\n`,
  );
  const size = records.reduce((sum, { bytes }, index) => sum + bytes.length + (heads[index] as string).length, 0);
  const log = Buffer.allocUnsafe(size);
  let position = 0;
  for (const [index, { bytes }] of records.entries()) {
    position += log.write(heads[index] as string, position, "latin1");
    log.set(bytes, position);
    position += bytes.length;
  }
  return log;
}

/** What a log holds. The first record that is not whole ends it: what stands behind was never acknowledged. */
export function readLog(log: Buffer): { owner: unknown; records: LogRecord[] } {
  const first = lineAt(log, 0);
  const owner = first === undefined ? undefined : (parseObject(first.text) as { owner?: unknown } | undefined)?.owner;
  const records: LogRecord[] = [];
  if (first === undefined || owner === undefined) return { owner: undefined, records };
  for (let position = first.end; ; ) {
    const head = lineAt(log, position);
    if (head === undefined) break;
    const { uuid, at, bytes: length, crc } = (parseObject(head.text) ?? {}) as Record<string, unknown>;
    if (!isUuid(uuid) || !isOffset(at) || !isOffset(length) || head.end + length > log.length) break;
    const bytes = log.subarray(head.end, head.end + length);
    if (crc32(bytes) !== crc) break;
    records.push({ uuid, at, bytes });
    position = head.end + length;
  }
  return { owner, records };
}

/** No line of a log that is not someone's bytes comes near this. */
export const MAX_LINE = 4096;

function lineAt(log: Buffer, start: number): { text: string; end: number } | undefined {
  const length = log.subarray(start, start + MAX_LINE).indexOf(NEWLINE);
  return length < 0 ? undefined : { text: log.toString("utf8", start, start + length), end: start + length + 1 };
}

function parseObject(text: string): object | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? value : undefined;
  } catch {
    // Half a line: the log ends here, which is what `undefined` says.
    return undefined;
  }
}

function isOffset(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
