import { isMessageEntry } from "../../core/entry.js";
import { type Cause, NO_CAUSE } from "../../core/hops.js";
import { formatSessionKey, isSessionKey, parseSessionKey, type SessionKey } from "../../core/key.js";
import type { SessionRecord } from "../../core/record.js";
import { denialOf } from "../../core/tool-policy.js";
import { type Access, accessOf, type SessionRef } from "../../core/visibility.js";
import type { Shell, ToolUser } from "../shell.js";
import { Refusal } from "../tool.js";

/** A session that a tool may act on, and its record where there is one. */
export interface Reached {
  key: SessionKey;
  record: SessionRecord | undefined;
  requester: Requester;
}

/** Who uses a tool, as it is stored. */
interface Requester extends SessionRef {
  record: SessionRecord | undefined;
}

/** Stands before every tool: who uses it, whom that may reach, and what the operator is told of it. */
export class Guard {
  readonly #shell: Shell;
  readonly #user: ToolUser;
  readonly #tool: string;

  constructor(shell: Shell, user: ToolUser, tool: string) {
    this.#shell = shell;
    this.#user = user;
    this.#tool = tool;
  }

  /** Who looks, as it is stored: its lineage is nobody's word. */
  async requester(): Promise<Requester> {
    const { key } = this.#user;
    const record = await this.#shell.ledger.read(key);
    // Who has spawned it is not known any more, nor how narrow its view has to be.
    if (record === undefined && parseSessionKey(key).kind === "subagent")
      throw new Refusal("denied", "This session has been removed.");
    const { ancestors = [] } = record ?? {};
    const denial = denialOf(this.#shell.config, this.#tool, [key, ...ancestors]);
    if (denial !== undefined) {
      this.refused(key, denial);
      throw new Refusal("denied", "This session may not use this tool.");
    }
    return { key, ancestors, record };
  }

  /**
   * The session a model names. What it may not reach and what is not there are refused alike; the operator is told which it was.
   * `mayBeNew` says of a key without a session whether one may be made.
   */
  async reach(name: string, mayBeNew: (key: SessionKey) => boolean = () => false): Promise<Reached> {
    const key = this.#keyOf(name);
    const requester = await this.requester();
    const record = key === requester.key ? requester.record : await this.#shell.ledger.read(key);
    const access = this.access(requester)({ key, ancestors: record?.ancestors ?? [] });
    const isThere = record !== undefined || mayBeNew(key);
    if (!access.allowed || !isThere) {
      this.refused(key, access.allowed ? "there is no such session" : access.reason);
      throw new Refusal(
        "denied",
        `There is no session ${JSON.stringify(name)} within your reach. sessions_list gives those there are.`,
      );
    }
    return { key, record, requester };
  }

  /** As `reach`, to look at it: the operator is told of that. */
  async look(name: string): Promise<Reached> {
    const reached = await this.reach(name, (key) => key === this.#user.key);
    this.allowed(reached.key);
    return reached;
  }

  /** Says of any session whether that may reach it. */
  access(requester: SessionRef): (target: SessionRef) => Access {
    return accessOf(this.#shell.config, requester);
  }

  /** Tells the operator of what was refused, and which setting did. */
  refused(target: SessionKey, reason: string): void {
    this.#shell.events.emit("access.denied", { key: this.#user.key, tool: this.#tool, target, reason });
  }

  /** Tells of an access to another session. */
  allowed(target: SessionKey): void {
    const { key } = this.#user;
    if (target !== key) this.#shell.events.emit("access.allowed", { key, tool: this.#tool, target });
  }

  /** What led to a call: the turn it is made in, whoever made the tools. */
  async cause(record: SessionRecord | undefined): Promise<Cause> {
    if (this.#user.turn !== undefined) return this.#user.turn.cause;
    let cause: Cause = NO_CAUSE;
    for (const turn of record?.openTurns ?? []) {
      const [message] = (await this.#shell.ledger.from(record as SessionRecord, turn)) ?? [];
      const provenance = message !== undefined && isMessageEntry(message) ? message.provenance : undefined;
      if (provenance !== undefined && provenance.hops > cause.hops) cause = provenance;
    }
    return { hops: cause.hops, chain: cause.chain };
  }

  #keyOf(name: string): SessionKey {
    const { mainKey } = this.#shell.config.session;
    const { agentId } = parseSessionKey(this.#user.key);
    if (name === "main") return formatSessionKey({ kind: "main", agentId, mainKey });
    if (isSessionKey(name)) return name;
    throw new Refusal(
      "error",
      'sessionKey is not a session key. Copy one from sessions_list, such as "agent:main:main"; "main" alone is your agent\'s main session.',
    );
  }
}
