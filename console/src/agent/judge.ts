import { fill, h } from "../ui/dom.ts";
import type { IntentName } from "./api.ts";
import { openDialog } from "./menu.ts";
import type { Speech } from "./say.ts";

const shownAtOnce = 60;

/** IntentPicker is a list of intents that can be searched by title and by name. */
export class IntentPicker {
  readonly el: HTMLElement;
  private readonly search: HTMLInputElement;
  private readonly list = h("div", { class: "picker", attrs: { role: "listbox" } });
  private intents: IntentName[] = [];

  constructor(private readonly speech: Speech, private readonly onPick: (intent: IntentName) => void) {
    const { words } = speech;
    this.search = h("input", { attrs: { type: "search", placeholder: words.judgeSearch, "aria-label": words.judgeSearch, autocomplete: "off" }, oninput: () => this.render() });
    this.list.setAttribute("aria-label", words.judgeSearch);
    this.el = h("div", { class: "intents" }, this.search, this.list);
  }

  /** offer shows intents, the first ones first. */
  offer(intents: IntentName[]): void {
    this.intents = intents;
    this.render();
  }

  private render(): void {
    const wanted = this.search.value.trim().toLowerCase();
    const fits = this.intents.filter((i) => wanted === "" || i.title.toLowerCase().includes(wanted) || i.intent.includes(wanted));
    fill(this.list, ...fits.slice(0, shownAtOnce).map((i) => h("button", { attrs: { type: "button", role: "option", "data-intent": i.intent }, onclick: () => this.onPick(i) }, i.title, h("span", { class: "soft" }, i.intent))),
      fits.length === 0 && h("p", { class: "soft" }, this.speech.words.judgeNone));
  }
}

/** askIntent asks what a message should have been taken for; the empty name when the agent does not know. */
export function askIntent(speech: Speech, intents: Promise<IntentName[]>, except: string, done: (intent: string) => void): void {
  const { words } = speech;
  const finish = (intent: string) => {
    body.closest("dialog")?.close();
    done(intent);
  };
  const picker = new IntentPicker(speech, (i) => finish(i.intent));
  const body = h("div", {}, h("p", { class: "soft" }, words.judgeText), picker.el,
    h("button", { class: "quiet", attrs: { type: "button", "data-judge": "skip" }, onclick: () => finish("") }, words.judgeSkip));
  intents.then((all) => picker.offer(all.filter((i) => i.intent !== except)), () => picker.offer([]));
  openDialog(words.judgeTitle, words.cancel, body);
}
