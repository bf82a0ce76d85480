import type { Message, Trouble } from "./frames.ts";
import type { FileLimits, Upload } from "../ui/upload.ts";
import { upload } from "../ui/upload.ts";
import { Refused, Session } from "./session.ts";

/** WidgetConfig is what an inbox offers its visitors. */
export interface WidgetConfig {
  feedback?: boolean;
  files?: FileLimits;
}

/** VisitorSession is a session with what the widget asks for beside its connection. */
export class VisitorSession extends Session {
  private readonly files = new Map<string, Promise<string>>();

  /** newest fetches the newest messages of the conversation the visitor is in. */
  async newest(): Promise<Message[]> {
    const response = await fetch(`${this.base}/v1/widget/conversations/current/messages?limit=100`, {
      headers: { authorization: `Bearer ${await this.token()}` }, credentials: "omit", cache: "no-store",
    });
    const body = (await response.json().catch(() => ({}))) as unknown;
    if (!response.ok) throw new Refused(response.status, body as Trouble);
    return (body as { data: Message[] }).data;
  }

  /** config tells what the inbox offers its visitors; nothing when it cannot be asked. */
  async config(): Promise<WidgetConfig> {
    try {
      const response = await fetch(`${this.base}/v1/widget/config?${new URLSearchParams({ inbox: this.inbox })}`, { credentials: "omit" });
      return response.ok ? ((await response.json()) as WidgetConfig) : {};
    } catch {
      return {};
    }
  }

  /** upload hands a file in that the next message will carry. */
  upload(file: File, onProgress: (part: number) => void): Upload {
    let running: Upload | undefined;
    let canceled = false;
    const done = this.token().then((token) => {
      running = upload(`${this.base}/v1/widget/attachments`, file, { authorization: `Bearer ${token}` }, onProgress);
      if (canceled) running.cancel();
      return running.done;
    });
    return {
      done,
      cancel: () => {
        canceled = true;
        running?.cancel();
      },
    };
  }

  /** url fetches a file with the token, which must not stand in an address, and gives where it is in memory. */
  url(id: string): Promise<string> {
    const known = this.files.get(id) ?? this.load(id);
    this.files.set(id, known);
    known.catch(() => this.files.delete(id));
    return known;
  }

  private async load(id: string): Promise<string> {
    const response = await fetch(`${this.base}/v1/widget/attachments/${id}`, { headers: { authorization: `Bearer ${await this.token()}` }, credentials: "omit" });
    if (!response.ok) throw new Refused(response.status, (await response.json().catch(() => ({}))) as Trouble);
    return URL.createObjectURL(await response.blob());
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
