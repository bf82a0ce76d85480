import type { Summary } from "../sdk/frames.ts";
import type { Shelf } from "../sdk/outbox.ts";

const most = 500;
const key = "colloquy.console.seen";

/** Seen remembers, in this browser, up to where each conversation was looked at. */
export class Seen {
  private readonly marks: Map<string, number>;

  constructor(private readonly shelf: Shelf) {
    this.marks = read(shelf);
  }

  /** unread reports whether the newest message is a visitor's that was not looked at. */
  unread(s: Summary): boolean {
    return s.preview_from === "visitor" && s.version > (this.marks.get(s.id) ?? 0) && s.status !== "pending";
  }

  /** mark says that a conversation was looked at up to version. */
  mark(id: string, version: number): void {
    if ((this.marks.get(id) ?? 0) >= version) return;
    this.marks.delete(id); // the newest mark goes to the end, the oldest is dropped first
    this.marks.set(id, version);
    for (const old of this.marks.keys()) {
      if (this.marks.size <= most) break;
      this.marks.delete(old);
    }
    try {
      this.shelf.setItem(key, JSON.stringify([...this.marks]));
    } catch {
      // Without storage everything is unread again after a reload.
    }
  }
}

function read(shelf: Shelf): Map<string, number> {
  try {
    const value: unknown = JSON.parse(shelf.getItem(key) ?? "[]");
    return new Map(Array.isArray(value) ? value.filter((e): e is [string, number] => Array.isArray(e) && typeof e[0] === "string" && typeof e[1] === "number") : []);
  } catch {
    return new Map();
  }
}
