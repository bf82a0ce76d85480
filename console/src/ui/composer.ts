import { h } from "./dom.ts";
import { icon } from "./icon.ts";

const longestRows = 6;

export interface ComposerOptions {
  label: string;
  placeholder: string;
  send: string;
  onSend(text: string): boolean;
  onTyping(on: boolean): void;
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
    });
    this.button = h("button", { class: "send", attrs: { type: "submit", "aria-label": options.send, title: options.send, disabled: true } }, icon("send"));
    this.el = h("form", {
      class: "composer",
      onsubmit: (event) => {
        event.preventDefault();
        this.submit();
      },
    }, this.box, this.button);
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
    if (text === "" || this.box.disabled) return;
    if (!this.options.onSend(text)) return;
    this.set("");
    this.quiet();
    this.focus();
  }

  private fit(): void {
    this.button.disabled = this.box.disabled || this.box.value.trim() === "";
    // Rows, not a style height: counting works without layout and without inline styles.
    const style = getComputedStyle(this.box);
    const line = parseFloat(style.lineHeight) || 20;
    this.box.rows = 1;
    const padding = parseFloat(style.paddingTop) + parseFloat(style.paddingBottom) || 0;
    this.box.rows = Math.min(longestRows, Math.max(1, Math.round((this.box.scrollHeight - padding) / line)));
  }
}
