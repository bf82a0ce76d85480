import { Refused } from "../sdk/session.ts";
import { fill, h, show } from "../ui/dom.ts";
import { icon } from "../ui/icon.ts";
import { say } from "../ui/lang.ts";
import { openDialog } from "./menu.ts";
import { PackReader } from "./packread.ts";
import type { PackInfo, Packs, PackView } from "./packs.ts";
import { stateChip } from "./packstate.ts";
import { PackText } from "./packtext.ts";
import { PackVersions } from "./packversions.ts";
import type { PackWords } from "./packwords.ts";
import type { Speech } from "./say.ts";

type Tab = "read" | "text" | "versions";

export interface PaneOptions {
  packs: Packs;
  words: PackWords;
  speech: Speech;
  tell(text: string, tone?: "ok" | "bad"): void;
  /** onChange runs after something was stored. */
  onChange(): void;
  onBack(): void;
}

/** PackPane is one pack: what it says, its text, its versions. */
export class PackPane {
  readonly el: HTMLElement;
  name = "";
  private readonly title = h("h2");
  private readonly state = h("p", { class: "soft" });
  private readonly trouble = h("p", { class: "problem", attrs: { role: "alert" } });
  private readonly remove: HTMLButtonElement;
  private readonly tabs: Record<Tab, HTMLButtonElement>;
  private readonly reader: PackReader;
  private readonly text: PackText;
  private readonly versions: PackVersions;
  private view: PackView | undefined;
  private shown = ""; // the version that is shown

  constructor(private readonly options: PaneOptions) {
    const { words, packs } = options;
    this.reader = new PackReader({ packs, words, onOpen: (line) => {
      this.turn("text");
      this.text.goto(line);
    } });
    this.text = new PackText({ ...options, onSaved: () => void this.saved(), onConflict: () => void this.conflict() });
    this.versions = new PackVersions({ ...options, onRolledBack: () => void this.saved() });
    const tab = (t: Tab) => h("button", { attrs: { type: "button", "aria-pressed": "false", "data-tab": t }, onclick: () => this.turn(t) }, words[t]);
    this.tabs = { read: tab("read"), text: tab("text"), versions: tab("versions") };
    this.remove = h("button", { class: "quiet", attrs: { type: "button", "data-do": "delete-pack" }, onclick: () => this.confirmRemove() }, words.remove);
    this.el = h("section", { class: "pack" },
      h("header", {},
        h("button", { class: "icononly back", attrs: { type: "button", "aria-label": words.back }, onclick: () => options.onBack() }, icon("back")),
        h("div", { class: "titles" }, this.title, this.state), this.remove),
      this.trouble,
      h("nav", { class: "tabs" }, this.tabs.read, this.tabs.text, this.tabs.versions),
      this.reader.el, this.text.el, this.versions.el);
    show(this.trouble, false);
  }

  /** show loads a pack and what it says. */
  async show(name: string): Promise<void> {
    this.name = name;
    this.shown = "";
    await this.load();
    this.turn("read");
  }

  /** begin opens the editor for a pack that lies in no journal yet. */
  async begin(name: string, text: string): Promise<void> {
    this.name = name;
    await this.load();
    if (this.view?.saved === undefined && this.view?.origin !== "file") this.text.begin(name, text);
    this.turn("text");
  }

  leave(): void {
    this.name = "";
    this.view = undefined;
  }

  /** dirty reports whether a text was changed and not saved: of one pack, or of any. */
  dirty(name?: string): boolean {
    return this.text.dirty(name);
  }

  /** drafts names the packs with texts that are not saved. */
  drafts(): string[] {
    return this.text.unsaved();
  }

  search(): void {
    this.turn("read");
    this.reader.search.focus();
  }

  /** update shows how far the pack is; when another version was loaded, what it says too. */
  update(info: PackInfo): void {
    const { words, speech } = this.options;
    const v = this.view?.saved;
    const who = v === undefined ? "" : say(words.version, { n: v.version, t: speech.moment(v.at), who: v.by === undefined ? "–" : speech.nameOf(v.by) });
    fill(this.state, stateChip(info, words), ` ${say(words.hash, { h: info.version })}`, who !== "" && ` · ${who}`);
    show(this.trouble, (info.error ?? "") !== "");
    fill(this.trouble, info.error ?? "");
    if (this.shown !== info.version) {
      this.shown = info.version;
      void this.reader.show(this.name);
    }
  }

  private turn(tab: Tab): void {
    for (const [t, button] of Object.entries(this.tabs)) button.setAttribute("aria-pressed", String(t === tab));
    show(this.reader.el, tab === "read");
    show(this.text.el, tab === "text");
    show(this.versions.el, tab === "versions");
    if (tab === "versions") void this.versions.show(this.name);
  }

  private async load(): Promise<void> {
    const name = this.name;
    fill(this.title, name);
    fill(this.state);
    let view: PackView | undefined;
    try {
      view = await this.options.packs.view(name);
    } catch (err) {
      if (!(err instanceof Refused && err.status === 404)) this.options.tell(err instanceof Refused ? err.message : this.options.speech.words.loginDown, "bad");
    }
    if (name !== this.name) return; // another one was chosen meanwhile
    this.view = view;
    this.text.show(name, view);
    show(this.remove, view?.saved !== undefined);
    if (view !== undefined) this.update(view);
  }

  private async saved(): Promise<void> {
    await this.load();
    this.options.onChange();
    if (!this.versions.el.hidden) void this.versions.show(this.name);
  }

  /** conflict shows what others have saved; the draft then replaces that, if it is saved again. */
  private async conflict(): Promise<void> {
    await this.load();
    this.text.rebase();
    this.turn("versions");
  }

  private confirmRemove(): void {
    const { words, speech, packs } = this.options;
    const name = this.name;
    const version = this.view?.saved?.version ?? 0;
    const sure = h("button", { class: "primary", attrs: { type: "button", "data-do": "sure" }, onclick: () => {
      sure.closest("dialog")?.close();
      packs.remove(name, version).then(() => {
        this.options.tell(words.removed);
        this.text.forget(name);
        this.options.onBack();
        this.options.onChange();
      }).catch((err: unknown) => this.options.tell(err instanceof Refused ? err.message : speech.words.loginDown, "bad"));
    } }, words.yes);
    openDialog(words.remove, speech.words.cancel, h("div", { class: "field" }, h("p", {}, say(words.removeSure, { p: name })), sure));
  }
}
