import type { Runtime } from "./runtime.js";
import type { ClientFrame, ServerFrame } from "./frames.js";
/** Phase is how far a link has come. */
export type Phase = {
    name: "connecting";
} | {
    name: "resuming";
} | {
    name: "open";
} | {
    name: "waiting";
    until: number;
} | {
    name: "offline";
} | {
    name: "stopped";
    code: number;
};
export interface LinkOptions {
    url: string;
    /** streamBase is where events can be streamed from when no WebSocket comes through; without it none is tried. */
    streamBase?: string | undefined;
    runtime: Runtime;
    /** hello makes the first frame; it may have to fetch a credential for it. */
    hello: () => Promise<ClientFrame>;
    /** renew is asked for another credential when the server refused or expired the present one. */
    renew: () => Promise<void>;
    onFrame: (frame: ServerFrame) => void;
    onPhase: (phase: Phase) => void;
}
/** Link is a standing conversation with the server, over as many sockets as it takes. */
export interface Link {
    /** start connects, and keeps connecting until stop or a final close code. */
    start: () => void;
    /** stop closes the socket and stays away. */
    stop: () => void;
    /** send writes a frame; false when there is no open connection. */
    send: (frame: ClientFrame) => boolean;
    /** retry ends a wait early, or comes back after a final close by the person's wish. */
    retry: () => void;
}
/**
 * newLink makes a link. It owns the socket, the back-off and the watch over
 * silence; it knows nothing about what the frames mean beyond the handshake and
 * pings. It is a closure and no class because its names are short then: the SDK
 * has a budget of bytes.
 */
export declare function newLink(options: LinkOptions): Link;
