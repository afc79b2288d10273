import { type CommandRequest, parseSessionKey, type SessionKey, type SessionManager } from "../../index.js";

/**
 * Says who may give commands. A real host asks its platform who the admins are; here the first person who came into a group
 * is its admin. That is kept in the session's own settings, so it outlives the process.
 */
export class GroupAdmins {
  readonly #admins = new Map<string, Promise<string>>();

  /** Notes that someone came into a group, and says who its admin is. */
  welcome(manager: SessionManager, key: SessionKey, person: string): Promise<string> {
    const known = this.#admins.get(key);
    if (known !== undefined) return known;
    const asking = firstPerson(manager, key, person);
    this.#admins.set(key, asking);
    asking.catch(() => this.#admins.delete(key));
    return asking;
  }

  async mayCommand({ command, sender, key }: CommandRequest): Promise<boolean> {
    // Whoever wrote dmScope `main` has declared everybody who reaches the bot to be one and the same owner.
    if (parseSessionKey(key).kind === "main") return true;
    if (command === "status" || command === "help") return true;
    return sender !== undefined && sender.id === (await this.#admins.get(key));
  }
}

async function firstPerson(manager: SessionManager, key: SessionKey, person: string): Promise<string> {
  const session = await manager.open(key);
  const { admin } = (await session.status()).state.extra;
  if (typeof admin === "string") return admin;
  await session.configure({ extra: { admin: person } });
  return person;
}
