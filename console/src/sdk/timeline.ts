import type { Attachment, Button, Delivery, Entry, JudgedData, Message, Party, Provenance, TurnData } from "./frames.ts";

/** Bubble is a message or note as it is shown. */
export interface Bubble {
  kind: "message" | "note";
  seq: number;
  at: string;
  from: Party;
  agent?: string;
  /** Display name of the agent who wrote it. */
  name?: string;
  text: string;
  ref?: string;
  buttons: readonly Button[];
  attachments?: readonly Attachment[];
  bot?: Provenance;
  /** Of an outbound message on a channel that can fail. */
  delivery?: Delivery;
  /** What the message was taken for, of a visitor's message. */
  turn?: TurnData;
  /** Verdicts on a message of the bot, the latest of each judge; agents only. */
  judged?: readonly JudgedData[];
}

/** Mark is something that happened, shown between messages. */
export interface Mark {
  kind: "mark";
  seq: number;
  at: string;
  entry: Extract<
    Entry,
    { type: "conversation.started" | "conversation.handover" | "conversation.assigned" | "conversation.unassigned" | "conversation.status_changed" | "conversation.tags_changed" | "conversation.priority_changed" | "conversation.mood_changed" | "conversation.anomaly_found" }
  >;
}

export type Item = Bubble | Mark;

/** Timeline is what can be read of a conversation, in order. */
export interface Timeline {
  /** The seq behind which the timeline begins; zero when it is whole. */
  from: number;
  version: number;
  items: Item[];
  lastVisitor: number;
  readVisitor: number;
  readAgent: number;
  delivered: number;
}

/** emptyTimeline is the start of every fold. */
export function emptyTimeline(): Timeline {
  return { from: 0, version: 0, items: [], lastVisitor: 0, readVisitor: 0, readAgent: 0, delivered: 0 };
}

/** foldTimeline applies one entry in place; false when the timeline had it already. */
export function foldTimeline(line: Timeline, entry: Entry): boolean {
  if (entry.seq <= line.version) return false;
  line.version = entry.seq;
  switch (entry.type) {
    case "message.accepted":
    case "message.composed":
    case "message.replied":
    case "note.added":
      line.items.push(bubbleOf(entry.data));
      markAnswered(line, entry.data);
      break;
    case "turn.completed":
      replace(line, entry.data.turn, (b) => ({ ...b, turn: entry.data }));
      break;
    case "answer.judged": {
      const now = entry.data;
      replace(line, now.answer, (b) => ({ ...b, judged: [...(b.judged ?? []).filter((j) => j.by !== now.by || j.agent !== now.agent), now] }));
      break;
    }
    case "message.attachment_changed": {
      const now = entry.data.attachment;
      replace(line, entry.data.message, (b) => ({ ...b, attachments: (b.attachments ?? []).map((a) => (a.id === now.id ? now : a)) }));
      break;
    }
    case "message.delivery_changed":
      replace(line, entry.data.message, (b) => ({ ...b, delivery: entry.data.result }));
      break;
    case "messages.read":
      if (entry.data.by === "visitor") line.readVisitor = Math.max(line.readVisitor, entry.data.up_to);
      else if (entry.data.by === "agent") line.readAgent = Math.max(line.readAgent, entry.data.up_to);
      break;
    case "messages.delivered":
      line.delivered = Math.max(line.delivered, entry.data.up_to);
      break;
    case "conversation.started":
    case "conversation.handover":
    case "conversation.assigned":
    case "conversation.unassigned":
    case "conversation.status_changed":
    case "conversation.tags_changed":
    case "conversation.priority_changed":
    case "conversation.mood_changed":
    case "conversation.anomaly_found":
      line.items.push({ kind: "mark", seq: entry.seq, at: entry.at, entry });
      break;
    default: // timers, and kinds of a newer server: nothing to read
  }
  return true;
}

/** bubbleOf is how a message is shown before anything else is known of it. */
export function bubbleOf(m: Message): Bubble {
  const made: Bubble = { kind: m.note === true ? "note" : "message", seq: m.seq, at: m.at, from: m.from, text: m.text, buttons: m.buttons ?? [] };
  if (m.agent !== undefined) made.agent = m.agent;
  if (m.name !== undefined) made.name = m.name;
  if (m.client_id !== undefined) made.ref = m.client_id;
  if (m.bot !== undefined) made.bot = m.bot;
  if (m.delivery !== undefined) made.delivery = m.delivery;
  if (m.attachments !== undefined) made.attachments = m.attachments;
  return made;
}

/** markAnswered draws the conclusion that who writes has seen what was there. */
function markAnswered(line: Timeline, m: Message): void {
  if (m.from === "visitor") {
    line.lastVisitor = m.seq;
    line.readVisitor = Math.max(line.readVisitor, m.seq);
  } else if (m.from === "agent" && m.note !== true) line.readAgent = Math.max(line.readAgent, line.lastVisitor);
}

/** replace swaps a bubble for a changed copy, so that views can compare by identity. */
function replace(line: Timeline, seq: number, change: (b: Bubble) => Bubble): void {
  for (let i = line.items.length - 1; i >= 0; i--) {
    const item = line.items[i];
    if (item?.seq !== seq || item.kind === "mark") continue;
    line.items[i] = change(item);
    return;
  }
}

/** lastPublic finds the newest message that is not a note. */
export function lastPublic(line: Timeline): Bubble | undefined {
  return line.items.findLast((i): i is Bubble => i.kind === "message");
}

/** unreadOf counts the messages of others that a party has not seen. */
export function unreadOf(line: Timeline, party: "visitor" | "agent"): number {
  const read = party === "visitor" ? line.readVisitor : line.readAgent;
  return line.items.filter((i) => i.kind === "message" && i.seq > read && (party === "visitor" ? i.from !== "visitor" : i.from === "visitor")).length;
}

/** plain gives what is read of a message where there is room for words only. */
export function plain(m: { text: string; attachments?: readonly Attachment[] }): string {
  return [...(m.text === "" ? [] : [m.text]), ...(m.attachments ?? []).map((a) => `[${a.name}]`)].join("\n");
}

/** fileStates tells two versions of a message's files apart. */
export function fileStates(attachments: readonly Attachment[] | undefined): string {
  return (attachments ?? []).map((a) => a.state[0]).join("");
}
