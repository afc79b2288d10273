import { readFile } from "node:fs/promises";

// From the built file, and from this one.
const PLACES = ["../package.json", "../../package.json"];

/** The version of this package, as its `package.json` has it. */
export async function packageVersion(): Promise<string> {
  for (const place of PLACES) {
    const text = await readIfThere(new URL(place, import.meta.url));
    if (text !== undefined) return (JSON.parse(text) as { version: string }).version;
  }
  throw new Error("package.json is not where the package has it.");
}

async function readIfThere(url: URL): Promise<string | undefined> {
  try {
    return await readFile(url, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
