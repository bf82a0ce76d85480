import type { Credentials } from "./client.js";
import type { Trouble } from "./frames.js";
import type { Shelf } from "./outbox.js";
/** Refused is an answer of the HTTP interface that is not a success. */
export declare class Refused extends Error {
    readonly status: number;
    readonly problem: Trouble;
    constructor(status: number, problem: Trouble);
}
/**
 * VisitorSession holds the token of a visitor. The first one is anonymous; a
 * later one is given for the earlier, so that the visitor stays who they are.
 * It travels in bodies, headers and first frames, never in an address.
 */
export declare class Session implements Credentials {
    protected readonly base: string;
    protected readonly inbox: string;
    private readonly shelf;
    /** barred says that this page may not use the inbox, or that there is no such inbox. */
    barred: boolean;
    private grant;
    private readonly key;
    constructor(base: string, inbox: string, shelf: Shelf);
    /** token gives a token that is good for a while yet. */
    token(): Promise<string>;
    /** renew is called when the server did not like the token. */
    renew(): Promise<void>;
    private exchange;
}
