import fs from "node:fs";
import fsPromises, { type FileHandle } from "node:fs/promises";
import { createRequire, syncBuiltinESMExports } from "node:module";
import { vi } from "vitest";
import { fileHandles } from "../commits/sessions-on-disk.js";
import { canFail, type ErrorCode, failure } from "./failures.js";

// What proper-lockfile calls is a copy of node:fs that was made when it was loaded.
const fromLockfile = createRequire(createRequire(import.meta.url).resolve("proper-lockfile"));
const gracefulFs = fromLockfile("graceful-fs") as typeof fs;

/** A call of the storage, or of what it uses, to the system: `open sessions.json`. */
export interface Call {
  kind: string;
  path: string;
  /** What it is renamed or linked to. */
  to?: string;
}

/** What happens to the call with this number, the first being 0, and `lasting` to every one behind it that it can happen to. */
export interface Fault {
  at: number;
  code: ErrorCode | "SHORT";
  lasting: boolean;
}

const ON_PATHS = ["chmod", "link", "lstat", "mkdir", "open", "readdir", "rename", "rm", "rmdir", "stat", "unlink"];
const ON_HANDLES = ["chmod", "chown", "datasync", "read", "readFile", "stat", "sync", "utimes", "write", "writeFile"];
const WITH_CALLBACKS = ["chmod", "chown", "close", "fsync", "mkdir", "open", "realpath"].concat([
  "rename",
  "rmdir",
  "stat",
  "unlink",
  "utimes",
  "write",
]);

type Anything = (this: unknown, ...args: unknown[]) => unknown;
type Functions = Record<string, Anything>;

/**
 * A layer under the storage that fails calls on what lies below a directory: those of the promise API, of open handles, the
 * synchronous ones, and those that write-file-atomic and proper-lockfile make. Syncs are not done: no power is cut here.
 */
export class FailingDisk {
  /** The calls made since the last `start`. */
  calls: Call[] = [];
  /** How often a call was failed since then. */
  failed = 0;
  #dir: string | undefined;
  #fault: Fault | undefined;
  #picked: { wanted: (call: Call) => boolean; codes: string[] }[] = [];
  readonly #handles = new WeakMap<object, string>();
  readonly #fds = new Map<number, string>();

  static async install(): Promise<FailingDisk> {
    const disk = new FailingDisk();
    const handles = (await fileHandles()) as unknown as Functions;
    const promises = fsPromises as unknown as Functions;
    const sync = fs as unknown as Functions;
    for (const name of ON_PATHS) replace(promises, name, (real) => disk.#promised(name, real));
    for (const name of ON_HANDLES) replace(handles, name, (real) => disk.#ofHandle(name, real));
    for (const name of ["fstatSync", "writeSync"]) replace(sync, name, (real) => disk.#sync(name, real));
    for (const name of WITH_CALLBACKS) {
      replace(sync, name, (real) => disk.#withCallback(name, real));
      replace(gracefulFs as unknown as Functions, name, (real) => disk.#withCallback(name, real));
    }
    syncBuiltinESMExports();
    return disk;
  }

  remove(): void {
    vi.restoreAllMocks();
    syncBuiltinESMExports();
  }

  /** From now on counts the calls on what lies below a directory, and fails one or more of them. */
  start(dir: string, fault?: Fault): void {
    this.#dir = dir;
    this.#fault = fault;
    this.#picked = [];
    this.calls = [];
    this.failed = 0;
  }

  /** From now on the disk is well. */
  stop(): void {
    this.#dir = undefined;
    this.#fault = undefined;
    this.#picked = [];
  }

  /** Fails the next calls that are wanted, one with each code. */
  failNext(wanted: (call: Call) => boolean, codes: readonly string[]): void {
    this.#picked.push({ wanted, codes: [...codes] });
  }

  /** Does something that another process could have done: it is neither counted nor failed. */
  async beside<T>(work: () => Promise<T>): Promise<T> {
    const dir = this.#dir;
    this.#dir = undefined;
    try {
      return await work();
    } finally {
      this.#dir = dir;
    }
  }

  /** Counts a call. @returns what it fails with. */
  #meet(kind: string, path: unknown, args: readonly unknown[]): string | undefined {
    if (this.#dir === undefined || typeof path !== "string" || !path.startsWith(this.#dir)) return undefined;
    const number = this.calls.length;
    const to = /^(rename|link)\b/.test(kind) ? { to: String(args[1]) } : {};
    const call: Call = { kind, path, ...to };
    this.calls.push(call);
    const code = this.#picked.find(({ wanted, codes }) => codes.length > 0 && wanted(call))?.codes.shift();
    const fault = this.#fault;
    const isDue = fault !== undefined && (fault.lasting ? number >= fault.at : number === fault.at);
    const found = code ?? (isDue && canFail({ kind, flags: args[1] }, fault.code) ? fault.code : undefined);
    if (found !== undefined) this.failed += 1;
    return found;
  }

  #promised(name: string, real: Anything): Anything {
    return async (...args) => {
      const code = this.#meet(name, args[0], args);
      if (code !== undefined) throw failure(code, name, args[0]);
      const result = await real(...args);
      if (name === "open") this.#opened(result as FileHandle, String(args[0]));
      return result;
    };
  }

  // A file is closed, whatever closing it reports.
  #opened(handle: FileHandle, path: string): void {
    this.#handles.set(handle, path);
    this.#fds.set(handle.fd, path);
    const { close } = handle;
    handle.close = async () => {
      const code = this.#meet("handle close", path, []);
      this.#fds.delete(handle.fd);
      await close.call(handle);
      if (code !== undefined) throw failure(code, "close", path);
    };
  }

  #ofHandle(name: string, real: Anything): Anything {
    const disk = this;
    return async function (this: unknown, ...args) {
      const path = disk.#handles.get(this as FileHandle);
      const code = disk.#meet(`handle ${name}`, path, args);
      if (code === "SHORT") return real.apply(this, shortened(args));
      if (code !== undefined) throw failure(code, name, path);
      if (path !== undefined && (name === "datasync" || name === "sync")) return undefined;
      return real.apply(this, args);
    };
  }

  #sync(name: string, real: Anything): Anything {
    return (...args) => {
      const path = this.#fds.get(args[0] as number);
      const code = this.#meet(name, path, args);
      if (code === "SHORT") return real(args[0], ...shortened(args.slice(1)));
      if (code !== undefined) throw failure(code, name, path);
      return real(...args);
    };
  }

  #withCallback(name: string, real: Anything): Anything {
    return (...args) => {
      const callback = args.at(-1) as (error: unknown, result?: unknown) => void;
      const ofFile = name === "close" || name === "fsync" || name === "write";
      const path = ofFile ? this.#fds.get(args[0] as number) : args[0];
      const code = this.#meet(`${name}, callback`, path, args);
      if (name === "close") this.#fds.delete(args[0] as number);
      const fail = () => callback(failure(code ?? "", name, path));
      if (name === "close" && code !== undefined) return real(args[0], fail);
      if (code === "SHORT") return real(args[0], ...shortened(args.slice(1)));
      if (code !== undefined) return process.nextTick(fail);
      if (path !== undefined && name === "fsync") return process.nextTick(callback, null);
      if (name !== "open") return real(...args);
      return real(...args.slice(0, -1), (error: unknown, fd: number) => {
        if (error === null) this.#fds.set(fd, String(path));
        callback(error, fd);
      });
    };
  }
}

function replace(functions: Functions, name: string, by: (real: Anything) => Anything): void {
  const real = functions[name] as Anything;
  vi.spyOn(functions, name).mockImplementation(by(real));
}

// A write takes half of what it was given.
function shortened(args: unknown[]): unknown[] {
  const bytes = Buffer.from(args[0] as Uint8Array | string);
  const half = bytes.subarray(0, Math.floor(bytes.length / 2));
  const place = [half, 0, half.length, typeof args[3] === "number" ? args[3] : null];
  const callback = args.at(-1);
  return typeof callback === "function" ? [...place, callback] : place;
}
