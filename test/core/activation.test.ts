import { expect, test } from "vitest";
import { type ActivationMode, isActivated } from "../../src/core.js";

test.each<[chatType: "dm" | "group", mode: ActivationMode, mentioned: boolean, answered: boolean]>([
  ["dm", "always", false, true],
  ["dm", "always", true, true],
  ["dm", "mention", false, true],
  ["dm", "mention", true, true],
  ["group", "always", false, true],
  ["group", "always", true, true],
  ["group", "mention", false, false],
  ["group", "mention", true, true],
])("in a %s under %s, a message whose mention is %s is answered: %s", (chatType, mode, mentioned, answered) => {
  expect(isActivated({ chatType, mentioned }, mode)).toBe(answered);
});
