import { appendFileSync, existsSync, readFileSync, unlinkSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { OpenFile } from "../../../src/storage/jsonl/transcript/open-file.js";
import { tempDir } from "../storage-kinds.js";

const VOID = '{"type":"void"}';

async function fileWith(text: string): Promise<{ path: string; file: OpenFile }> {
  const path = join(tempDir(), "transcript.jsonl");
  writeFileSync(path, text);
  const file = new OpenFile("b0c1e1b4-0d5c-4a52-8a52-0d4c9a7c1d11", path, await open(path, "a+"));
  onTestFinished(() => file.close());
  return { path, file };
}

test("S5 an update that does not count is blanked where it stands, and what others wrote around it is left", async () => {
  const mine = Buffer.from('{"role":"user","content":"second of two"}\n');
  const { path, file } = await fileWith('{"first":1}\n{"theirs":1}\n');
  await file.write(mine);
  appendFileSync(path, '{"theirs":2}\n');
  await file.blank(mine, '{"first":1}\n'.length);
  const lines = readFileSync(path, "utf8").split("\n");
  expect(lines.map((line) => line.trimEnd())).toEqual(['{"first":1}', '{"theirs":1}', VOID, '{"theirs":2}', ""]);
  expect(lines[2]).toHaveLength(mine.length - 1);
});

test("S13 blanking an update of a session that another process has deleted meanwhile is no failure and makes no file", async () => {
  const mine = Buffer.from('{"role":"user","content":"too late"}\n');
  const { path, file } = await fileWith("");
  await file.write(mine);
  unlinkSync(path);
  await expect(file.blank(mine, 0)).resolves.toBeUndefined();
  expect(existsSync(path)).toBe(false);
});

test("S13 blanking leaves alone what stands in the place of a session that was deleted meanwhile", async () => {
  const mine = Buffer.from('{"role":"user","content":"too late"}\n');
  const { path, file } = await fileWith("");
  await file.write(mine);
  unlinkSync(path);
  writeFileSync(path, mine);
  await file.blank(mine, 0);
  expect(readFileSync(path)).toEqual(mine);
});
