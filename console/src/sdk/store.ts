import type { Book } from "./book.ts";
import type { EventFrame, Summary } from "./frames.ts";
import { emptyHead, foldHead } from "./head.ts";
import type { Timeline } from "./timeline.ts";
import { emptyTimeline, foldTimeline } from "./timeline.ts";

/**
 * Store folds the events of all conversations a client follows. Heads exist
 * for every conversation it has heard of, timelines for those it can read.
 */
export class Store implements Book {
  readonly heads = new Map<string, Summary>();
  readonly lines = new Map<string, Timeline>();
  epoch = "";

  /** seed takes a head as the server lists it, unless a newer one is known. */
  seed(head: Summary): void {
    const have = this.heads.get(head.id);
    if (have === undefined || head.version >= have.version) this.heads.set(head.id, head);
  }

  /** open makes the timeline of a conversation, if there is none yet. */
  open(id: string): Timeline {
    const line = this.lines.get(id) ?? emptyTimeline();
    this.lines.set(id, line);
    return line;
  }

  /** fold applies an event; "gap" says that events before it are missing from an open timeline. */
  fold(frame: EventFrame, follow: "all" | "opened"): "new" | "known" | "gap" {
    const id = frame.conversation_id;
    const head = this.heads.get(id) ?? emptyHead(id);
    // A visitor is not told of every event, so only those who see all can tell a gap.
    // Agents get whole heads besides; a head is folded on only from the seq before.
    if (follow === "all" || frame.seq === head.version + 1) this.heads.set(id, foldHead(head, frame));
    const line = follow === "all" ? this.open(id) : this.lines.get(id);
    if (line === undefined) return "known";
    if (follow === "opened" && frame.seq > line.version + 1) return "gap";
    return foldTimeline(line, frame) ? "new" : "known";
  }

  /** cursors says up to which seq each open timeline is complete. */
  cursors(): Record<string, number> {
    return Object.fromEntries([...this.lines].map(([id, line]) => [id, line.version]));
  }

  /** forget drops the timeline of a conversation, or everything when the server's epoch has changed. */
  forget(conversationId?: string): void {
    if (conversationId !== undefined) {
      this.lines.delete(conversationId);
      return;
    }
    this.heads.clear();
    this.lines.clear();
  }

  /** erase drops head and timeline of a conversation. */
  erase(conversationId: string): void {
    this.heads.delete(conversationId);
    this.lines.delete(conversationId);
  }

  /** newest is the conversation that was active last. */
  newest(): Summary | undefined {
    let best: Summary | undefined;
    for (const head of this.heads.values()) {
      if (best === undefined || head.last_activity >= best.last_activity) best = head;
    }
    return best;
  }
}
