import type { ServerFrame } from "./frames.js";
/**
 * decodeFrame reads a frame of the server; what is not JSON with a type gives
 * undefined. Fields are trusted beyond that: the server is our own, over an
 * authenticated connection. It may be newer, so who switches over t must expect
 * one that has no case.
 */
export declare function decodeFrame(data: unknown): ServerFrame | undefined;
