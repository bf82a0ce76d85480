import { Refused } from "../sdk/session.ts";
import { fill, h, show } from "../ui/dom.ts";
import { say } from "../ui/lang.ts";
import { PackEditor } from "./packeditor.ts";
import { PackTry } from "./packtry.ts";
import type { PackCheck, PackProblem, Packs, PackView } from "./packs.ts";
import type { PackWords } from "./packwords.ts";
import type { Speech } from "./say.ts";

export interface TextOptions {
  packs: Packs;
  words: PackWords;
  speech: Speech;
  tell(text: string, tone?: "ok" | "bad"): void;
  onSaved(): void;
  onConflict(): void;
  onChange(): void;
}

/** Draft is a text that was changed and not saved, and the version it builds on. */
interface Draft {
  text: string;
  version: number;
}

/** PackText is the text of a pack: the editor, what a check found, and the box to try it. */
export class PackText {
  readonly el: HTMLElement;
  private readonly editor: PackEditor;
  private readonly notice = h("p", { class: "hint" });
  private readonly result = h("div", { class: "result", attrs: { role: "status" } });
  private readonly comment: HTMLInputElement;
  private readonly files: HTMLSelectElement;
  private readonly buildOn: HTMLButtonElement;
  private readonly bar: HTMLElement;
  private readonly buttons: HTMLButtonElement[];
  private readonly drafts = new Map<string, Draft>();
  private readonly trying: PackTry;
  private name = "";
  private view: PackView | undefined;
  private busy = false;

  constructor(private readonly options: TextOptions) {
    const { words, packs } = options;
    this.editor = new PackEditor({ label: words.editor, onInput: () => this.keep(), onSave: () => void this.save(), onCheck: () => void this.check() });
    this.comment = h("input", { attrs: { type: "text", name: "pack-comment", maxlength: 200, placeholder: words.comment, "aria-label": words.comment } });
    this.files = h("select", { attrs: { "aria-label": words.file }, onchange: () => this.editor.set(this.view?.files[this.files.selectedIndex]?.text ?? "", true) });
    this.buildOn = h("button", { class: "primary", attrs: { type: "button", "data-do": "build-on" }, onclick: () => this.begin(this.name, `colloquy: 1\npack: ${this.name}\nextends: [${this.name}]\nlang: ${options.speech.lang}\n\nintents:\n`) }, words.buildOn);
    const button = (what: string, kind: string, label: string, run: () => void) => h("button", { class: kind, attrs: { type: "button", "data-do": what }, onclick: run }, label);
    this.buttons = [
      button("revert", "quiet", words.revert, () => this.revert()),
      button("check", "quiet", words.check, () => void this.check()),
      button("save", "primary", words.save, () => void this.save()),
    ];
    this.bar = h("div", { class: "savebar" }, this.comment, ...this.buttons);
    this.trying = new PackTry({ words, ask: async (text) => (await packs.check(this.name, this.source(), text)), onRefused: (err) => this.refused(err) });
    this.el = h("div", { class: "packbody" }, this.notice, this.files, this.buildOn, this.editor.el, this.bar, this.result, this.trying.el);
  }

  /** show takes over a pack as it was loaded; a draft of it is kept. */
  show(name: string, view: PackView | undefined): void {
    if (this.name !== name) this.comment.value = "";
    this.name = name;
    this.view = view;
    this.trying.clear();
    fill(this.result);
    this.render();
  }

  /** begin starts a text for a pack that is not saved yet. */
  begin(name: string, text: string): void {
    if (!this.drafts.has(name)) this.drafts.set(name, { text, version: 0 });
    this.render();
    this.options.onChange();
    this.editor.goto(text.split("\n").length);
  }

  dirty(name?: string): boolean {
    return name === undefined ? this.drafts.size > 0 : this.drafts.has(name);
  }

  unsaved(): string[] {
    return [...this.drafts.keys()];
  }

  /** rebase lets the draft follow the version that is stored now. */
  rebase(): void {
    const draft = this.drafts.get(this.name);
    if (draft !== undefined) this.drafts.set(this.name, { ...draft, version: this.view?.saved?.version ?? 0 });
  }

  forget(name: string): void {
    this.drafts.delete(name);
  }

  goto(line: number): void {
    this.editor.goto(line);
  }

  private editable(): boolean {
    return this.drafts.has(this.name) || this.view?.saved !== undefined;
  }

  private source(): string {
    return this.editor.value;
  }

  private render(): void {
    const { words } = this.options;
    const editable = this.editable();
    const files = this.view?.files ?? [];
    this.editor.set(this.drafts.get(this.name)?.text ?? files[0]?.text ?? "", !editable);
    fill(this.files, ...files.map((f) => h("option", {}, f.name)));
    show(this.files, !editable && files.length > 1);
    show(this.bar, editable);
    show(this.trying.el, editable);
    show(this.buildOn, !editable && this.view?.origin === "built-in");
    show(this.notice, !editable && this.view !== undefined);
    fill(this.notice, this.view?.origin === "file" ? say(words.readOnlyFile, { f: this.view.source }) : words.readOnlyBuiltin);
    this.refresh();
  }

  private refresh(): void {
    const dirty = this.drafts.has(this.name);
    for (const b of this.buttons) b.disabled = this.busy || (!dirty && b.dataset["do"] !== "check");
  }

  private keep(): void {
    this.editor.mark([]); // they stood at lines of another text
    const had = this.drafts.has(this.name);
    const stored = this.view?.saved === undefined ? undefined : this.view.files[0]?.text;
    if (this.editor.value === stored) this.drafts.delete(this.name);
    else this.drafts.set(this.name, { text: this.editor.value, version: this.drafts.get(this.name)?.version ?? this.view?.saved?.version ?? 0 });
    this.refresh();
    if (had !== this.drafts.has(this.name)) this.options.onChange();
  }

  private revert(): void {
    this.drafts.delete(this.name);
    fill(this.result);
    this.render();
    this.options.onChange();
  }

  private async check(): Promise<void> {
    const { words, packs } = this.options;
    await this.work(words.checking, async (name) => {
      const report = await packs.check(name, this.source());
      this.editor.mark(mine(report.problems, name));
      fill(this.result, report.ok ? this.report(report) : this.problems(report.problems, name));
    });
  }

  private async save(): Promise<void> {
    const { words, packs } = this.options;
    const draft = this.drafts.get(this.name);
    if (draft === undefined) return;
    await this.work(words.saving, async (name) => {
      const done = await packs.save(name, draft.text, this.comment.value, draft.version);
      this.options.tell(done.unchanged === true ? words.unchanged : say(words.savedToast, { n: done.saved.version }));
      if (this.drafts.get(name)?.text === draft.text) this.drafts.delete(name);
      else this.drafts.set(name, { text: this.editor.value, version: done.saved.version });
      this.comment.value = "";
      this.options.onSaved();
    });
  }

  /** work does one thing at a time and shows why it was refused. */
  private async work(label: string, run: (name: string) => Promise<void>): Promise<void> {
    if (this.busy) return;
    const name = this.name;
    this.busy = true;
    this.refresh();
    fill(this.result, h("p", { class: "soft" }, label));
    try {
      fill(this.result, h("p", { class: "soft" }, label));
      await run(name);
    } catch (err) {
      if (name === this.name) this.refused(err);
    } finally {
      this.busy = false;
      this.refresh();
    }
  }

  private refused(err: unknown): void {
    const { words, speech } = this.options;
    const list = err instanceof Refused ? (err.problem as { problems?: PackProblem[] }).problems : undefined;
    if (list !== undefined) {
      this.editor.mark(mine(list, this.name));
      fill(this.result, this.problems(list, this.name));
    } else if (err instanceof Refused && (err.status === 412 || err.problem.code === "version_mismatch")) {
      fill(this.result, h("p", { class: "problem" }, words.conflict, " ", h("button", { class: "quiet", attrs: { type: "button" }, onclick: () => this.options.onConflict() }, words.loadNewest)));
    } else {
      fill(this.result, h("p", { class: "problem" }, err instanceof Refused ? err.message : speech.words.loginDown));
    }
  }

  private problems(list: PackProblem[], name: string): HTMLElement {
    const { words } = this.options;
    return h("div", { class: "problem" }, h("p", {}, say(words.problems, { n: list.length })), h("ul", {}, ...list.map((p) => {
      const { line } = p;
      const here = line !== undefined && mine([p], name).length > 0;
      return h("li", {}, here ? h("button", { class: "linelink", attrs: { type: "button" }, onclick: () => this.editor.goto(line) }, say(words.line, { n: line })) : `${p.file}${line === undefined ? "" : `:${line}`}`, ` ${p.reason}`);
    })));
  }

  private report(r: PackCheck): HTMLElement {
    const { words } = this.options;
    const { tests } = r;
    return h("div", { class: "report" },
      h("p", { class: "good" }, words.okCheck), h("p", {}, say(words.report, { ib: r.intents.before, ia: r.intents.after, qb: r.questions.before, qa: r.questions.after })),
      tests.n > 0 && h("p", {}, say(tests.compared ? words.tests : words.testsNew, { n: tests.n, b: tests.right.before, a: tests.right.after })),
      h("ul", {},
        ...tests.changed.map((t) => h("li", { class: t.better ? "good" : "bad" }, `${t.better ? words.better : words.worse}: ${t.text} — ${t.before || words.nothing} → ${t.after || words.nothing} (${say(words.wanted, { w: t.want })})`)),
        ...r.repeated.map((q) => h("li", {}, h("button", { class: "linelink", attrs: { type: "button" }, onclick: () => this.editor.goto(q.line) }, say(words.line, { n: q.line })), ` ${say(q.taken === true ? words.taken : words.repeated, { t: q.text, n: q.line, i: q.intent, o: q.other_intent })}`))));
  }
}

/** mine picks the problems that stand in the text of a saved pack. */
function mine(list: PackProblem[], name: string): PackProblem[] {
  return list.filter((p) => p.file === `saved:${name}`);
}
