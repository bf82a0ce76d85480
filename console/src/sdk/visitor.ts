import type { Credentials } from "./client.ts";
import type { Message, Trouble } from "./frames.ts";
import type { Shelf } from "./outbox.ts";

const early = 60_000; // renew so long before the end

/** Refused is an answer of the HTTP interface that is not a success. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    readonly problem: Trouble,
  ) {
    super(problem.detail ?? problem.title ?? `HTTP ${status}`);
    this.name = "Refused";
  }
}

interface Grant {
  token: string;
  expires_at: string;
}

/**
 * VisitorSession holds the token of a visitor. The first one is anonymous; a
 * later one is given for the earlier, so that the visitor stays who they are.
 * It travels in bodies, headers and first frames, never in an address.
 */
export class VisitorSession implements Credentials {
  /** barred says that this page may not use the inbox, or that there is no such inbox. */
  barred = false;
  private grant: Grant | undefined;
  private readonly key: string;

  constructor(
    private readonly base: string,
    private readonly inbox: string,
    private readonly shelf: Shelf,
  ) {
    this.key = `colloquy.visitor.${inbox}`;
    this.grant = readGrant(shelf.getItem(this.key));
  }

  /** token gives a token that is good for a while yet. */
  async token(): Promise<string> {
    const left = this.grant === undefined ? 0 : Date.parse(this.grant.expires_at) - Date.now();
    if (left < early) await this.exchange();
    return this.grant?.token ?? "";
  }

  /** renew is called when the server did not like the token. */
  async renew(): Promise<void> {
    await this.exchange();
  }

  /** newest fetches the newest messages of the conversation the visitor is in. */
  async newest(): Promise<Message[]> {
    const response = await fetch(`${this.base}/v1/widget/conversations/current/messages?limit=100`, {
      headers: { authorization: `Bearer ${await this.token()}` }, credentials: "omit", cache: "no-store",
    });
    const body = (await response.json().catch(() => ({}))) as unknown;
    if (!response.ok) throw new Refused(response.status, body as Trouble);
    return (body as { data: Message[] }).data;
  }

  /** feedback reports whether the inbox asks its visitors whether answers are right. */
  async feedback(): Promise<boolean> {
    try {
      const response = await fetch(`${this.base}/v1/widget/config?${new URLSearchParams({ inbox: this.inbox })}`, { credentials: "omit" });
      return response.ok && ((await response.json()) as { feedback?: boolean }).feedback === true;
    } catch {
      return false;
    }
  }

  /** judge says whether an answer of the bot was right. */
  async judge(seq: number, verdict: "right" | "wrong"): Promise<void> {
    const response = await fetch(`${this.base}/v1/widget/judge`, {
      method: "POST", headers: { "content-type": "application/json", authorization: `Bearer ${await this.token()}` }, credentials: "omit",
      body: JSON.stringify({ seq, verdict }),
    });
    if (!response.ok) throw new Refused(response.status, (await response.json().catch(() => ({}))) as Trouble);
  }

  private async exchange(): Promise<void> {
    const response = await fetch(`${this.base}/v1/widget/session`, {
      method: "POST", headers: { "content-type": "application/json" }, credentials: "omit", cache: "no-store",
      body: JSON.stringify({ inbox: this.inbox, ...(this.grant !== undefined && { token: this.grant.token }) }),
    });
    const body = (await response.json().catch(() => ({}))) as unknown;
    this.barred = response.status === 403 || response.status === 404 || response.status === 400;
    if (!response.ok) throw new Refused(response.status, body as Trouble);
    this.grant = body as Grant;
    try {
      this.shelf.setItem(this.key, JSON.stringify({ token: this.grant.token, expires_at: this.grant.expires_at }));
    } catch {
      // Without storage the visitor is somebody new after a reload.
    }
  }
}

function readGrant(text: string | null): Grant | undefined {
  try {
    const value: unknown = JSON.parse(text ?? "null");
    if (typeof value !== "object" || value === null) return undefined;
    const g = value as Partial<Record<keyof Grant, unknown>>;
    return typeof g.token === "string" && typeof g.expires_at === "string" ? { token: g.token, expires_at: g.expires_at } : undefined;
  } catch {
    return undefined;
  }
}
