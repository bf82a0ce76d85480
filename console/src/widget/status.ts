import type { Summary } from "../sdk/frames.ts";
import type { Phase } from "../sdk/link.ts";
import { say } from "../ui/lang.ts";
import type { Words } from "./words.ts";

/** statusText is the line under the title: who has the conversation, or how long it waits. */
export function statusText(head: Summary | undefined, position: number | undefined, words: Words): string {
  if (head === undefined) return words.subtitle;
  switch (head.status) {
    case "pending":
      return words.subtitle;
    case "snoozed":
      return words.snoozed;
    case "resolved":
      return words.resolved;
    case "closed":
      return words.closed;
    case "open":
      if (head.queue === "assigned" || head.assignee !== undefined) {
        const name = head.assignee_name ?? "";
        return name === "" ? words.agentNone : say(words.joined, { name });
      }
      return position !== undefined && position > 0 ? say(words.queuedAt, { n: position }) : words.queued;
  }
}

const notAllowed = 3507; // the page's origin is not on the inbox's list

/** bannerText tells of a connection that is not there; empty when all is well or has only just begun. */
export function bannerText(phase: Phase, everOpen: boolean, barred: boolean, words: Words): string {
  if (barred || (phase.name === "stopped" && phase.code === notAllowed)) return words.forbidden;
  switch (phase.name) {
    case "open":
    case "resuming":
      return "";
    case "connecting":
    case "waiting":
      return everOpen || phase.name === "waiting" ? words.reconnecting : "";
    case "offline":
      return words.offline;
    case "stopped":
      return words.stopped;
  }
}
