import { Bot, type BotConfig, type Context } from "grammy";
import { type ProviderHooks, SessionManager } from "openclaw-sessions";

export function telegramBot(token: string, dir: string, provider: ProviderHooks, config?: BotConfig<Context>) {
  const bot = new Bot(token, config);
  const deliver = ({ route, text }: { route: unknown; text: string }) => {
    const { chat, other } = route as { chat: number; other: { message_thread_id?: number } };
    return bot.api.sendMessage(chat, text, other);
  };
  const channels = { telegram: { deliver, botName: () => bot.botInfo.username } };
  const sessions = new SessionManager({ dir, provider, channels });
  bot.on("message:text", ({ message, me }) => {
    const { chat, from, text, message_thread_id: thread } = message;
    const topic = message.is_topic_message && thread ? { message_thread_id: thread } : {};
    const place =
      chat.type === "private"
        ? { chatType: "dm" as const, peerId: String(from.id) }
        : { chatType: "group" as const, groupId: String(chat.id), topicId: topic.message_thread_id?.toString() };
    const mentioned = text.includes(`@${me.username}`) || message.reply_to_message?.from?.id === me.id;
    const sender = { id: String(from.id), name: from.first_name };
    const inbound = { channel: "telegram", ...place, sender, text, mentioned, messageId: String(message.message_id) };
    // Not awaited: while the model thinks for one person, the others and /stop must get through.
    sessions
      .handle({ ...inbound, timestamp: message.date * 1000, route: { chat: chat.id, other: topic } })
      .catch(console.error);
  });
  return { bot, sessions };
}
