/** A deep copy as JSON would keep it, so that memory and disk never differ in what they hold. Throws where JSON cannot. */
export function copyJson<T>(value: T): T {
  const text: string | undefined = JSON.stringify(value);
  return (text === undefined ? undefined : JSON.parse(text)) as T;
}

/** How many bytes of UTF-8 a value takes as JSON. */
export function jsonBytes(value: unknown): number {
  return new TextEncoder().encode(JSON.stringify(value)).length;
}
