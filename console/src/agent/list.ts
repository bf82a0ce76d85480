import type { Summary } from "../sdk/frames.ts";
import { fill, h, Keyed, show, write } from "../ui/dom.ts";
import { icon } from "../ui/icon.ts";
import { span } from "../ui/lang.ts";
import type { Filter } from "./filter.ts";
import { filters } from "./filter.ts";
import type { Speech } from "./say.ts";

export interface ListState {
  filter: Filter;
  counts: Record<Filter, number>;
  rows: Summary[];
  selected: string | undefined;
  unread: (s: Summary) => boolean;
  loading: boolean;
  failed: boolean;
  more: boolean;
  searching: boolean;
  now: number;
}

export interface ListOptions {
  speech: Speech;
  me: string;
  inboxes: { id: string; name: string }[];
  onFilter(filter: Filter): void;
  onInbox(inbox: string): void;
  onSearch(query: string): void;
  onSelect(id: string): void;
  onMore(): void;
  onRetry(): void;
}

/** ConversationList is the left column: filters, search and the rows. */
export class ConversationList {
  readonly el: HTMLElement;
  readonly search: HTMLInputElement;
  private readonly tabs = new Map<Filter, { button: HTMLButtonElement; count: HTMLElement }>();
  private readonly rows: Keyed<{ s: Summary; selected: boolean; unread: boolean; age: string }>;
  private readonly empty = h("div", { class: "empty" });
  private readonly more: HTMLButtonElement;
  private readonly list: HTMLElement;

  constructor(private readonly options: ListOptions) {
    const { words } = options.speech;
    const tabs = filters.map((f) => {
      const count = h("span", { class: "n" });
      const button = h("button", { attrs: { type: "button", "aria-pressed": "false" }, onclick: () => options.onFilter(f) }, words[f], count);
      this.tabs.set(f, { button, count });
      return button;
    });
    this.search = h("input", { attrs: { type: "search", placeholder: words.search, "aria-label": words.search, maxlength: 200 }, oninput: () => options.onSearch(this.search.value) });
    const inbox = h("select", { attrs: { "aria-label": words.inbox }, onchange: (event) => options.onInbox((event.currentTarget as HTMLSelectElement).value) },
      h("option", { attrs: { value: "" } }, words.allInboxes), ...options.inboxes.map((i) => h("option", { attrs: { value: i.id } }, i.name)));
    show(inbox, options.inboxes.length > 1);
    this.list = h("ul", { class: "conversations", attrs: { "aria-label": words.list } });
    this.rows = new Keyed(this.list, (row) => this.row(row));
    this.more = h("button", { class: "quiet load", attrs: { type: "button" }, onclick: () => options.onMore() }, words.more);
    this.el = h("section", { class: "list", attrs: { "aria-label": words.list } },
      h("div", { class: "tabs", attrs: { role: "group", "aria-label": words.filters } }, ...tabs),
      h("div", { class: "finder" }, h("label", { class: "searchbox" }, icon("search"), this.search), inbox),
      h("div", { class: "rowsbox" }, this.list, this.empty, this.more));
  }

  /** update shows a state. */
  update(state: ListState): void {
    for (const [f, { button, count }] of this.tabs) {
      button.setAttribute("aria-pressed", String(f === state.filter));
      const n = state.counts[f];
      write(count, n > 99 ? "99+" : String(n));
      show(count, n > 0 && f !== "resolved");
    }
    this.rows.update(state.rows.map((s) => {
      const item = { s, selected: s.id === state.selected, unread: state.unread(s), age: this.age(s, state.now) };
      return { key: s.id, version: `${s.version}|${item.selected}|${item.unread}|${item.age}`, item };
    }));
    show(this.more, state.more && state.rows.length > 0);
    show(this.empty, state.rows.length === 0);
    if (state.rows.length === 0) this.renderEmpty(state);
  }

  /** reveal brings a row into view. */
  reveal(id: string): void {
    this.list.querySelector(`[data-id="${CSS.escape(id)}"]`)?.scrollIntoView({ block: "nearest" });
  }

  private renderEmpty(state: ListState): void {
    const { words } = this.options.speech;
    if (state.failed) {
      fill(this.empty, h("p", {}, words.loadFailed), h("button", { class: "quiet", attrs: { type: "button" }, onclick: () => this.options.onRetry() }, words.retry));
      return;
    }
    if (state.loading) {
      fill(this.empty, h("p", { class: "soft" }, words.loading));
      return;
    }
    if (state.searching) {
      fill(this.empty, h("p", {}, words.emptySearch));
      return;
    }
    const texts: Record<Filter, [string, string]> = {
      waiting: [words.emptyWaiting, words.emptyWaitingMore], mine: [words.emptyMine, words.emptyMineMore], all: [words.emptyAll, ""], resolved: [words.emptyResolved, ""],
    };
    const [title, more] = texts[state.filter];
    fill(this.empty, icon("inbox", "icon big"), h("p", {}, title), more !== "" && h("p", { class: "soft" }, more));
  }

  private age(s: Summary, now: number): string {
    const { words, lang } = this.options.speech;
    if (s.waiting_since !== undefined && (s.status === "open" || s.status === "snoozed")) return words.waited.replace("{t}", span(now - Date.parse(s.waiting_since), lang));
    return words.ago.replace("{t}", span(now - Date.parse(s.last_activity), lang));
  }

  private row(row: { s: Summary; selected: boolean; unread: boolean; age: string }): HTMLElement {
    const { s } = row;
    const { speech } = this.options;
    const { words } = speech;
    const waiting = s.waiting_since !== undefined && s.status === "open";
    const agentLabel = s.assignee === this.options.me ? words.youLabel : words.agentLabel;
    const label = s.preview_from === "bot" ? words.botLabel : s.preview_from === "agent" ? agentLabel : "";
    const mood = speech.mood(s);
    const chips = [
      mood === undefined ? null : h("span", { class: `chip mood ${s.mood ?? ""}`, attrs: { title: mood.reasons } }, mood.label, h("span", { class: "sr" }, ` (${mood.reasons})`)),
      s.priority === "none" ? null : h("span", { class: `chip priority ${s.priority}` }, speech.priority(s.priority)),
      h("span", { class: `chip status ${s.status} ${s.queue}` }, s.assignee_name ?? speech.status(s)),
      h("span", { class: "chip plain" }, s.channel),
      ...(s.tags ?? []).slice(0, 2).map((t) => h("span", { class: "chip tag" }, t)),
    ];
    return h("li", { class: row.selected ? "selected" : "", attrs: { "data-id": s.id } },
      h("button", { class: `conversation${row.unread ? " unread" : ""}`, attrs: { type: "button", "aria-current": row.selected ? "true" : undefined }, onclick: () => this.options.onSelect(s.id) },
        h("span", { class: "top" }, h("strong", {}, speech.visitor(s)), h("span", { class: waiting ? "age late" : "age" }, row.age)),
        h("span", { class: "preview" }, h("span", { class: "soft" }, label), s.preview ?? ""),
        h("span", { class: "chips" }, ...chips, row.unread && h("span", { class: "dot" }, h("span", { class: "sr" }, words.newMessages)))));
  }
}
