import type { SessionKey } from "../../index.js";
import { spoken } from "./spoken.js";
import type { TerminalScreen } from "./terminal-screen.js";

interface Reply {
  turn: string;
  label: string;
  /** Come in and not yet shown. */
  text: string;
  /** How many breaks the screen had when this reply was last written; `undefined` before its first word. */
  breaks: number | undefined;
  over: boolean;
}

/** Shows replies while they are written. When several are, one after the other: their words must not mix. */
export class LiveReplies {
  readonly #screen: TerminalScreen;
  readonly #replies: Reply[] = [];
  readonly #shown = new Set<string>();

  constructor(screen: TerminalScreen) {
    this.#screen = screen;
  }

  text({ turn, key, text }: { turn: string; key: SessionKey; text: string }): void {
    let reply = this.#find(turn);
    if (reply === undefined) {
      reply = { turn, label: `[${key}] bot: `, text: "", breaks: undefined, over: false };
      this.#replies.push(reply);
      this.#shown.add(turn);
    }
    reply.text += spoken(text);
    this.#advance();
  }

  /** To be told when a turn is over, however it ended. */
  end(turn: string): void {
    const reply = this.#find(turn);
    if (reply === undefined) return;
    reply.over = true;
    this.#advance();
  }

  /** Whether the reply of a turn has been shown as it came; asked once, when the turn is over. */
  wasShown(turn: string): boolean {
    return this.#shown.delete(turn);
  }

  #find(turn: string): Reply | undefined {
    return this.#replies.find((reply) => reply.turn === turn);
  }

  #advance(): void {
    for (;;) {
      const reply = this.#replies[0];
      if (reply === undefined) return;
      this.#write(reply);
      if (!reply.over) return;
      // Where something has come between, the line has already ended.
      if (reply.breaks === this.#screen.breaks) this.#screen.write("\n");
      this.#replies.shift();
    }
  }

  #write(reply: Reply): void {
    if (reply.text === "") return;
    const { breaks } = this.#screen;
    const beginning = reply.breaks === undefined ? reply.label : reply.breaks === breaks ? "" : `${reply.label}… `;
    this.#screen.write(beginning === "" ? reply.text : beginning + reply.text.trimStart());
    reply.text = "";
    reply.breaks = breaks;
  }
}
