import type { Socket } from "./runtime.js";
/**
 * newStream makes a socket for networks that let no WebSocket through: frames
 * come as server-sent events and go out as posts to addresses below base. It
 * looks like any other socket, so the link above it does not know. EventSource
 * is not used, because it can send no header, and a token does not belong in an
 * address.
 */
export declare function newStream(base: string): Socket;
