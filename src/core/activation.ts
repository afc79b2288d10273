/** When an agent answers in a group. */
export const ACTIVATION_MODES = ["always", "mention"] as const;
export type ActivationMode = (typeof ACTIVATION_MODES)[number];

/** Whether a message is answered. A DM always is; in a group under `mention`, only one that names the agent. */
export function isActivated(message: { chatType: "dm" | "group"; mentioned: boolean }, mode: ActivationMode): boolean {
  return message.chatType === "dm" || mode === "always" || message.mentioned;
}
