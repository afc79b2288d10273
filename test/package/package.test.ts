import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { promisify } from "node:util";
import ts from "typescript";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const run = promisify(execFile);
const ROOT = resolve(import.meta.dirname, "../..");
const manifest = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as {
  version: string;
  devDependencies: Record<string, string>;
};
const npm = process.platform === "win32" ? "npm.cmd" : "npm";
// Signals of an npm that runs this suite must not steer the npm it runs.
const env = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !/^npm_(config_(local_)?prefix|lifecycle|package)/i.test(name)),
);

let dir: string;

/** Runs a file in the folder the package was installed in. */
async function node(file: string, ...args: string[]): Promise<string> {
  const { stdout } = await run(process.execPath, [file, ...args], { cwd: dir, env: { ...env, NO_COLOR: "1" } });
  return stdout;
}

// A host's other packages may have types of their own that do not hold; ours must.
async function typecheck(files: readonly string[], options: { alsoLibraries: boolean }): Promise<string> {
  const settings = [
    "--noEmit",
    "--strict",
    "--skipLibCheck",
    String(!options.alsoLibraries),
    "--target",
    "ES2022",
    "--lib",
    "ES2023,ESNext.Disposable",
  ];
  const modules = ["--module", "NodeNext", "--moduleResolution", "NodeNext", "--types", "node", "--esModuleInterop"];
  const tsc = join(ROOT, "node_modules/typescript/bin/tsc");
  try {
    return (await run(process.execPath, [tsc, ...settings, ...modules, ...files], { cwd: dir })).stdout;
  } catch (error) {
    return (error as { stdout: string }).stdout;
  }
}

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "openclaw-sessions-package-"));
  const packed = await run(npm, ["pack", "--ignore-scripts", "--json", "--pack-destination", dir], { cwd: ROOT, env });
  const [{ filename }] = JSON.parse(packed.stdout) as [{ filename: string }];
  writeFileSync(join(dir, "package.json"), JSON.stringify({ name: "a-host", private: true, type: "module" }));
  const needed = ["@types/node", "grammy", "ai"].map((name) => `${name}@${manifest.devDependencies[name]}`);
  await run(
    npm,
    ["install", "--no-audit", "--no-fund", "--prefer-offline", "--ignore-scripts", `./${filename}`, ...needed],
    { cwd: dir, env },
  );
}, 180_000);

afterAll(() => rmSync(dir, { recursive: true, force: true }));

const USE = `
const sessions = new SessionManager({ dir: DIR, provider: scriptedProvider(["hello"]) });
sessions
  .handle({ channel: "telegram", chatType: "dm", peerId: "1", text: "hi" })
  .then((outcome) => sessions.close().then(() => console.log(outcome.key, outcome.status, DEFAULT_DM_SCOPE)));
`;

describe("the packed tarball, installed in an empty folder", () => {
  test("works as ESM", async () => {
    writeFileSync(
      join(dir, "esm.mjs"),
      `import { SessionManager } from "openclaw-sessions";
       import { DEFAULT_DM_SCOPE } from "openclaw-sessions/core";
       import { scriptedProvider } from "openclaw-sessions/testing";
       ${USE.replace("DIR", '"./esm"')}`,
    );
    expect(await node("esm.mjs")).toBe("agent:main:telegram:dm:1 replied per-channel-peer\n");
  });

  test("works as CJS", async () => {
    writeFileSync(
      join(dir, "cjs.cjs"),
      `const { SessionManager } = require("openclaw-sessions");
       const { DEFAULT_DM_SCOPE } = require("openclaw-sessions/core");
       const { scriptedProvider } = require("openclaw-sessions/testing");
       ${USE.replace("DIR", '"./cjs"')}`,
    );
    expect(await node("cjs.cjs")).toBe("agent:main:telegram:dm:1 replied per-channel-peer\n");
  });

  test("an error of one build is recognised by the other", async () => {
    writeFileSync(
      join(dir, "both.mjs"),
      `import { createRequire } from "node:module";
       import { isSessionError, parseSessionKey } from "openclaw-sessions";
       const cjs = createRequire(import.meta.url)("openclaw-sessions");
       try { parseSessionKey("x"); } catch (error) { console.log(cjs.isSessionError(error, "INVALID_SESSION_KEY")); }
       try { cjs.parseSessionKey("x"); } catch (error) { console.log(isSessionError(error, "INVALID_SESSION_KEY"), isSessionError(error, "CLOSED")); }`,
    );
    expect(await node("both.mjs")).toBe("true\ntrue false\n");
  });

  test("its types hold for ESM and CJS hosts, and refuse what is wrong", async () => {
    const typed = `
      import { isSessionError, type ProviderHooks, type SessionKey, SessionManager, type TurnOutcome } from "openclaw-sessions";
      import { resolveSessionKey } from "openclaw-sessions/core";
      import { scriptedProvider } from "openclaw-sessions/testing";
      const provider: ProviderHooks = scriptedProvider(["x"]);
      export const sessions = new SessionManager({ dir: "x", provider });
      export const key: SessionKey = resolveSessionKey({ channel: "a", chatType: "dm", peerId: "1" }, { dmScope: "per-peer" });
      export const outcome: Promise<TurnOutcome> = sessions.handle({ channel: "a", chatType: "dm", peerId: "1", text: "x" });
      export const code = (error: unknown) => (isSessionError(error, "HOOK") ? error.code : undefined);
      // @ts-expect-error a text is not a key
      export const wrong: SessionKey = "agent:main:main";
      // @ts-expect-error no such scope
      resolveSessionKey({ channel: "a", chatType: "dm", peerId: "1" }, { dmScope: "per-chanel-peer" });
      // @ts-expect-error no such scope
      new SessionManager({ dir: "x", config: { session: { dmScope: "peer" } } });
      new SessionManager({ dir: "x", config: { gateway: { port: 1 }, session: { dmScope: "main", reset: { mode: "daily" } } } });
      // @ts-expect-error no such option
      new SessionManager({ directory: "x" });
    `;
    writeFileSync(join(dir, "typed-esm.mts"), typed);
    writeFileSync(join(dir, "typed-cjs.cts"), typed);
    expect(await typecheck(["typed-esm.mts", "typed-cjs.cts"], { alsoLibraries: true })).toBe("");
  });

  test("the command line is there under its name", async () => {
    const bin = join("node_modules", ".bin", "openclaw-sessions");
    const { stdout } = await run(join(dir, bin), ["--version"], { cwd: dir });
    expect(stdout.trim()).toBe(manifest.version);
    const { stdout: list } = await run(join(dir, bin), ["list", "--json", "--dir", "./esm"], { cwd: dir });
    expect(JSON.parse(list)).toMatchObject([{ key: "agent:main:telegram:dm:1", messageCount: 2 }]);
  });

  test("the core needs nothing of Node", async () => {
    writeFileSync(
      join(dir, "core.mjs"),
      `import { readFileSync } from "node:fs";
       const seen = new Set();
       const walk = (url) => {
         if (seen.has(url.href)) return;
         seen.add(url.href);
         const source = readFileSync(url, "utf8");
         for (const [, target] of source.matchAll(/from\\s*"([^"]+)"/g)) {
           if (target.startsWith("node:")) console.log(target);
           if (target.startsWith(".")) walk(new URL(target, url));
         }
       };
       walk(new URL("./node_modules/openclaw-sessions/dist/core.js", import.meta.url));
       console.log(seen.size > 0);`,
    );
    expect(await node("core.mjs")).toBe("true\n");
  });
});

interface Block {
  name: string | undefined;
  code: string;
  output: string | undefined;
}

/** The TypeScript blocks of the README, each with the text block that stands right behind it: what it prints. */
function readmeBlocks(): Block[] {
  const readme = readFileSync(join(ROOT, "README.md"), "utf8");
  const blocks = [...readme.matchAll(/```ts([^\n]*)\n([\s\S]*?)```(?:\n\n```text\n([\s\S]*?)```)?/g)];
  return blocks.map(([, name, code, output]) => ({ name: name?.trim() || undefined, code: code ?? "", output }));
}

describe("the README's code", () => {
  const blocks = readmeBlocks().map((block, index) => ({ ...block, file: block.name ?? `readme-${index}.ts` }));

  test("has its types checked against the package", async () => {
    expect(blocks.length).toBeGreaterThanOrEqual(7);
    for (const { file, code } of blocks) writeFileSync(join(dir, file), `${code}\nexport {};\n`);
    expect(
      await typecheck(
        blocks.map(({ file }) => file),
        { alsoLibraries: false },
      ),
    ).toBe("");
  });

  test("runs, and prints what the README says it prints", async () => {
    for (const { file, code } of blocks) {
      const compilerOptions = { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022 };
      writeFileSync(join(dir, file.replace(/\.ts$/, ".js")), ts.transpileModule(code, { compilerOptions }).outputText);
    }
    for (const { file, output } of blocks) {
      const printed = await node(file.replace(/\.ts$/, ".js"));
      if (output !== undefined) expect(printed, file).toBe(output);
    }
    expect(blocks.filter(({ output }) => output !== undefined).length).toBeGreaterThanOrEqual(4);
  });

  test.each([
    ["bot", "test/hosts/telegram-bot.ts"],
    ["storage", "test/testing/map-storage.ts"],
  ])("shows the very %s that the tests run", (_what, path) => {
    const shown = blocks.find(({ name }) => name === basename(path));
    expect(shown?.code).toBe(readFileSync(join(ROOT, path), "utf8"));
  });
});
