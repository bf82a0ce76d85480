/** A message or note that the server has not acknowledged yet. */
export interface Unsent {
  client_id: string;
  conversation_id?: string;
  kind: "message" | "note";
  text: string;
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
export class Outbox {
  private entries: Unsent[];
  private inFlight: string | undefined;

  constructor(
    private readonly shelf: Shelf,
    private readonly key: string,
  ) {
    this.entries = readEntries(shelf, key);
  }

  /** all lists the entries in the order in which they were written. */
  all(): readonly Unsent[] {
    return this.entries;
  }

  /** add takes a new entry; false when too much is waiting already. */
  add(entry: Unsent): boolean {
    if (this.entries.length >= most) return false;
    this.entries.push(entry);
    this.save();
    return true;
  }

  /** take gives the entry that is to be sent now, or undefined while one is on its way. */
  take(): Unsent | undefined {
    if (this.inFlight !== undefined) return undefined;
    const entry = this.entries.find((e) => e.refused === undefined);
    this.inFlight = entry?.client_id;
    return entry;
  }

  /** settle removes an entry that the server has. */
  settle(clientId: string): boolean {
    if (this.inFlight === clientId) this.inFlight = undefined;
    const before = this.entries.length;
    this.entries = this.entries.filter((e) => e.client_id !== clientId);
    if (this.entries.length === before) return false;
    this.save();
    return true;
  }

  /** refuse marks an entry that the server will never take. */
  refuse(clientId: string, why: string): void {
    if (this.inFlight === clientId) this.inFlight = undefined;
    const entry = this.entries.find((e) => e.client_id === clientId);
    if (entry === undefined) return;
    entry.refused = why;
    this.save();
  }

  /** again lets a refused entry go out once more, at its old place. */
  again(clientId: string): void {
    const entry = this.entries.find((e) => e.client_id === clientId);
    if (entry === undefined) return;
    delete entry.refused;
    this.save();
  }

  /** release forgets what was on its way; after a new connection it goes out again. */
  release(): void {
    this.inFlight = undefined;
  }

  private save(): void {
    try {
      if (this.entries.length === 0) this.shelf.removeItem(this.key);
      else this.shelf.setItem(this.key, JSON.stringify(this.entries));
    } catch {
      // A full or forbidden store: the entries live on in memory until the page goes.
    }
  }
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
  if (typeof value !== "object" || value === null) return false;
  const e = value as Partial<Record<keyof Unsent, unknown>>;
  return (
    typeof e.client_id === "string" && typeof e.text === "string" && typeof e.at === "string" &&
    (e.kind === "message" || e.kind === "note")
  );
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
