import { z } from "zod";
import { closestWord } from "./spelling.js";

/**
 * A section of a config: the settings that are ours. What else stands in it belongs to someone else and is left alone, unless
 * it is within two edits of one of ours: then it is a slip, and silence would leave its author with a default they did
 * not choose. `others` are real settings that happen to be that close; `misplaced` are settings of ours that do nothing here, each with
 * where it belongs.
 */
export function section<T extends z.ZodRawShape>(
  path: string,
  shape: T,
  others: readonly string[] = [],
  misplaced: Readonly<Record<string, string>> = {},
) {
  const ours = Object.keys(shape);
  return z.looseObject(shape).check((context) => {
    for (const name of Object.keys(context.value)) {
      if (ours.includes(name) || others.includes(name)) continue;
      if (Object.hasOwn(misplaced, name)) {
        const message = `${JSON.stringify(name)} does nothing here; the setting is ${misplaced[name]}.`;
        context.issues.push({ code: "custom", input: name, message });
        continue;
      }
      const meant = closestWord(name, ours);
      if (meant === undefined) continue;
      const known = ours.map((word) => `"${word}"`).join(", ");
      context.issues.push({
        code: "custom",
        input: name,
        message: `${JSON.stringify(name)} is no setting${path === "" ? "" : ` of ${path}`}; did you mean "${meant}"? Settings here: ${known}.`,
      });
    }
  });
}
