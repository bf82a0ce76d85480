/**
 * The SDK for pages that draw the chat themselves: a standing connection of a
 * visitor, over as many sockets as it takes.
 *
 *     const chat = connect({ base: "https://support.example", inbox: "shop", onEvent: draw });
 *     chat.say("Where is my parcel?");
 */
import { Cursors } from "./book.ts";
import { newClient } from "./client.ts";
import type { EventFrame, ServerFrame, Trouble } from "./frames.ts";
import type { Phase } from "./link.ts";
import type { Shelf, Unsent } from "./outbox.ts";
import { browserShelf } from "./outbox.ts";
import { browserRuntime } from "./runtime.ts";
import { Session } from "./session.ts";

export type { EventFrame, Message, Problem, ServerFrame, Trouble } from "./frames.ts";
export type { Phase } from "./link.ts";
export type { Shelf, Unsent } from "./outbox.ts";

/** ConnectOptions say where to, and who wants to hear of what. */
export interface ConnectOptions {
  /** Origin of the server; left out, the page's own. */
  base?: string;
  inbox: string;
  /** Where token, place and unsent messages are kept over reloads; localStorage by default. */
  shelf?: Shelf;
  /** Every entry of the visitor's conversations, once and in order; after a reload from the start. */
  onEvent?: (frame: EventFrame) => void;
  /** Every other frame: typing, queue positions, acknowledgments. */
  onFrame?: (frame: ServerFrame) => void;
  /** How the connection stands. */
  onPhase?: (phase: Phase) => void;
  /** Events may be missing before the next one: fetch the messages anew. */
  onReset?: (conversationId: string | undefined) => void;
  /** The server will never take this message as it is. */
  onRefused?: (message: Unsent, problem: Trouble) => void;
}

/** Chat is what connect gives. */
export interface Chat {
  /** say sends a message, now or once there is a connection again; false when a hundred wait already. */
  say(text: string): boolean;
  /** outbox holds what the server has not acknowledged, refused messages included. */
  readonly outbox: { all(): readonly Unsent[] };
  /** sayAgain sends a refused message once more, discard gives it up. */
  sayAgain(clientId: string): void;
  discard(clientId: string): void;
  read(conversationId: string, seq: number): void;
  delivered(conversationId: string, seq: number): void;
  typing(conversationId: string, on: boolean): void;
  /** retry ends a wait early, or comes back after a final close. */
  retry(): void;
  /** stop says goodbye; what is unsent stays on the shelf. */
  stop(): void;
}

/** connect opens the connection and keeps it. */
export function connect(options: ConnectOptions): Chat {
  const { base = location.origin, inbox, shelf = browserShelf() } = options;
  const client = newClient({
    url: `${base.replace(/^http/, "ws")}/v1/widget/ws`,
    streamBase: `${base}/v1/widget`,
    store: new Cursors(),
    runtime: browserRuntime,
    shelf,
    outboxKey: `colloquy.outbox.${inbox}`,
    placeKey: `colloquy.place.${inbox}`,
    credentials: new Session(base, inbox, shelf),
    follow: "all",
    listener: { onChange: () => undefined, ...options },
  });
  client.start();
  return client;
}
