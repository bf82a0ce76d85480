import { Refused } from "../sdk/session.ts";
import { h, Keyed, show, write } from "../ui/dom.ts";
import { icon } from "../ui/icon.ts";
import { say } from "../ui/lang.ts";
import type { Api } from "./api.ts";
import { openDialog } from "./menu.ts";
import { PackPane } from "./packpane.ts";
import { Packs } from "./packs.ts";
import type { PackInfo } from "./packs.ts";
import { stateChip } from "./packstate.ts";
import { packWords } from "./packwords.ts";
import type { PackWords } from "./packwords.ts";
import type { Speech } from "./say.ts";

const quickMs = 1000; // between looks while something is being trained
const calmMs = 15_000;

export interface KnowledgeOptions {
  api: Api;
  speech: Speech;
  tell(text: string, tone?: "ok" | "bad"): void;
}

/** Knowledge is the page on which admins read and change the packs. */
export class Knowledge {
  readonly el: HTMLElement;
  private readonly packs: Packs;
  private readonly words: PackWords;
  private readonly rows: Keyed<PackInfo>;
  private readonly pane: PackPane;
  private readonly nothing: HTMLElement;
  private readonly failed = h("p", { class: "problem", attrs: { role: "alert" } });
  private list: PackInfo[] = [];
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly options: KnowledgeOptions) {
    const { speech } = options;
    this.words = packWords(speech.lang);
    this.packs = new Packs(options.api);
    const list = h("div", { class: "rowsbox", attrs: { role: "list", "aria-label": this.words.packs } });
    this.rows = new Keyed(list, (p) => this.row(p));
    this.pane = new PackPane({ packs: this.packs, words: this.words, speech, tell: (t, tone) => options.tell(t, tone), onChange: () => void this.look(), onBack: () => this.back() });
    this.nothing = h("section", { class: "nothing" }, icon("book", "icon big"), h("p", {}, this.words.choose), h("p", { class: "soft" }, this.words.chooseMore));
    this.el = h("main", { class: "knowledge" },
      h("section", { class: "packlist" },
        h("header", {}, h("h2", {}, this.words.packs), h("button", { class: "quiet", attrs: { type: "button", "data-do": "new-pack" }, onclick: () => this.create() }, this.words.newPack)),
        this.failed, list),
      this.pane.el, this.nothing);
    show(this.el, false);
    show(this.failed, false);
    this.render();
    addEventListener("beforeunload", this.stay);
  }

  /** open shows the page and keeps it fresh. */
  open(): void {
    show(this.el, true);
    void this.look();
  }

  /** close hides the page; what was written stays in it. */
  close(): void {
    show(this.el, false);
    clearTimeout(this.timer);
    this.timer = undefined;
  }

  /** search goes to the box that searches the intents. */
  search(): void {
    this.pane.search();
  }

  /** back leaves the open pack; false when none is open. */
  back(): boolean {
    if (this.pane.name === "") return false;
    this.pane.leave();
    this.render();
    return true;
  }

  private readonly stay = (event: BeforeUnloadEvent) => {
    if (this.pane.dirty()) event.preventDefault();
  };

  /** look asks how far the packs are, soon again while one is on its way. */
  private async look(): Promise<void> {
    clearTimeout(this.timer);
    try {
      this.list = await this.packs.list();
      show(this.failed, false);
    } catch (err) {
      write(this.failed, err instanceof Refused ? err.message : this.options.speech.words.loginDown);
      show(this.failed, true);
    }
    this.render();
    if (this.el.hidden) return;
    const busy = this.list.some((p) => p.state === "training" || (p.state === "live" && !p.calibrated));
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.look(), busy ? quickMs : calmMs);
  }

  private render(): void {
    const selected = this.pane.name;
    const begun = this.pane.drafts().filter((name) => !this.list.some((p) => p.name === name)).map((name) => unsaved(name));
    this.rows.update([...this.list, ...begun].map((p) => ({ key: `${p.origin} ${p.name}`, version: JSON.stringify([p, p.name === selected, this.pane.dirty(p.name)]), item: p })));
    const standing = this.list.filter((p) => p.name === selected && p.state !== "hidden");
    const info = standing.find((p) => p.origin !== "built-in") ?? standing[0];
    if (info !== undefined) this.pane.update(info);
    this.el.classList.toggle("reading", selected !== "");
    show(this.pane.el, selected !== "");
    show(this.nothing, selected === "");
  }

  private row(p: PackInfo): HTMLElement {
    const { words } = this;
    return h("div", { class: p.name === this.pane.name ? "selected" : "", attrs: { role: "listitem" } },
      h("button", { class: "packrow", attrs: { type: "button", "data-pack": p.name }, onclick: () => void this.select(p.name) },
        h("span", { class: "top" }, h("strong", {}, p.name), h("span", { class: "chip" }, { "built-in": words.builtin, file: words.file, saved: words.saved }[p.origin])),
        h("span", { class: "preview" }, say(words.counts, { i: p.intents, q: p.questions })),
        h("span", { class: "chips" }, stateChip(p, words), this.pane.dirty(p.name) && h("span", { class: "chip queued" }, words.unsaved))));
  }

  private async select(name: string): Promise<void> {
    await this.pane.show(name);
    this.render();
  }

  private create(): void {
    const { words } = this;
    const name = h("input", { attrs: { type: "text", name: "pack-name", required: true, pattern: "[a-z0-9][a-z0-9_.\\-]*", maxlength: 64, autocomplete: "off", "aria-label": words.packName } });
    const form = h("form", { class: "field", onsubmit: (event) => {
      event.preventDefault();
      form.closest("dialog")?.close();
      void this.pane.begin(name.value, `colloquy: 1\npack: ${name.value}\nextends: [common]\nlang: ${this.options.speech.lang}\n\nintents:\n`).then(() => this.render());
    } }, h("label", {}, words.packName), name, h("button", { class: "primary", attrs: { type: "submit" } }, words.create));
    openDialog(words.newPack, this.options.speech.words.close, form);
    name.focus();
  }
}

/** unsaved stands in the list for a pack that was begun and not saved. */
function unsaved(name: string): PackInfo {
  return { name, version: "", intents: 0, questions: 0, langs: [], source: "", origin: "saved", state: "idle", calibrated: false };
}
