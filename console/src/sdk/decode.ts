import type { ServerFrame } from "./frames.ts";

/**
 * decodeFrame reads a frame of the server; what is not JSON with a type gives
 * undefined. Fields are trusted beyond that: the server is our own, over an
 * authenticated connection. It may be newer, so who switches over t must expect
 * one that has no case.
 */
export function decodeFrame(data: unknown): ServerFrame | undefined {
  try {
    const value = JSON.parse(data as string) as { t?: unknown } | null;
    return typeof value?.t === "string" ? (value as ServerFrame) : undefined;
  } catch {
    return undefined;
  }
}
