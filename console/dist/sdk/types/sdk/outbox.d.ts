import type { Attachment } from "./frames.js";
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
export declare function newOutbox(shelf: Shelf, key: string): Outbox;
/** memoryShelf stands in where the browser refuses storage to an embedded page. */
export declare function memoryShelf(): Shelf;
/** browserShelf is localStorage where it may be used. */
export declare function browserShelf(): Shelf;
