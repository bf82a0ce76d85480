import type { Attachment } from "./frames.ts";

/** A message or note that the server has not acknowledged yet. */
export interface Unsent {
  client_id: string;
  conversation_id?: string;
  kind: "message" | "note";
  text: string;
  /** Files that were handed in before. */
  attachments?: readonly Attachment[];
  at: string;
  /** Why the server refused it for good; such a message waits for the person's word. */
  refused?: string;
}

/** Store of texts by key; localStorage is one. */
export interface Shelf {
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
  removeItem(key: string): void;
}

const most = 100;

/**
 * Outbox keeps what was written until the server has it for good. It survives
 * reloads; entries leave only by settle or discard. One entry is on its way at
 * a time, because a refused or throttled message must not be overtaken.
 */
export interface Outbox {
  /** all lists the entries in the order in which they were written. */
  all(): readonly Unsent[];
  /** add takes a new entry; false when too much is waiting already. */
  add(entry: Unsent): boolean;
  /** take gives the entry that is to be sent now, or undefined while one is on its way. */
  take(): Unsent | undefined;
  /** settle removes an entry that the server has; false when there is none. */
  settle(clientId: string): boolean;
  /** refuse marks an entry that the server will never take; without a reason it goes out once more, at its old place. */
  refuse(clientId: string, why?: string): void;
  /** release forgets what was on its way; after a new connection it goes out again. */
  release(): void;
}

/** newOutbox makes one out of what is on the shelf under key. */
export function newOutbox(shelf: Shelf, key: string): Outbox {
  let entries = readEntries(shelf, key);
  let inFlight: string | undefined;

  function save(): void {
    try {
      if (entries.length === 0) shelf.removeItem(key);
      else shelf.setItem(key, JSON.stringify(entries));
    } catch {
      // A full or forbidden store: the entries live on in memory until the page goes.
    }
  }

  function landed(clientId: string): void {
    if (inFlight === clientId) inFlight = undefined;
  }

  return {
    all: () => entries,
    add(entry) {
      if (entries.length >= most) return false;
      entries.push(entry);
      save();
      return true;
    },
    take() {
      if (inFlight !== undefined) return undefined;
      const entry = entries.find((e) => e.refused === undefined);
      inFlight = entry?.client_id;
      return entry;
    },
    settle(clientId) {
      landed(clientId);
      const before = entries.length;
      entries = entries.filter((e) => e.client_id !== clientId);
      if (entries.length === before) return false;
      save();
      return true;
    },
    refuse(clientId, why) {
      landed(clientId);
      for (const entry of entries) {
        if (entry.client_id !== clientId) continue;
        if (why === undefined) delete entry.refused;
        else entry.refused = why;
      }
      save();
    },
    release: () => (inFlight = undefined),
  };
}

function readEntries(shelf: Shelf, key: string): Unsent[] {
  try {
    const value: unknown = JSON.parse(shelf.getItem(key) ?? "[]");
    return Array.isArray(value) ? value.filter(isUnsent).slice(0, most) : [];
  } catch {
    return [];
  }
}

function isUnsent(value: unknown): value is Unsent {
  const e = value as Partial<Record<keyof Unsent, unknown>> | null;
  return [e?.client_id, e?.kind, e?.text, e?.at].every((field) => typeof field === "string");
}

/** memoryShelf stands in where the browser refuses storage to an embedded page. */
export function memoryShelf(): Shelf {
  const values = new Map<string, string>();
  return {
    getItem: (key) => values.get(key) ?? null,
    setItem: (key, value) => void values.set(key, value),
    removeItem: (key) => void values.delete(key),
  };
}

/** browserShelf is localStorage where it may be used. */
export function browserShelf(): Shelf {
  try {
    const probe = "colloquy.probe";
    localStorage.setItem(probe, "1");
    localStorage.removeItem(probe);
    return localStorage;
  } catch {
    return memoryShelf();
  }
}
