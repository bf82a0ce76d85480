import type { ServerFrame } from "./frames.ts";

const known: ReadonlySet<string> = new Set<ServerFrame["t"]>([
  "welcome", "resumed", "reset", "ack", "done", "error", "event", "typing", "queue.position", "presence", "reconnect", "pong",
]);

/**
 * decodeFrame reads a frame of the server. What is not JSON, or is of a type
 * this client does not know, gives undefined. Fields are trusted beyond their
 * discriminator: the server is our own, over an authenticated connection.
 */
export function decodeFrame(text: string): ServerFrame | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null || !("t" in value)) return undefined;
  return typeof value.t === "string" && known.has(value.t) ? (value as ServerFrame) : undefined;
}
