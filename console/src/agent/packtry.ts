import { fill, h } from "../ui/dom.ts";
import { say } from "../ui/lang.ts";
import type { PackCheck, Prediction } from "./packs.ts";
import type { PackWords } from "./packwords.ts";

export interface TryOptions {
  words: PackWords;
  ask(text: string): Promise<PackCheck>;
  onRefused(err: unknown): void;
}

/** PackTry is the box in which an admin asks as a visitor would, of what serves and of the text in the editor. */
export class PackTry {
  readonly el: HTMLElement;
  private readonly input: HTMLInputElement;
  private readonly answers = h("div", { class: "tried", attrs: { role: "status" } });

  constructor(private readonly options: TryOptions) {
    const { words } = options;
    this.input = h("input", { attrs: { type: "text", name: "pack-try", required: true, maxlength: 1000, placeholder: words.tryPlaceholder, "aria-label": words.tryPlaceholder } });
    const button = h("button", { class: "quiet", attrs: { type: "submit" } }, words.tryDo);
    this.el = h("form", { class: "try", onsubmit: (event) => {
      event.preventDefault();
      button.disabled = true;
      void this.ask(this.input.value).finally(() => (button.disabled = false));
    } }, h("h3", {}, words.tryIt), h("div", { class: "savebar" }, this.input, button), this.answers);
  }

  clear(): void {
    fill(this.answers);
  }

  private async ask(text: string): Promise<void> {
    const { words } = this.options;
    try {
      const check = await this.options.ask(text);
      if (!check.ok) {
        fill(this.answers, h("p", { class: "problem" }, say(words.problems, { n: check.problems.length })));
        return;
      }
      fill(this.answers, this.answer(words.now, check.try?.before), this.answer(words.after, check.try?.after));
    } catch (err) {
      this.clear();
      this.options.onRefused(err);
    }
  }

  private answer(label: string, p: Prediction | undefined): HTMLElement {
    const { words } = this.options;
    const best = p?.candidates?.[0];
    const facts = p === undefined ? [h("p", { class: "soft" }, words.noModel)] : [
      h("p", {}, best === undefined ? words.nothingRead : h("strong", {}, best.intent), best !== undefined && ` ${Math.round(best.confidence * 100)} %`, " ",
        h("span", { class: `chip ${{ answer: "resolved", suggest: "assigned", abstain: "queued" }[p.decision]}` }, { answer: words.answerIt, suggest: words.suggestIt, abstain: words.abstainIt }[p.decision])),
      p.nearest !== undefined && h("p", { class: "soft" }, say(words.nearest, { q: p.nearest })),
    ];
    return h("div", {}, h("h4", {}, label), ...facts);
  }
}
