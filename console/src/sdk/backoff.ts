/** Waiting times between attempts to connect. */
const firstMs = 500;
const longestMs = 20_000;

/**
 * Backoff draws waiting times with full jitter: evenly between zero and a
 * ceiling that doubles from 0.5 s to 20 s. When a server restarts, its clients
 * come back spread over the whole interval and not as a herd.
 */
export class Backoff {
  private attempts = 0;

  constructor(private readonly random: () => number = Math.random) {}

  /** next gives the wait before the coming attempt, in milliseconds. */
  next(): number {
    const ceiling = Math.min(longestMs, firstMs * 2 ** this.attempts);
    if (ceiling < longestMs) this.attempts++;
    return Math.round(this.random() * ceiling);
  }

  /** reset is called when a connection has proved to be stable. */
  reset(): void {
    this.attempts = 0;
  }
}
