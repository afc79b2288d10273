import type { SessionKey } from "../core/key.js";
import { isModelName } from "../core/state.js";
import { HookError } from "../errors.js";
import type { Shell } from "./shell.js";

/** The model a name stands for, as the host says. @throws HookError when the host does not say. */
export function resolveModel({ provider }: Shell, name: string, key: SessionKey): string | undefined {
  if (provider?.resolveModel === undefined) return name;
  let resolved: unknown;
  try {
    resolved = provider.resolveModel(name);
  } catch (cause) {
    throw new HookError("resolveModel did not answer, so the model was not changed.", {
      operation: "resolveModel",
      key,
      cause,
    });
  }
  if (resolved === undefined || isModelName(resolved)) return resolved;
  throw new HookError("resolveModel must return a name of 1 to 256 bytes or undefined, at once.", {
    operation: "resolveModel",
    key,
  });
}
