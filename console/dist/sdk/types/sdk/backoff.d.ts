/** Backoff draws waiting times. */
export interface Backoff {
    /** next gives the wait before the coming attempt, in milliseconds. */
    next(): number;
    /** reset is called when a connection has proved to be stable. */
    reset(): void;
}
/**
 * newBackoff makes one with full jitter: evenly between zero and a ceiling that
 * doubles from 0.5 s to 20 s. When a server restarts, its clients come back
 * spread over the whole interval and not as a herd.
 */
export declare function newBackoff(random: () => number): Backoff;
