import type { Priority, Summary } from "../sdk/frames.ts";

export type Filter = "waiting" | "mine" | "all" | "resolved";

export const filters: readonly Filter[] = ["waiting", "mine", "all", "resolved"];

const ranks: Record<Priority, number> = { none: 0, low: 1, medium: 2, high: 3, urgent: 4 };

/** matches reports whether a conversation belongs under a filter. */
export function matches(s: Summary, filter: Filter, me: string): boolean {
  switch (filter) {
    case "waiting":
      return s.status === "open" && s.queue === "queued";
    case "mine":
      return s.assignee === me && (s.status === "open" || s.status === "snoozed");
    case "all":
      return s.status === "pending" || s.status === "open" || s.status === "snoozed";
    case "resolved":
      return s.status === "resolved" || s.status === "closed";
  }
}

/** found reports whether a conversation holds the words that are looked for. */
export function found(s: Summary, query: string): boolean {
  if (query === "") return true;
  const hay = [s.id, s.preview, s.peer, s.contact, s.assignee_name, s.intent, s.channel, ...(s.tags ?? [])].join("\n").toLowerCase();
  return query.toLowerCase().split(/\s+/u).every((word) => hay.includes(word));
}

/** inOrder puts who should be served first at the top: by the queue's rule where people wait, else by activity. */
export function inOrder(list: Summary[], filter: Filter): Summary[] {
  return list.sort((a, b) => {
    if (filter === "waiting") {
      const rank = ranks[b.priority] - ranks[a.priority];
      if (rank !== 0) return rank;
      const since = (a.queued_at ?? "").localeCompare(b.queued_at ?? "");
      if (since !== 0) return since;
    }
    const active = b.last_activity.localeCompare(a.last_activity);
    return active !== 0 ? active : a.id.localeCompare(b.id);
  });
}
