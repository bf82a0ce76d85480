/** The part of WebSocket that a link needs. */
export interface Socket {
    onopen: (() => void) | null;
    onmessage: ((event: {
        data: unknown;
    }) => void) | null;
    onclose: ((event: {
        code: number;
    }) => void) | null;
    send(data: string): void;
    close(code?: number, reason?: string): void;
}
/** Runtime is everything a link takes from its surroundings, so that tests can stand in for them. */
export interface Runtime {
    now(): number;
    random: () => number;
    after(ms: number, run: () => void): () => void;
    dial(url: string, protocols: string[]): Socket;
    /** stream makes a socket out of server-sent events and posts below an address. */
    stream(base: string): Socket;
    online(): boolean;
    /** watch reports that the network came, went, or that the page is looked at again. */
    watch(on: (what: "online" | "offline" | "visible") => void): () => void;
}
/** browserRuntime is the runtime of a page. */
export declare const browserRuntime: Runtime;
