import type { Priority, Summary } from "../sdk/frames.ts";
import type { Timeline } from "../sdk/timeline.ts";
import { fill, h } from "../ui/dom.ts";
import { icon } from "../ui/icon.ts";
import { say } from "../ui/lang.ts";
import type { Speech } from "./say.ts";
import { percent } from "./talkthread.ts";

const priorities: readonly Priority[] = ["none", "low", "medium", "high", "urgent"];

export interface SideOptions {
  speech: Speech;
  onPriority(p: Priority): void;
  onTag(add: string[], remove: string[]): void;
  onClose(): void;
  /** more stands below the facts. */
  more?: HTMLElement | undefined;
}

/** Side is the right column: what is known about the conversation, its priority and tags. */
export class Side {
  readonly el: HTMLElement;
  private readonly facts = h("dl", { class: "facts" });
  private readonly mood = h("div");
  private readonly handover = h("div");
  private readonly tags = h("div", { class: "tags" });
  private readonly priority: HTMLSelectElement;
  private readonly tagBox: HTMLInputElement;
  private shown = "";

  constructor(private readonly options: SideOptions) {
    const { words } = options.speech;
    this.priority = h("select", { attrs: { id: "side-priority" }, onchange: () => options.onPriority(this.priority.value as Priority) },
      ...priorities.map((p) => h("option", { attrs: { value: p } }, options.speech.priority(p))));
    this.tagBox = h("input", { attrs: { id: "side-tag", type: "text", placeholder: words.addTag, maxlength: 40, autocomplete: "off" } });
    this.el = h("aside", { class: "side", attrs: { "aria-label": words.details } },
      h("header", {}, h("h2", {}, words.details), h("button", { class: "icononly closeside", attrs: { type: "button", "aria-label": words.close }, onclick: () => options.onClose() }, icon("close"))),
      this.mood, this.handover,
      h("div", { class: "field" }, h("label", { attrs: { for: "side-priority" } }, icon("flag"), words.priority), this.priority),
      h("form", { class: "field", onsubmit: (event) => {
        event.preventDefault();
        const tag = this.tagBox.value.trim();
        if (tag === "") return;
        this.tagBox.value = "";
        options.onTag([tag], []);
      } }, h("label", { attrs: { for: "side-tag" } }, icon("tag"), words.tags), this.tags, this.tagBox),
      this.facts, options.more);
  }

  /** update shows a conversation's facts. */
  update(head: Summary, line: Timeline | undefined): void {
    const key = `${head.id}|${head.version}|${line?.version ?? 0}`;
    if (key === this.shown) return;
    this.shown = key;
    const { speech } = this.options;
    const { words } = speech;
    this.priority.value = head.priority;
    fill(this.tags, ...(head.tags ?? []).map((t) => h("span", { class: "chip tag" }, t,
      h("button", { attrs: { type: "button", "aria-label": say(words.removeTag, { tag: t }) }, onclick: () => this.options.onTag([], [t]) }, icon("close")))));
    const mood = speech.mood(head);
    fill(this.mood, mood !== undefined && h("div", { class: "reasons mood" }, h("strong", {}, `${words.mood}: ${mood.label}`), mood.reasons !== "" && h("p", {}, mood.reasons)));
    const rows: [string, string | undefined][] = [
      [words.status, speech.status(head)], [words.assignee, head.assignee_name ?? words.nobody], [words.inbox, head.inbox], [words.channel, head.channel],
      [words.peer, head.peer], [words.intent, head.intent], [words.waitingSince, head.waiting_since && speech.moment(head.waiting_since)],
      [words.created, head.created_at === "" ? undefined : speech.moment(head.created_at)], [words.contact, head.contact], [words.id, head.id],
    ];
    fill(this.facts, ...rows.filter(([, v]) => v !== undefined && v !== "").flatMap(([k, v]) => [h("dt", {}, k), h("dd", {}, v)]));
    this.renderHandover(line);
  }

  private renderHandover(line: Timeline | undefined): void {
    const { speech } = this.options;
    const { words } = speech;
    const last = line?.items.findLast((i) => i.kind === "mark" && i.entry.type === "conversation.handover");
    if (last?.kind !== "mark" || last.entry.type !== "conversation.handover") {
      fill(this.handover);
      return;
    }
    const d = last.entry.data;
    fill(this.handover, h("div", { class: "reasons" }, h("strong", {}, words.handover), h("p", {}, speech.reason(d.reason ?? "")),
      d.intent !== undefined && d.intent !== "" && h("p", { class: "soft" }, `${words.intent} ${d.intent} ${percent(d.confidence)}`),
      d.summary !== undefined && d.summary !== "" && h("p", {}, d.summary)));
  }
}
