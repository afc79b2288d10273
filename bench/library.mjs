// The built library that is measured.
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

export const dist = resolve(process.env.LIBRARY_DIST ?? fileURLToPath(new URL("../dist", import.meta.url)));
const face = join(dist, "index.js");

export const isBuilt = existsSync(face);

export function library() {
  return import(pathToFileURL(face).href);
}
