import type { Entry, Message } from "./frames.ts";
import type { Store } from "./store.ts";
import type { Timeline } from "./timeline.ts";
import { emptyTimeline, foldTimeline } from "./timeline.ts";

const kinds: Record<Message["from"], "message.accepted" | "message.composed" | "message.replied"> = {
  visitor: "message.accepted", bot: "message.composed", agent: "message.replied",
};

/** entryOf is the event that a message came with, as far as the message tells. */
export function entryOf(m: Message): Entry {
  return { seq: m.seq, at: m.at, type: m.note === true ? "note.added" : kinds[m.from], data: m };
}

/**
 * place makes a timeline out of entries that were fetched, where the events
 * could not be resumed: they are too many, or of another epoch. after is the
 * seq behind which the entries begin, version the one up to which they are
 * complete. Events that came while the fetch was on its way are kept.
 */
export function place(store: Store, conversationId: string, entries: readonly Entry[], range: { after: number; version: number }): Timeline {
  const line = emptyTimeline();
  line.from = line.version = range.after;
  for (const e of entries) foldTimeline(line, e);
  line.version = Math.max(line.version, range.version);
  const live = store.lines.get(conversationId);
  if (live !== undefined && live.version > line.version) {
    line.items.push(...live.items.filter((i) => i.seq > line.version));
    line.readVisitor = Math.max(line.readVisitor, live.readVisitor);
    line.readAgent = Math.max(line.readAgent, live.readAgent);
    line.version = live.version;
  }
  store.lines.set(conversationId, line);
  return line;
}

/** prepend puts older entries before a timeline's first. */
export function prepend(line: Timeline, entries: readonly Entry[], after: number): void {
  const older = emptyTimeline();
  older.version = after;
  for (const e of entries) if (e.seq <= line.from) foldTimeline(older, e);
  line.items.unshift(...older.items);
  line.from = after;
}
