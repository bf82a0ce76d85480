import type { Entry, Message, Status, Summary } from "./frames.ts";
import { plain } from "./timeline.ts";

const previewChars = 80;

/** emptyHead is a conversation of which nothing is known but its id. */
export function emptyHead(id: string): Summary {
  return {
    id, inbox: "", channel: "web", contact: "", status: "pending", handler: "none", queue: "none", priority: "none",
    created_at: "", last_activity: "", version: 0,
  };
}

/**
 * foldHead applies one entry to a head, by the rules with which the server
 * folds its own. Entries that are already in the head are ignored; the result
 * is a new object, or the same one when nothing changed.
 */
export function foldHead(head: Summary, entry: Entry): Summary {
  if (entry.seq <= head.version) return head;
  const next: Summary = { ...head, version: entry.seq };
  if (next.created_at === "") next.created_at = entry.at;
  next.last_activity = entry.at;
  switch (entry.type) {
    case "conversation.started":
      Object.assign(next, entry.data, { created_at: entry.at });
      if (entry.data.status === "open") enqueue(next, entry.at);
      break;
    case "message.accepted":
      next.waiting_since ??= entry.at;
      spoke(next, entry.data);
      break;
    case "message.composed":
    case "message.replied":
      delete next.waiting_since;
      spoke(next, entry.data);
      break;
    case "turn.completed":
      if (entry.data.intent !== undefined && entry.data.intent !== "") next.intent = entry.data.intent;
      break;
    case "conversation.handover":
      if (entry.data.reason !== undefined) next.handover_reason = entry.data.reason;
      next.waiting_since ??= entry.at;
      break;
    case "conversation.assigned":
      next.assignee = entry.data.agent ?? entry.data.name; // visitors learn the name only
      next.assignee_name = entry.data.name;
      next.handler = "agent";
      next.queue = "assigned";
      delete next.queued_at;
      break;
    case "conversation.unassigned":
      release(next);
      enqueue(next, entry.at);
      break;
    case "conversation.status_changed":
      changeStatus(next, entry.data, entry.at);
      break;
    case "conversation.tags_changed":
      next.tags = [...new Set([...(head.tags ?? []).filter((t) => !(entry.data.removed ?? []).includes(t)), ...(entry.data.added ?? [])])].sort();
      break;
    case "conversation.priority_changed":
      next.priority = entry.data.to;
      break;
    case "conversation.mood_changed":
      calm(next);
      if (entry.data.to === "angry") next.mood = "angry";
      if (entry.data.reasons !== undefined && entry.data.reasons.length > 0) next.mood_reasons = entry.data.reasons;
      break;
    case "conversation.anomaly_found":
      next.anomalies = [...(head.anomalies ?? []).filter((a) => a.kind !== entry.data.anomaly), { kind: entry.data.anomaly, at: entry.at }];
      break;
    default:
  }
  return next;
}

function spoke(head: Summary, m: Message): void {
  const text = plain(m);
  head.preview = text.length > previewChars ? text.slice(0, previewChars) : text;
  head.preview_from = m.from;
}

function enqueue(head: Summary, at: string): void {
  head.handler = "none";
  head.queue = "queued";
  head.queued_at = at;
}

function calm(head: Summary): void {
  delete head.mood;
  delete head.mood_reasons;
}

function release(head: Summary): void {
  delete head.assignee;
  delete head.assignee_name;
  delete head.queued_at;
}

function changeStatus(head: Summary, data: { to: Status; snoozed_until?: string }, at: string): void {
  head.status = data.to;
  delete head.snoozed_until;
  if (data.snoozed_until !== undefined) head.snoozed_until = data.snoozed_until;
  switch (data.to) {
    case "pending":
      release(head);
      head.handler = "bot";
      head.queue = "none";
      break;
    case "open":
      if (head.assignee === undefined || head.assignee === "") enqueue(head, at);
      else {
        head.handler = "agent";
        head.queue = "assigned";
      }
      break;
    case "snoozed":
      head.queue = "none";
      delete head.queued_at;
      break;
    case "resolved":
    case "closed":
      release(head);
      calm(head);
      head.handler = "none";
      head.queue = "none";
      delete head.waiting_since;
      break;
  }
}
