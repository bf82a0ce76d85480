import type { Message, Trouble } from "./frames.ts";
import { Refused, Session } from "./session.ts";

/** VisitorSession is a session with what the widget asks for beside its connection. */
export class VisitorSession extends Session {
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
}
