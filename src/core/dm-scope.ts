import { InvalidConfigError } from "../errors.js";
import { type Address, type CheckedAddress, checkAddress, DEFAULT_AGENT } from "./address.js";
import { compileIdentityLinks, type IdentityLinks, type IdentityLookup } from "./identity-links.js";
import { assertAgentId, formatSessionKey, type SessionKey } from "./key.js";

/** How DM addresses share sessions, from everyone in one to one per person, channel and bot account. */
export const DM_SCOPES = ["main", "per-peer", "per-channel-peer", "per-account-channel-peer"] as const;
export type DmScope = (typeof DM_SCOPES)[number];

/** The one default. `main` happens only when someone writes the word: in it everyone reads everyone. */
export const DEFAULT_DM_SCOPE: DmScope = "per-channel-peer";

/** Whether a topic of a group is a conversation of its own. */
export const THREAD_MODES = ["separate", "shared"] as const;
export type ThreadMode = (typeof THREAD_MODES)[number];

/** The settings that decide which session an address belongs to. All of them come from the operator. */
export interface ScopePolicy {
  /** Default `per-channel-peer`. */
  dmScope?: DmScope | undefined;
  /** Who is the same person where. Default: nobody. */
  identityLinks?: IdentityLinks | undefined;
  /** The last segment of the shared session's key under `main`. Default `main`. */
  mainKey?: string | undefined;
  /** `separate` (the default): each topic its own session; `shared`: a group's topics share the group's session. */
  threads?: ThreadMode | undefined;
  /** The agent of an address that names none. Default `main`. */
  defaultAgentId?: string | undefined;
}

/** A policy checked once, to resolve many addresses. */
export interface CompiledScopePolicy {
  check(address: Address): CheckedAddress;
  resolve(address: CheckedAddress): SessionKey;
  /** A text that is the same for two DM addresses exactly when they are the same person. */
  person(address: CheckedAddress & { chatType: "dm" }): string;
}

/**
 * The session an address belongs to.
 * @throws InvalidSessionKeyError when a part is missing or malformed: nothing falls back to a shared session.
 * @throws InvalidConfigError when the policy has an unknown value or contradictory links.
 */
export function resolveSessionKey(address: Address, policy: ScopePolicy = {}): SessionKey {
  const compiled = compileScopePolicy(policy);
  return compiled.resolve(compiled.check(address));
}

/** @throws InvalidConfigError */
export function compileScopePolicy(policy: ScopePolicy): CompiledScopePolicy {
  const { dmScope = DEFAULT_DM_SCOPE, mainKey = "main", threads = "separate", defaultAgentId = DEFAULT_AGENT } = policy;
  assertOneOf(dmScope, DM_SCOPES, "session.dmScope");
  assertOneOf(threads, THREAD_MODES, "session.threads");
  configured(() => assertAgentId(mainKey, "session.mainKey"));
  configured(() => assertAgentId(defaultAgentId, "defaultAgentId"));
  const identityOf = compileIdentityLinks(policy.identityLinks, dmScope !== "per-channel-peer");
  return {
    check: (address) => checkAddress(address, defaultAgentId),
    resolve: (address) =>
      address.chatType === "group"
        ? resolveGroup(address, dmScope, threads)
        : resolveDm(address, dmScope, mainKey, identityOf),
    person: (address) =>
      JSON.stringify(identityOf(address)?.name ?? [address.channel, address.accountId, address.peerId]),
  };
}

function resolveDm(
  address: CheckedAddress & { chatType: "dm" },
  dmScope: DmScope,
  mainKey: string,
  identityOf: IdentityLookup,
): SessionKey {
  const { agentId, channel, accountId, peerId } = address;
  if (dmScope === "main") return formatSessionKey({ kind: "main", agentId, mainKey });
  const identity = identityOf(address);
  switch (dmScope) {
    case "per-peer":
      return identity === undefined
        ? formatSessionKey({ kind: "dm", agentId, channel, peerId })
        : formatSessionKey({ kind: "dm", agentId, peerId: identity.name });
    case "per-channel-peer":
      return formatSessionKey({ kind: "dm", agentId, channel, peerId: identity?.firstPeer(channel) ?? peerId });
    case "per-account-channel-peer":
      return formatSessionKey({
        kind: "dm",
        agentId,
        channel,
        accountId,
        peerId: identity?.firstPeer(channel, accountId) ?? peerId,
      });
  }
}

function resolveGroup(
  address: CheckedAddress & { chatType: "group" },
  dmScope: DmScope,
  threads: ThreadMode,
): SessionKey {
  const { agentId, channel, groupId, topicId, accountId } = address;
  return formatSessionKey({
    kind: "group",
    agentId,
    channel,
    groupId,
    ...(topicId !== undefined && threads === "separate" ? { topicId } : {}),
    ...(dmScope === "per-account-channel-peer" ? { accountId } : {}),
  });
}

function assertOneOf(value: unknown, allowed: readonly string[], name: string): void {
  if (allowed.includes(value as string)) return;
  throw new InvalidConfigError(
    `${name} must be one of ${allowed.map((word) => `"${word}"`).join(", ")}; got ${JSON.stringify(value)}.`,
  );
}

function configured(check: () => void): void {
  try {
    check();
  } catch (cause) {
    throw new InvalidConfigError((cause as Error).message, { cause });
  }
}
