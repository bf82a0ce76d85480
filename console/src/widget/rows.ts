import type { Attachment, Button } from "../sdk/frames.ts";
import type { Unsent } from "../sdk/outbox.ts";
import type { Store } from "../sdk/store.ts";
import type { Bubble, Item, Mark, Timeline } from "../sdk/timeline.ts";
import { fileStates } from "../sdk/timeline.ts";
import { dayKey } from "../ui/lang.ts";

export type Tick = "sending" | "stored" | "read" | "refused";

/** Row is one line of the visitor's view. */
export type Row =
  | { kind: "day"; at: string }
  | { kind: "mark"; mark: Mark }
  | { kind: "bubble"; from: Bubble["from"]; name?: string; text: string; attachments?: readonly Attachment[]; at: string; first: boolean; last: boolean; tick?: Tick; buttons: readonly Button[]; clientId?: string; refused?: string; answer?: { conversation: string; seq: number } };

export interface KeyedRow {
  key: string;
  version: string;
  item: Row;
}

/** rowsOf lays out all conversations of a visitor, oldest first, with what is unsent at the end. */
export function rowsOf(store: Store, unsent: readonly Unsent[]): KeyedRow[] {
  const rows: KeyedRow[] = [];
  let day = "";
  const onDay = (at: string) => {
    const key = dayKey(at);
    if (key === day) return;
    day = key;
    rows.push({ key: `d:${key}`, version: key, item: { kind: "day", at } });
  };
  for (const [id, line] of inOrder(store)) {
    const shown = line.items.filter((item) => visible(item));
    const answer = shown.findLast((item): item is Bubble => item.kind === "message" && item.from !== "visitor");
    const readTo = Math.max(line.readAgent, answer?.seq ?? 0);
    shown.forEach((item, i) => {
      onDay(item.at);
      if (item.kind === "mark") rows.push(markRow(id, item));
      else rows.push(bubbleRow(item, { id, readTo, before: shown[i - 1], after: shown[i + 1], newest: i === shown.length - 1 && unsent.length === 0 }));
    });
  }
  unsent.forEach((u, i) => {
    onDay(u.at);
    const tick: Tick = u.refused === undefined ? "sending" : "refused";
    const item: Row = { kind: "bubble", from: "visitor", text: u.text, at: u.at, first: i === 0, last: i === unsent.length - 1, tick, buttons: [], clientId: u.client_id };
    if (u.refused !== undefined) item.refused = u.refused;
    if (u.attachments !== undefined) item.attachments = u.attachments;
    rows.push({ key: `c:${u.client_id}`, version: `${tick}${item.first}${item.last}`, item });
  });
  return rows;
}

function inOrder(store: Store): [string, Timeline][] {
  const started = (id: string): string => store.heads.get(id)?.created_at ?? "";
  return [...store.lines].sort(([a], [b]) => started(a).localeCompare(started(b)));
}

/** visible keeps the marks that tell a visitor something. */
function visible(item: Item): boolean {
  if (item.kind !== "mark") return item.kind === "message";
  const entry = item.entry;
  switch (entry.type) {
    case "conversation.handover":
    case "conversation.assigned":
      return true;
    case "conversation.status_changed":
      return entry.data.to === "resolved" || entry.data.to === "pending";
    default:
      return false;
  }
}

function markRow(id: string, mark: Mark): KeyedRow {
  return { key: `${id}:${mark.seq}`, version: "mark", item: { kind: "mark", mark } };
}

interface Place {
  id: string;
  readTo: number;
  before: Item | undefined;
  after: Item | undefined;
  newest: boolean;
}

function bubbleRow(b: Bubble, place: Place): KeyedRow {
  const first = !sameSpeaker(place.before, b);
  const last = !sameSpeaker(place.after, b);
  const item: Row = { kind: "bubble", from: b.from, text: b.text, at: b.at, first, last, buttons: place.newest ? b.buttons : [] };
  if (b.name !== undefined) item.name = b.name;
  if (b.attachments !== undefined) item.attachments = b.attachments;
  if (b.from === "visitor") item.tick = place.readTo >= b.seq ? "read" : "stored";
  if (b.from === "bot" && place.newest) item.answer = { conversation: place.id, seq: b.seq };
  const key = b.ref === undefined ? `${place.id}:${b.seq}` : `c:${b.ref}`;
  return { key, version: `${item.tick ?? ""}${first}${last}${item.buttons.length}${item.answer === undefined ? "" : "a"}${fileStates(b.attachments)}`, item };
}

function sameSpeaker(other: Item | undefined, b: Bubble): boolean {
  if (other === undefined || other.kind === "mark") return false;
  return other.from === b.from && other.name === b.name && Math.abs(Date.parse(other.at) - Date.parse(b.at)) < 300_000;
}
