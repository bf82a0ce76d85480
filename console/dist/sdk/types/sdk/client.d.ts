import type { Book } from "./book.js";
import type { Attachment, ClientFrame, EventFrame, Trouble, ServerFrame, VisitorConversation } from "./frames.js";
import type { Phase } from "./link.js";
import type { Outbox, Shelf, Unsent } from "./outbox.js";
import type { Runtime } from "./runtime.js";
/** Credentials supplies the token of the first frame; a cookie session has none. */
export interface Credentials {
    token: () => Promise<string | undefined>;
    renew: () => Promise<void>;
}
/** Listener hears of what a client learned. Events come one by one; everything else as a nudge to look again. */
export interface Listener {
    onChange(): void;
    onPhase?(phase: Phase): void;
    onEvent?(frame: EventFrame): void;
    onGap?(conversationId: string): void;
    onFrame?(frame: ServerFrame): void;
    /** The server could not resume: what is known must be fetched anew. */
    onReset?(conversationId: string | undefined): void;
    onRefused?(entry: Unsent, problem: Trouble): void;
}
export interface ClientOptions<B extends Book> {
    url: string;
    /** See {@link LinkOptions.streamBase}. */
    streamBase?: string;
    store: B;
    runtime: Runtime;
    shelf: Shelf;
    outboxKey: string;
    credentials: Credentials;
    /** Visitors follow all that is theirs; agents what they opened. */
    follow: "all" | "opened";
    /** Where it is kept which conversation a visitor is in; agents have no such place. */
    placeKey?: string;
    listener: Listener;
}
/** Client is one party's standing connection: link, store and outbox joined. */
export interface Client<B extends Book> {
    readonly store: B;
    readonly outbox: Outbox;
    /** phase is how the connection stands. */
    phase: Phase;
    /** current is the conversation a visitor is in, as the last welcome told. */
    current: VisitorConversation | undefined;
    /** start connects. */
    start(): void;
    /** stop says goodbye; what is unsent stays in the outbox. */
    stop(): void;
    /** retry ends a wait early, or comes back after a final close. */
    retry(): void;
    /** say writes a message or note; false when the outbox is full. Files of a message were handed in before. */
    say(text: string, kind?: Unsent["kind"], conversationId?: string, attachments?: readonly Attachment[]): boolean;
    /** sayAgain sends a refused message once more. */
    sayAgain(clientId: string): void;
    /** discard gives a refused message up. */
    discard(clientId: string): void;
    /** read says that everything up to seq was seen. */
    read(conversationId: string, seq: number): void;
    /** delivered says that everything up to seq has arrived. */
    delivered(conversationId: string, seq: number): void;
    /** typing tells that the person writes; at most every three seconds per conversation. */
    typing(conversationId: string, on: boolean): void;
    /** send writes any other frame; false when there is no connection. */
    send(frame: ClientFrame): boolean;
}
/** newClient makes a client, which does nothing before start. */
export declare function newClient<B extends Book>(options: ClientOptions<B>): Client<B>;
