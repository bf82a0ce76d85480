import { fill, h } from "../ui/dom.ts";

interface Session {
  conversation: string;
  channel: string;
  cpu_seconds: number;
  cpu_last_minute_seconds: number;
  turns: number;
  last_active: string;
  watched: boolean;
}

/** SessionTable lists the conversations that cost most of late. */
export class SessionTable {
  private readonly rows = h("tbody");
  readonly element = h("section", { class: "sessions" },
    h("h2", {}, "Conversations that cost most of late"),
    h("table", {}, h("thead", {}, h("tr", {}, ...["conversation", "channel", "last minute", "in all", "turns", "last active", ""].map((t) => h("th", {}, t)))), this.rows));

  async update(signal: AbortSignal): Promise<void> {
    const answer = await fetch("/debug/sessions?sort=recent&limit=20", { signal });
    if (!answer.ok) throw new Error(`/debug/sessions: ${answer.status}`);
    const { sessions } = (await answer.json()) as { sessions: Session[] | null };
    fill(this.rows, ...(sessions ?? []).map((s) => h("tr", {},
      h("td", {}, h("a", { attrs: { href: `/debug/sessions/${encodeURIComponent(s.conversation)}` } }, s.conversation)),
      h("td", {}, s.channel), h("td", {}, milliseconds(s.cpu_last_minute_seconds)), h("td", {}, milliseconds(s.cpu_seconds)), h("td", {}, s.turns),
      h("td", {}, new Date(s.last_active).toLocaleTimeString()), h("td", {}, s.watched ? "watched" : ""))));
  }
}

function milliseconds(seconds: number): string {
  return `${(seconds * 1000).toFixed(1)} ms`;
}
