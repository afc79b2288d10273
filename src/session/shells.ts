import type { Shell } from "./shell.js";

const shells = new WeakMap<object, Shell>();

/** Lets functions beside a manager reach what it works with, and nobody else. */
export function keepShell(manager: object, shell: Shell): void {
  shells.set(manager, shell);
}

export function shellOf(manager: object): Shell {
  const shell = shells.get(manager);
  if (shell === undefined)
    throw new TypeError("Give a SessionManager, and one of this copy of the library: ESM and CJS do not mix here.");
  return shell;
}
