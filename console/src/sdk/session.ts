import type { Credentials } from "./client.ts";
import type { Trouble } from "./frames.ts";
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
export class Session implements Credentials {
  /** barred says that this page may not use the inbox, or that there is no such inbox. */
  barred = false;
  private grant: Grant | undefined;
  private readonly key: string;

  constructor(
    protected readonly base: string,
    protected readonly inbox: string,
    private readonly shelf: Shelf,
  ) {
    this.key = `colloquy.visitor.${inbox}`;
    this.grant = readGrant(shelf.getItem(this.key));
  }

  /** token gives a token that is good for a while yet. */
  async token(): Promise<string> {
    const left = Date.parse(this.grant?.expires_at ?? "") - Date.now();
    if (!(left >= early)) await this.exchange(); // without a date it is not a number
    return this.grant?.token ?? "";
  }

  /** renew is called when the server did not like the token. */
  async renew(): Promise<void> {
    await this.exchange();
  }

  private async exchange(): Promise<void> {
    const response = await fetch(`${this.base}/v1/widget/session`, {
      method: "POST", headers: { "content-type": "application/json" }, credentials: "omit", cache: "no-store",
      body: JSON.stringify({ inbox: this.inbox, token: this.grant?.token }),
    });
    const body = (await response.json().catch(() => ({}))) as unknown;
    this.barred = [400, 403, 404].includes(response.status);
    if (!response.ok) throw new Refused(response.status, body as Trouble);
    this.grant = body as Grant;
    try {
      this.shelf.setItem(this.key, JSON.stringify(this.grant));
    } catch {
      // Without storage the visitor is somebody new after a reload.
    }
  }
}

function readGrant(text: string | null): Grant | undefined {
  try {
    const grant = JSON.parse(text ?? "null") as Grant | null;
    return typeof grant?.token === "string" ? grant : undefined;
  } catch {
    return undefined;
  }
}
