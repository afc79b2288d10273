import type { Address } from "../../index.js";
import { printableLine } from "../printable.js";

/** Somebody on a channel. */
export interface Person {
  channel: string;
  peerId: string;
}

/** A group, or a topic of one. */
export interface Room {
  channel: string;
  groupId: string;
  topicId?: string;
}

/** Who one is and where: without a room, in a DM with the bot. */
export interface Place {
  person: Person;
  room?: Room;
}

/** Reads `channel:person`. The id may hold colons of its own, as those of Matrix do. */
export function readPerson(text: string): Person | undefined {
  const [, channel, peerId] = /^([^:\s]+):(\S.*)$/.exec(text) ?? [];
  if (channel === undefined || peerId === undefined || /^(dm|direct|group):/.test(peerId)) return undefined;
  return { channel, peerId };
}

/** Reads `channel:group:id` with or without `:topic:id`. */
export function readRoom(text: string): Room | undefined {
  const [, channel, groupId, topicId] = /^([^:\s]+):group:(\S.*?)(?::topic:(\S.*))?$/.exec(text) ?? [];
  if (channel === undefined || groupId === undefined) return undefined;
  return { channel, groupId, ...(topicId === undefined ? {} : { topicId }) };
}

export function addressOf({ person, room }: Place): Address {
  return room === undefined ? { chatType: "dm", ...person } : { chatType: "group", ...room };
}

export function personName({ channel, peerId }: Person): string {
  return printableLine(`${channel}:${peerId}`);
}

export function roomName({ channel, groupId, topicId }: Room): string {
  return printableLine(`${channel}:group:${groupId}${topicId === undefined ? "" : `:topic:${topicId}`}`);
}
