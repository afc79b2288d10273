import { parseSessionKey, type SessionKey } from "./key.js";

/** Where the agent may not speak, in the shape of `session.sendPolicy` of `openclaw.json`. */
export interface SendPolicy {
  default?: "allow" | "deny" | undefined;
  rules?: readonly SendRule[] | undefined;
}

/** The first rule all of whose conditions hold decides. */
export interface SendRule {
  action: "allow" | "deny";
  match?:
    | { channel?: string | undefined; chatType?: "dm" | "direct" | "group" | undefined; keyPrefix?: string | undefined }
    | undefined;
}

/** Whether the agent may answer an address. A message that may not be answered is kept as context. */
export function maySend(
  address: { channel: string; chatType: "dm" | "group" },
  key: SessionKey,
  policy: SendPolicy | undefined,
): boolean {
  const body = key.slice(`agent:${parseSessionKey(key).agentId}:`.length);
  const rule = policy?.rules?.find(({ match = {} }) => {
    const chatType = match.chatType === "direct" ? "dm" : match.chatType;
    return (
      (match.channel === undefined || match.channel === address.channel) &&
      (chatType === undefined || chatType === address.chatType) &&
      (match.keyPrefix === undefined || key.startsWith(match.keyPrefix) || body.startsWith(match.keyPrefix))
    );
  });
  return (rule?.action ?? policy?.default ?? "allow") === "allow";
}
