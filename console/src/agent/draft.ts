import { h } from "../ui/dom.ts";
import { icon } from "../ui/icon.ts";
import type { Words } from "./words.ts";

export interface DraftOptions {
  words: Words;
  /** ask drafts a reply to the open conversation; undefined when there is none. */
  ask(): Promise<string | undefined>;
  /** place names the box that a draft asked for now belongs to. */
  place(): string;
  /** put takes the text into that box. Nothing is sent. */
  put(text: string): void;
}

/** DraftButton asks for a draft and puts it where the agent can read and change it. */
export class DraftButton {
  readonly el: HTMLButtonElement;
  private readonly label: HTMLElement;
  private busy = false;

  constructor(private readonly options: DraftOptions) {
    const { words } = options;
    this.label = h("span", {}, words.draft);
    this.el = h("button", { class: "draft", attrs: { type: "button", title: words.draftTitle }, onclick: () => void this.run() }, icon("bot"), this.label);
  }

  private async run(): Promise<void> {
    if (this.busy) return;
    const { words } = this.options;
    const place = this.options.place();
    this.say(true, words.drafting);
    try {
      const text = await this.options.ask();
      // Whoever has opened another conversation meanwhile gets nothing of this one.
      if (text !== undefined && this.options.place() === place) this.options.put(text);
    } finally {
      this.say(false, words.draft);
    }
  }

  private say(busy: boolean, label: string): void {
    this.busy = busy;
    this.el.disabled = busy;
    this.el.setAttribute("aria-busy", String(busy));
    this.label.textContent = label;
  }
}
