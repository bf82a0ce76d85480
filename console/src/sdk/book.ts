import type { EventFrame, Summary } from "./frames.ts";

/** Book is what a client keeps of the events it gets: at least how far it has come in each conversation. */
export interface Book {
  /** epoch names the log that the cursors belong to. */
  epoch: string;
  /** cursors says up to which seq each conversation is known. */
  cursors(): Record<string, number>;
  /** fold takes an event; "gap" says that events before it are missing. */
  fold(frame: EventFrame, follow: "all" | "opened"): "new" | "known" | "gap";
  /** seed takes the summary of a conversation that the client may not have open. */
  seed(head: Summary): void;
  /** forget drops a conversation, or everything. */
  forget(conversationId?: string): void;
  /** erase drops all that is known of a conversation: on the server it is gone. */
  erase(conversationId: string): void;
}

/** Cursors is a book of places only, for pages that keep the events themselves. */
export class Cursors implements Book {
  epoch = "";
  private readonly seen = new Map<string, number>();

  cursors(): Record<string, number> {
    return Object.fromEntries(this.seen);
  }

  fold(frame: EventFrame): "new" | "known" {
    if (frame.seq <= (this.seen.get(frame.conversation_id) ?? 0)) return "known";
    this.seen.set(frame.conversation_id, frame.seq);
    return "new";
  }

  seed(): void {
    // Summaries are for agents.
  }

  forget(conversationId?: string): void {
    if (conversationId === undefined) this.seen.clear();
    else this.erase(conversationId);
  }

  erase(conversationId: string): void {
    this.seen.delete(conversationId);
  }
}
