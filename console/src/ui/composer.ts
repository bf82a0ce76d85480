import { h, show } from "./dom.ts";
import { icon } from "./icon.ts";

const longestRows = 6;

export interface ComposerOptions {
  label: string;
  placeholder: string;
  send: string;
  onSend(text: string): boolean;
  onTyping(on: boolean): void;
  /** Files can be chosen, pasted and dropped; left out, the box takes words only. */
  attach?: Attach;
}

/** Attach is what a composer needs to know of the files of its message. */
export interface Attach {
  label: string;
  drop: string;
  add(files: Iterable<File>): void;
  /** busy says that the message has to wait for a file. */
  busy(): boolean;
  /** some says that there are files, so that no words are needed. */
  some(): boolean;
}

/**
 * Composer is a text box that grows with its text. Enter sends and Shift+Enter
 * breaks the line, but never while an input method is composing: there Enter
 * picks a candidate. Safari ends the composition before it tells of the key,
 * and then only the key code 229 says so.
 */
export class Composer {
  readonly el: HTMLFormElement;
  readonly box: HTMLTextAreaElement;
  private readonly button: HTMLButtonElement;
  private readonly clip: HTMLButtonElement;
  private composing = false;
  private typingTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly options: ComposerOptions) {
    this.box = h("textarea", {
      attrs: { rows: 1, "aria-label": options.label, placeholder: options.placeholder, maxlength: 4000, enterkeyhint: "send", autocomplete: "off" },
      oninput: () => this.onInput(),
      onkeydown: (event) => this.onKey(event),
      oncompositionstart: () => (this.composing = true),
      oncompositionend: () => (this.composing = false),
      onblur: () => this.quiet(),
      onpaste: (event) => this.onPaste(event),
    });
    const picker = h("input", { attrs: { type: "file", multiple: true, hidden: true, tabindex: -1 }, onchange: () => {
      options.attach?.add(picker.files ?? []);
      picker.value = ""; // the same file may be chosen again
    } });
    this.clip = h("button", { class: "clip", attrs: { type: "button", "aria-label": options.attach?.label, title: options.attach?.label }, onclick: () => picker.click() }, icon("clip"));
    this.takeFiles(false);
    this.button = h("button", { class: "send", attrs: { type: "submit", "aria-label": options.send, title: options.send, disabled: true } }, icon("send"));
    this.el = h("form", {
      class: "composer",
      onsubmit: (event) => {
        event.preventDefault();
        this.submit();
      },
      ondragover: (event) => this.onDrag(event),
      ondragleave: () => this.el.classList.remove("over"),
      ondrop: (event) => this.onDrop(event),
    }, picker, this.clip, this.box, this.button);
    if (options.attach !== undefined) this.el.dataset["drop"] = options.attach.drop;
  }

  /** text is what stands in the box. */
  get text(): string {
    return this.box.value;
  }

  /** set replaces the text. */
  set(text: string): void {
    this.box.value = text;
    this.fit();
  }

  /** label renames the box, when it writes something else now. */
  label(label: string, placeholder: string): void {
    this.box.setAttribute("aria-label", label);
    this.box.placeholder = placeholder;
  }

  /** enable makes the box usable or not. */
  enable(usable: boolean): void {
    this.box.disabled = !usable;
    this.fit();
  }

  /** takeFiles offers to attach files, or not. */
  takeFiles(on: boolean): void {
    show(this.clip, on && this.options.attach !== undefined);
  }

  /** refresh looks again whether the message can go. */
  refresh(): void {
    this.fit();
  }

  focus(): void {
    this.box.focus({ preventScroll: true });
  }

  private onKey(event: KeyboardEvent): void {
    // keyCode is deprecated, and still the only trace that Safari leaves.
    // eslint-disable-next-line @typescript-eslint/no-deprecated
    if (event.key !== "Enter" || event.isComposing || this.composing || event.keyCode === 229) return;
    if (event.shiftKey || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    this.submit();
  }

  private get takes(): boolean {
    return !this.clip.hidden && !this.box.disabled;
  }

  private onPaste(event: ClipboardEvent): void {
    const files = event.clipboardData?.files;
    if (!this.takes || files === undefined || files.length === 0) return;
    event.preventDefault();
    this.options.attach?.add(files);
  }

  private onDrag(event: DragEvent): void {
    if (!this.takes || event.dataTransfer?.types.includes("Files") !== true) return;
    event.preventDefault();
    this.el.classList.add("over");
  }

  private onDrop(event: DragEvent): void {
    this.el.classList.remove("over");
    const files = event.dataTransfer?.files;
    if (!this.takes || files === undefined || files.length === 0) return;
    event.preventDefault();
    this.options.attach?.add(files);
  }

  private onInput(): void {
    this.fit();
    if (this.box.value.trim() === "") {
      this.quiet();
      return;
    }
    this.options.onTyping(true);
    clearTimeout(this.typingTimer);
    this.typingTimer = setTimeout(() => this.quiet(), 5000);
  }

  private quiet(): void {
    clearTimeout(this.typingTimer);
    this.options.onTyping(false);
  }

  private submit(): void {
    const text = this.box.value.trim();
    if (this.nothing() || this.box.disabled) return;
    if (!this.options.onSend(text)) return;
    this.set("");
    this.quiet();
    this.focus();
  }

  /** nothing says that there is nothing to send, or not yet. */
  private nothing(): boolean {
    const { attach } = this.options;
    return attach?.busy() === true || (this.box.value.trim() === "" && attach?.some() !== true);
  }

  private fit(): void {
    this.button.disabled = this.box.disabled || this.nothing();
    // Rows, not a style height: counting works without layout and without inline styles.
    const style = getComputedStyle(this.box);
    const line = parseFloat(style.lineHeight) || 20;
    this.box.rows = 1;
    const padding = parseFloat(style.paddingTop) + parseFloat(style.paddingBottom) || 0;
    this.box.rows = Math.min(longestRows, Math.max(1, Math.round((this.box.scrollHeight - padding) / line)));
  }
}
