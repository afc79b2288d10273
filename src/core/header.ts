import type { SessionKey } from "./key.js";

/** The first line of a transcript. */
export interface HeaderEntry {
  type: "session";
  version: number;
  uuid: string;
  key: SessionKey;
  created: string;
  ancestors: SessionKey[];
}

/** The version this library writes. A transcript with a newer one is read but not written to. */
export const TRANSCRIPT_VERSION = 1;

/** Reads one JSON value as a transcript's header, or gives `undefined` when it is none. */
export function readHeader(value: unknown): HeaderEntry | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const { type, version, uuid, key, created, ancestors = [] } = value as Record<string, unknown>;
  const texts = [uuid, key, created, ...(Array.isArray(ancestors) ? ancestors : [undefined])];
  if (type !== "session" || !Number.isSafeInteger(version) || (version as number) < 1) return undefined;
  if (!texts.every((text) => typeof text === "string")) return undefined;
  return { ...value, ancestors } as unknown as HeaderEntry;
}
