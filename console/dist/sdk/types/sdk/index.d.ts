import type { EventFrame, ServerFrame, Trouble } from "./frames.js";
import type { Phase } from "./link.js";
import type { Shelf, Unsent } from "./outbox.js";
export type { EventFrame, Message, Problem, ServerFrame, Trouble } from "./frames.js";
export type { Phase } from "./link.js";
export type { Shelf, Unsent } from "./outbox.js";
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
    readonly outbox: {
        all(): readonly Unsent[];
    };
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
export declare function connect(options: ConnectOptions): Chat;
