import { fill, h } from "../ui/dom.ts";
import type { PackProblem } from "./packs.ts";

export interface EditorOptions {
  label: string;
  onInput(): void;
  onSave(): void;
  onCheck(): void;
}

/** PackEditor is a box for a text with its line numbers, of which some can be marked. */
export class PackEditor {
  readonly el: HTMLElement;
  private readonly box: HTMLTextAreaElement;
  private readonly gutter = h("pre", { class: "gutter", attrs: { "aria-hidden": "true" } });
  private marked = new Map<number, string>();
  private drawn = "";

  constructor(options: EditorOptions) {
    this.box = h("textarea", {
      attrs: { "aria-label": options.label, spellcheck: "false", autocapitalize: "off", autocomplete: "off", wrap: "off", name: "pack-text" },
      oninput: () => {
        this.draw();
        options.onInput();
      },
      onkeydown: (event) => {
        if (!(event.ctrlKey || event.metaKey) || event.isComposing) return;
        if (event.key.toLowerCase() === "s") options.onSave();
        else if (event.key === "Enter") options.onCheck();
        else return;
        event.preventDefault();
      },
    });
    this.box.addEventListener("scroll", () => (this.gutter.scrollTop = this.box.scrollTop), { passive: true });
    this.el = h("div", { class: "editor" }, this.gutter, this.box);
  }

  get value(): string {
    return this.box.value;
  }

  /** set shows a text without marks; one that may only be read has no caret. */
  set(text: string, readOnly: boolean): void {
    if (this.box.value !== text) this.box.value = text;
    this.box.readOnly = readOnly;
    this.mark([]);
  }

  /** mark shows at which lines something is wrong. */
  mark(problems: PackProblem[]): void {
    this.marked = new Map(problems.flatMap((p) => (p.line === undefined ? [] : [[p.line, p.reason] as const])));
    this.drawn = "";
    this.draw();
  }

  /** goto puts the caret on a line and shows it. */
  goto(line: number): void {
    const lines = this.box.value.split("\n");
    const start = lines.slice(0, line - 1).reduce((n, l) => n + l.length + 1, 0);
    this.box.focus();
    this.box.setSelectionRange(start, start + (lines[line - 1]?.length ?? 0));
    const height = Number.parseFloat(getComputedStyle(this.box).lineHeight);
    this.box.scrollTop = Math.max(0, (line - 4) * height);
  }

  private draw(): void {
    const count = this.box.value.split("\n").length;
    const key = `${count} ${[...this.marked.keys()].join()}`;
    if (key === this.drawn) return;
    this.drawn = key;
    const parts: (Node | string)[] = [];
    let plain = "";
    for (let n = 1; n <= count; n++) {
      const reason = this.marked.get(n);
      if (reason === undefined) plain += `${n}\n`;
      else {
        parts.push(plain, h("b", { attrs: { title: reason } }, n), "\n");
        plain = "";
      }
    }
    fill(this.gutter, ...parts, plain);
    this.gutter.scrollTop = this.box.scrollTop;
  }
}
