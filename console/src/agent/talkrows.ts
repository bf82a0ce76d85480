import type { Unsent } from "../sdk/outbox.ts";
import type { Bubble, Item, Mark, Timeline } from "../sdk/timeline.ts";
import { fileStates } from "../sdk/timeline.ts";
import { dayKey } from "../ui/lang.ts";
import { telling } from "./say.ts";

/** Line is one line of the agent's view of a conversation. */
export type Line =
  | { kind: "day"; at: string }
  | { kind: "mark"; mark: Mark }
  | { kind: "bubble"; bubble: Bubble; first: boolean; last: boolean; fate: "stored" | "delivered" | "read" }
  | { kind: "unsent"; unsent: Unsent };

export interface KeyedLine {
  key: string;
  version: unknown;
  item: Line;
}

/** linesOf lays out a timeline, with what is unsent at the end. */
export function linesOf(line: Timeline, unsent: readonly Unsent[]): KeyedLine[] {
  const out: KeyedLine[] = [];
  let day = "";
  const shown = line.items.filter((i) => i.kind !== "mark" || telling(i));
  shown.forEach((item, i) => {
    const key = dayKey(item.at);
    if (key !== day) {
      day = key;
      out.push({ key: `d:${key}`, version: key, item: { kind: "day", at: item.at } });
    }
    if (item.kind === "mark") out.push({ key: `m:${item.seq}`, version: item, item: { kind: "mark", mark: item } });
    else out.push(bubbleLine(item, shown[i - 1], shown[i + 1], line));
  });
  for (const u of unsent) out.push({ key: `c:${u.client_id}`, version: u.refused ?? "sending", item: { kind: "unsent", unsent: u } });
  return out;
}

function bubbleLine(b: Bubble, before: Item | undefined, after: Item | undefined, line: Timeline): KeyedLine {
  const fate = line.readVisitor >= b.seq ? "read" : line.delivered >= b.seq ? "delivered" : "stored";
  const item: Line = { kind: "bubble", bubble: b, first: !joins(before, b), last: !joins(after, b), fate };
  const key = b.ref === undefined ? `s:${b.seq}` : `c:${b.ref}`;
  return { key, version: `${item.first}${item.last}${fate}${b.delivery ?? ""}${fileStates(b.attachments)}${b.turn === undefined ? "" : "t"}${(b.judged ?? []).map((j) => `${j.by}${j.verdict}${j.intent ?? ""}`).join()}`, item };
}

function joins(other: Item | undefined, b: Bubble): boolean {
  if (other === undefined || other.kind !== b.kind) return false;
  return other.from === b.from && other.agent === b.agent && Math.abs(Date.parse(other.at) - Date.parse(b.at)) < 300_000;
}
