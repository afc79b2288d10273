import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize, relative, resolve } from "node:path";
import { expect, test } from "vitest";

const SRC = resolve(import.meta.dirname, "../src");

const files = readdirSync(SRC, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile())
  .map((entry) => relative(SRC, join(entry.parentPath, entry.name)));

const IMPORT = /\b(?:from\s+|import\s+|import\s*\(\s*)"([^"]+)"/g;

interface Import {
  file: string;
  target: string;
}

const imports: Import[] = files.flatMap((file) => {
  const source = readFileSync(join(SRC, file), "utf8").replace(/^\s*(\/\/|\*|\/\*).*$/gm, "");
  return [...source.matchAll(IMPORT)].map((match) => {
    const text = match[1] ?? "";
    const target = text.startsWith(".") ? normalize(join(dirname(file), text)).replace(/\.js$/, ".ts") : text;
    return { file, target };
  });
});

/** What the files of a folder may import, besides files of the folder itself. */
const ALLOWED: Record<string, (target: string, file: string) => boolean> = {
  core: (target) => target === "errors.ts" || target === "zod",
  storage: (target) =>
    /^core\//.test(target) ||
    target === "errors.ts" ||
    target === "zod" ||
    /^node:/.test(target) ||
    target === "write-file-atomic" ||
    target === "proper-lockfile",
  session: (target, file) =>
    /^core\//.test(target) ||
    target === "errors.ts" ||
    target === "zod" ||
    target === "storage/storage.ts" ||
    target === "storage/report.ts" ||
    target === "storage/appending.ts" ||
    // Only the manager knows the default storage and where ids come from, only loadConfig the file it reads.
    (file === "session/manager.ts" &&
      (/^storage\/jsonl\//.test(target) ||
        /^tokens\//.test(target) ||
        target === "ulid" ||
        target === "node:crypto")) ||
    (file === "session/manager-options.ts" && target === "storage/jsonl/durability.ts") ||
    (file === "session/config-file.ts" && (target === "json5" || target === "node:fs/promises")),
  tokens: (target) => /^core\//.test(target) || /^tiktoken\//.test(target),
  testing: (target, file) =>
    /^core\//.test(target) ||
    target === "errors.ts" ||
    target === "session/hooks.ts" ||
    // The contract knows what a storage is and what a range means, and no storage; its processes are Node's.
    (/^testing\/contract\//.test(file) &&
      (target === "storage/storage.ts" || target === "storage/select-entries.ts" || /^node:/.test(target))),
  cli: (target) => target === "index.ts" || target === "core.ts" || /^node:/.test(target),
};

const folderOf = (path: string) => (path.includes("/") ? (path.split("/")[0] ?? "") : "");

test("imports run one way: each folder imports itself and what stands below it", () => {
  expect(imports.length).toBeGreaterThan(100);
  const wrong = imports.filter(({ file, target }) => {
    const folder = folderOf(file);
    if (folder === "" || folderOf(target) === folder) return false;
    return ALLOWED[folder]?.(target, file) !== true;
  });
  expect(wrong).toEqual([]);
});

test("the core has no clock, no randomness, no promise and nothing of Node", () => {
  const offenders = files
    .filter((file) => folderOf(file) === "core")
    .flatMap((file) => {
      const source = readFileSync(join(SRC, file), "utf8").replace(/^\s*(\/\/|\*|\/\*).*$/gm, "");
      return (
        source.match(
          /\bDate\.now\b|new Date\(\)|Math\.random|\bcrypto\b|\basync\b|\bawait\b|\bPromise\b|\bprocess\.|\bBuffer\b(?!")|"node:/g,
        ) ?? []
      ).map((word) => `${file}: ${word}`);
    });
  expect(offenders).toEqual([]);
});

test("the faces only hand on", () => {
  for (const face of files.filter((file) => folderOf(file) === "" && file !== "errors.ts")) {
    const statements = readFileSync(join(SRC, face), "utf8")
      .replace(/\/\*[\s\S]*?\*\//g, "")
      .split(";")
      .map((statement) => statement.trim())
      .filter(Boolean);
    for (const statement of statements) expect(statement, face).toMatch(/^export (type )?(\{[\s\S]*\}|\*) from "/);
  }
});

test("no file imports in a circle", () => {
  const graph = new Map<string, string[]>();
  for (const { file, target } of imports)
    if (files.includes(target)) graph.set(file, [...(graph.get(file) ?? []), target]);
  const done = new Set<string>();
  const circles: string[] = [];
  const visit = (file: string, path: string[]): void => {
    if (path.includes(file)) circles.push([...path.slice(path.indexOf(file)), file].join(" -> "));
    if (done.has(file) || path.includes(file)) return;
    for (const target of graph.get(file) ?? []) visit(target, [...path, file]);
    done.add(file);
  };
  for (const file of files) visit(file, []);
  expect(circles).toEqual([]);
});

test("names say something, files say one thing, and nothing is exported for a test", () => {
  expect(files.filter((file) => /(^|\/)(utils?|helpers?|common|misc)(\.ts|\/)/.test(file))).toEqual([]);
  const long = files.filter((file) => readFileSync(join(SRC, file), "utf8").split("\n").length > 301);
  expect(long).toEqual([]);
  const forTests = files.filter((file) =>
    /export [^\n]*(ForTest|_test|Internal\b)/.test(readFileSync(join(SRC, file), "utf8")),
  );
  expect(forTests).toEqual([]);
});

test("no fault is swallowed: no empty catch", () => {
  const swallowed = files.filter((file) =>
    /catch\s*(\([^)]*\))?\s*\{\s*\}|\.catch\(\(\)\s*=>\s*(\{\}|undefined|null)\)/.test(
      readFileSync(join(SRC, file), "utf8"),
    ),
  );
  expect(swallowed).toEqual([]);
});
