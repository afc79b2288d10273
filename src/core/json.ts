/** A deep copy as JSON would keep it, so that memory and disk never differ in what they hold. Throws where JSON cannot. */
export function copyJson<T>(value: T): T {
  const text: string | undefined = JSON.stringify(value);
  return (text === undefined ? undefined : JSON.parse(text)) as T;
}

// What stands in JSON as it is, a byte each.
const PLAIN = /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/;
const encoder = new TextEncoder();

/** How many bytes of UTF-8 a value takes as JSON. */
export function jsonBytes(value: unknown): number {
  if (typeof value === "string" && PLAIN.test(value)) return value.length + 2;
  return encoder.encode(JSON.stringify(value)).length;
}

/** A deep copy of what is JSON already. Several times as fast as going through text. */
export function cloneJson<T>(value: T): T {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(cloneJson) as T;
  const copy: Record<string, unknown> = {};
  for (const name of Object.keys(value)) {
    const part = cloneJson((value as Record<string, unknown>)[name]);
    // An assignment to this name would set the prototype.
    if (name === "__proto__")
      Object.defineProperty(copy, name, { value: part, enumerable: true, writable: true, configurable: true });
    else copy[name] = part;
  }
  return copy as T;
}

/** Whether a value would be written as the same JSON as `json`, whatever the order of its fields. `false` when in doubt. */
export function sameJson(json: unknown, value: unknown): boolean {
  if (typeof json !== "object" || json === null) return Object.is(json, value) || (json === 0 && value === 0);
  if (typeof value !== "object" || value === null || "toJSON" in value) return false;
  if (Array.isArray(json)) {
    if (!Array.isArray(value) || json.length !== value.length) return false;
    for (let at = 0; at < json.length; at += 1) if (!sameJson(json[at], value[at])) return false;
    return true;
  }
  if (Array.isArray(value)) return false;
  let count = 0;
  for (const name of Object.keys(value)) {
    const part = (value as Record<string, unknown>)[name];
    if (part === undefined) continue;
    if (!Object.hasOwn(json, name) || !sameJson((json as Record<string, unknown>)[name], part)) return false;
    count += 1;
  }
  return count === Object.keys(json).length;
}
