import { fill, h, show } from "../ui/dom.ts";
import { say } from "../ui/lang.ts";
import type { Detail } from "./api.ts";
import type { Speech } from "./say.ts";

/** Person is a contact with all the ways in which they came. */
export interface Person {
  id: string;
  identities: { contact: string; inbox_id: string; channel?: string; peer?: string }[];
  suggestions: { contact: string; claim: { kind: string; value: string } }[];
  /** Nothing of the contact is erased while it stands. */
  hold?: { by: string; reason?: string };
  /** Conversations with a hold of their own. */
  held?: string[];
}

/** ReplyWindow says whether the provider lets the visitor be written to. */
export interface ReplyWindow {
  can_reply: boolean;
  until?: string;
  remaining?: number;
  last_one?: boolean;
}

export interface PersonOptions {
  speech: Speech;
  person(contact: string): Promise<Person>;
  detail(conversation: string): Promise<Detail>;
  change(contact: string, verb: "merge" | "split", other: string): Promise<Person>;
  failed(err: unknown): void;
  /** erase erases the contact for good; left out for who may not. */
  erase?: ((contact: string) => Promise<void>) | undefined;
}

/** PersonView shows how often the visitor can still be written to, the other ways in which they came, and who may be the same person. */
export class PersonView {
  readonly el = h("section", { class: "person" });
  private readonly window = h("p", { class: "soft" });
  private readonly people = h("div");
  private shown = "";
  private contact = "";

  constructor(private readonly options: PersonOptions) {
    fill(this.el, this.window, this.people);
    show(this.window, false);
  }

  /** update looks again when the conversation is another one or has moved on. */
  update(id: string, version: number, contact: string): void {
    const key = `${id}|${version}`;
    if (key === this.shown) return;
    this.shown = key;
    if (contact !== this.contact) fill(this.people);
    this.contact = contact;
    void this.look(key, id, contact);
  }

  private async look(key: string, id: string, contact: string): Promise<void> {
    try {
      const [detail, person] = await Promise.all([this.options.detail(id), this.options.person(contact)]);
      if (key !== this.shown) return;
      this.drawWindow(detail.reply_window);
      this.draw(person);
    } catch {
      // It is a help and no part of the conversation: without it nothing is said.
    }
  }

  private drawWindow(w: ReplyWindow | undefined): void {
    const { speech } = this.options;
    const { words } = speech;
    const until = w?.until === undefined ? "" : speech.moment(w.until);
    const text = w === undefined ? "" : !w.can_reply ? words.windowClosed : w.last_one === true ? say(words.windowLast, { time: until })
      : w.remaining === undefined ? say(words.windowUntil, { time: until }) : say(words.windowLeft, { n: `${w.remaining}`, time: until });
    show(this.window, text !== "");
    this.window.className = w !== undefined && (!w.can_reply || w.last_one === true) ? "reasons" : "soft";
    fill(this.window, text);
  }

  private draw(p: Person): void {
    const { words } = this.options.speech;
    const several = p.identities.length > 1;
    fill(this.people, (several || p.suggestions.length > 0) && h("h3", {}, words.person),
      ...(several ? p.identities.map((i) => h("p", {}, [i.channel, i.peer, i.inbox_id].filter((s) => s !== undefined && s !== "").join(" · "),
        i.contact !== p.id && this.button(words.split, p.id, "split", i.contact))) : []),
      ...p.suggestions.map((s) => h("p", { class: "soft" }, say(words.maybeSame, { claim: s.claim.value }), this.button(words.merge, p.id, "merge", s.contact))), this.drawHold(p), this.drawErase(p));
  }

  private drawHold(p: Person): HTMLElement | undefined {
    const why = p.hold === undefined ? p.held?.join(", ") : [p.hold.by, p.hold.reason].filter((s) => s !== undefined && s !== "").join(": ");
    return why === undefined || why === "" ? undefined : h("p", { class: "reasons" }, say(this.options.speech.words.held, { why }));
  }

  /** drawErase asks for the contact's id, typed, before it erases anything. */
  private drawErase(p: Person): HTMLElement | undefined {
    const { words } = this.options.speech;
    const { erase } = this.options;
    if (erase === undefined || p.hold !== undefined || (p.held ?? []).length > 0) return undefined;
    const box = h("input", { attrs: { type: "text", autocomplete: "off", "aria-label": words.erase, placeholder: p.id }, oninput: () => { go.disabled = box.value.trim() !== p.id; } });
    const go = h("button", { class: "danger", attrs: { type: "submit" } }, words.eraseDo);
    go.disabled = true;
    return h("details", {}, h("summary", {}, words.erase), h("form", { class: "field", onsubmit: (event) => {
      event.preventDefault();
      if (go.disabled || box.value.trim() !== p.id) return;
      go.disabled = true;
      erase(p.id).catch((err: unknown) => {
        go.disabled = false;
        this.options.failed(err);
      });
    } }, h("p", { class: "soft" }, words.eraseText), h("code", {}, p.id), box, go));
  }

  private button(label: string, contact: string, verb: "merge" | "split", other: string): HTMLElement {
    const shown = this.shown;
    return h("button", { attrs: { type: "button" }, onclick: () => {
      this.options.change(contact, verb, other).then((p) => shown === this.shown && this.draw(p), (err: unknown) => this.options.failed(err));
    } }, label);
  }
}
