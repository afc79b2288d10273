import { randomUUID } from "node:crypto";
import type { SessionKey, SessionManager, TurnOutcome } from "../../index.js";
import { printableLine } from "../printable.js";
import { relativeTime } from "../relative-time.js";
import { tableLines } from "../table.js";
import type { GroupAdmins } from "./group-admins.js";
import type { LiveReplies } from "./live-replies.js";
import { faultLine, outcomeLine } from "./outcome-line.js";
import { addressOf, type Person, type Place, personName, type Room, readPerson, readRoom, roomName } from "./place.js";
import { spoken } from "./spoken.js";

/** The words of `/help` that are the chat's own. */
const OWN_HELP = `/as CHANNEL:PERSON - be someone, in a DM with the bot, such as /as discord:bob
/in CHANNEL:group:ID[:topic:ID] - go into a group; there @bot mentions the bot
/in dm - go back to the DM
/who - shows who and where you are
/sessions - lists the sessions there are
/quit - ends the chat
What follows is the bot's own:`;

const FIRST_PERSON: Person = { channel: "telegram", peerId: "alice" };

export interface ChatHostOptions {
  manager: SessionManager;
  admins: GroupAdmins;
  now(): number;
  /** Shows lines. */
  show(text: string): void;
  /** What shows replies word by word; without it they are shown whole. */
  live: LiveReplies | undefined;
}

/** What a host is: it turns lines into inbound messages, and outcomes into lines. */
export class ChatHost {
  readonly #options: ChatHostOptions;
  readonly #running = new Set<AbortController>();
  #place: Place = { person: FIRST_PERSON };
  #over = false;

  constructor(options: ChatHostOptions) {
    this.#options = options;
  }

  /** Whether `/quit` has been said. */
  get over(): boolean {
    return this.#over;
  }

  get prompt(): string {
    const { person, room } = this.#place;
    return `${personName(person)}${room === undefined ? "" : ` in ${roomName(room)}`}> `;
  }

  /** Stops the replies that are being written, and says whether there were any. */
  stop(): boolean {
    const any = this.#running.size > 0;
    for (const running of this.#running) running.abort();
    return any;
  }

  /** Deals with a line. Where it goes is settled before this returns; the promise is for what becomes of it. */
  async take(line: string): Promise<void> {
    const text = line.trim();
    const [, word = "", argument = ""] = /^\/([a-z]+)(?:\s+(.*))?$/i.exec(text) ?? [];
    switch (word.toLowerCase()) {
      case "as":
        return this.#become(argument.trim());
      case "in":
        return this.#enter(argument.trim());
      case "who":
        return this.#who();
      case "sessions":
        return this.#listSessions();
      case "quit":
        this.#over = true;
        return;
      case "help":
        this.#options.show(OWN_HELP);
        return this.#send(text);
      default:
        if (text !== "") return this.#send(text);
    }
  }

  async #become(argument: string): Promise<void> {
    const person = readPerson(argument);
    if (person === undefined) return this.#options.show("Usage: /as CHANNEL:PERSON, such as /as telegram:bob.");
    if (this.#moveTo({ person })) this.#who();
  }

  async #enter(argument: string): Promise<void> {
    const { person } = this.#place;
    if (argument.toLowerCase() === "dm") {
      if (this.#moveTo({ person })) this.#who();
      return;
    }
    const room = readRoom(argument);
    if (room === undefined) {
      this.#options.show("Usage: /in CHANNEL:group:ID[:topic:ID], such as /in telegram:group:-100123, or /in dm.");
      return;
    }
    // A group of Telegram is full of people on Telegram: who goes there from Discord speaks under the same name there.
    const key = this.#moveTo({ person: { ...person, channel: room.channel }, room });
    if (key !== undefined) await this.#welcome(key, room, person);
  }

  async #welcome(key: SessionKey, room: Room, before: Person): Promise<void> {
    const { admins, manager, show } = this.#options;
    const { person } = this.#place;
    if (before.channel !== person.channel) show(`On ${room.channel} you are ${personName(person)}.`);
    this.#who();
    try {
      const admin = await admins.welcome(manager, key, person.peerId);
      show(`${admin === person.peerId ? "You" : printableLine(admin)} came first and may give commands here.`);
    } catch (error) {
      show(`[${key}] ${faultLine(error)}`);
    }
  }

  #moveTo(place: Place): SessionKey | undefined {
    try {
      const key = this.#options.manager.resolve(addressOf(place));
      this.#place = place;
      return key;
    } catch (error) {
      this.#options.show(faultLine(error));
      return undefined;
    }
  }

  #who(): void {
    const { person, room } = this.#place;
    const key = this.#options.manager.resolve(addressOf(this.#place));
    const where = room === undefined ? "in a DM" : `in ${roomName(room)}`;
    this.#options.show(`You are ${personName(person)}, ${where}. Session: ${key}`);
  }

  async #listSessions(): Promise<void> {
    const { manager, show, now } = this.#options;
    const rows = [["KEY", "MESSAGES", "LAST ACTIVE"]];
    try {
      for await (const { key, messageCount, lastActive } of manager.list())
        rows.push([printableLine(key), String(messageCount), relativeTime(lastActive, now())]);
    } catch (error) {
      return show(faultLine(error));
    }
    show(rows.length === 1 ? "There are no sessions yet." : tableLines(rows).join("\n"));
  }

  async #send(text: string): Promise<void> {
    const { manager, show } = this.#options;
    const { person, room } = this.#place;
    const address = addressOf(this.#place);
    const key = manager.resolve(address);
    const running = new AbortController();
    this.#running.add(running);
    try {
      const outcome = await manager.handle(
        {
          ...address,
          text,
          messageId: randomUUID(),
          sender: { id: person.peerId },
          ...(room === undefined ? {} : { mentioned: /(?<![\w@])@bot(?!\w)/i.test(text) }),
        },
        { signal: running.signal },
      );
      this.#report(outcome);
    } catch (error) {
      show(`[${key}] ${faultLine(error)}`);
    } finally {
      this.#running.delete(running);
    }
  }

  #report(outcome: TurnOutcome): void {
    const { show, live } = this.#options;
    if (outcome.status === "replied" && live?.wasShown(outcome.messages[0]?.of ?? "")) return;
    if (outcome.status === "aborted" && live === undefined && outcome.partial !== "")
      show(`[${outcome.key}] bot: ${spoken(outcome.partial)}`);
    show(outcomeLine(outcome));
  }
}
