import type { MoodReason, Priority, Status, StatusData, Summary } from "../sdk/frames.ts";
import type { Mark } from "../sdk/timeline.ts";
import type { Lang } from "../ui/lang.ts";
import { dayName, clock, say } from "../ui/lang.ts";
import { anomalyWhy } from "./anomaly.ts";
import type { Words } from "./words.ts";

/** Speech turns the vocabulary of the wire into sentences of the reader's language. */
export class Speech {
  constructor(
    readonly lang: Lang,
    readonly words: Words,
    /** nameOf gives an agent's display name, or the id where the directory has none. */
    readonly nameOf: (agent: string) => string,
  ) {}

  /** moment shows a point in time, near or far. */
  moment(at: string): string {
    return `${dayName(at, Date.now(), this.lang)} ${clock(at, this.lang)}`;
  }

  status(s: Summary): string {
    const { words } = this;
    if (s.status === "open") return s.queue === "queued" ? words.queued : words.open;
    const names: Record<Exclude<Status, "open">, string> = {
      pending: words.pending, snoozed: words.snoozed, resolved: words.resolved, closed: words.closed,
    };
    return names[s.status];
  }

  priority(p: Priority): string {
    const { words } = this;
    const names: Record<Priority, string> = { none: words.pNone, low: words.pLow, medium: words.pMedium, high: words.pHigh, urgent: words.pUrgent };
    return names[p];
  }

  reason(reason: string): string {
    const { words } = this;
    const names: Partial<Record<string, string>> = {
      asked: words.rAsked, abstained: words.rAbstained, policy: words.rPolicy, bot_failed: words.rFailed, no_bot: words.rNoBot,
      lookup_failed: words.rLookup, slot_missing: words.rSlot, by_agent: words.rAgent, reopened: words.rReopened, behavior: words.rBehavior, anger: words.rAnger, attachment: words.rAttachment,
    };
    return names[reason] ?? reason;
  }

  /** mood says how the visitor feels and why; undefined where there is nothing to say. */
  mood(s: Pick<Summary, "mood" | "mood_reasons">): { label: string; reasons: string } | undefined {
    const { words } = this;
    const reasons = s.mood_reasons ?? [];
    const names: Partial<Record<MoodReason, string>> = {
      level: words.moodLevel, sudden: words.moodSudden, threat: words.moodThreat, abuse: words.moodAbuse, repeats: words.moodRepeats,
      shouts: words.moodShouts, denies: words.moodDenies, failed_turns: words.moodFailed, waiting: words.moodWaiting,
    };
    const why = reasons.map((r) => names[r] ?? r).join(this.lang === "zh" ? "、" : ", ");
    if (s.mood === "angry") return { label: words.angry, reasons: why };
    return reasons.length > 0 ? { label: words.abusive, reasons: why } : undefined;
  }

  /** visitor names the person on the other side as far as they are known. */
  visitor(s: Summary): string {
    const { words } = this;
    if (s.peer !== undefined && s.peer !== "") return s.peer;
    return `${words.visitor} ${s.contact.slice(-4).toUpperCase()}`;
  }

  /** mark is the sentence for something that happened between messages. */
  mark(mark: Mark): string {
    const { words } = this;
    const entry = mark.entry;
    switch (entry.type) {
      case "conversation.started":
        return words.mStarted;
      case "conversation.handover":
        return say(words.mHandover, { why: this.reason(entry.data.reason ?? "") });
      case "conversation.assigned": {
        const { name, by, claimed, agent } = entry.data;
        if (claimed === true || by === agent) return say(words.mAssigned, { name });
        if (by === undefined || by === "") return say(words.mAssignedQueue, { name });
        return say(words.mAssignedBy, { by: this.nameOf(by), name });
      }
      case "conversation.unassigned":
        return say(words.mUnassigned, { name: this.nameOf(entry.data.by ?? entry.data.agent) });
      case "conversation.status_changed":
        return this.change(entry.data);
      case "conversation.tags_changed": {
        const added = entry.data.added ?? [];
        return added.length > 0 ? say(words.mTagAdd, { tags: added.join(", ") }) : say(words.mTagRemove, { tags: (entry.data.removed ?? []).join(", ") });
      }
      case "conversation.priority_changed":
        return say(words.mPriority, { p: this.priority(entry.data.to) });
      case "conversation.mood_changed": {
        const mood = this.mood({ mood: entry.data.to, ...(entry.data.reasons !== undefined && { mood_reasons: entry.data.reasons }) });
        if (mood === undefined) return words.calmAgain;
        return say(words.mMood, { mood: mood.reasons === "" ? mood.label : `${mood.label} (${mood.reasons})` });
      }
      case "conversation.anomaly_found":
        return say(words.mAnomaly, { why: anomalyWhy(words, entry.data) });
    }
  }

  private change(data: StatusData): string {
    const { words } = this;
    switch (data.to) {
      case "resolved":
        return data.by === undefined || data.by === "" ? words.mResolved : say(words.mResolvedBy, { by: this.nameOf(data.by) });
      case "closed":
        return words.mClosed;
      case "snoozed":
        return say(words.mSnoozed, { t: data.snoozed_until === undefined ? "" : this.moment(data.snoozed_until) });
      case "pending":
        return data.trigger === "return_bot" ? words.mToBot : words.mReopened;
      case "open":
        return data.trigger === "wake" || data.trigger === "unassign" ? words.mWoke : words.mReopened;
    }
  }
}

/** telling reports whether a mark says something its neighbors do not. */
export function telling(mark: Mark): boolean {
  const entry = mark.entry;
  if (entry.type !== "conversation.status_changed") return true;
  // A handover and a take-over are told by their own events already.
  return entry.data.trigger !== "handover" && entry.data.trigger !== "take_over" && !(entry.data.to === "open" && entry.data.trigger === "transfer");
}
