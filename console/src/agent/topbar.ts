import type { Presence, Profile } from "../sdk/frames.ts";
import type { Phase } from "../sdk/link.ts";
import { fill, h, show, write } from "../ui/dom.ts";
import { icon } from "../ui/icon.ts";
import { initial } from "../ui/lang.ts";
import { openMenu } from "./menu.ts";
import type { Words } from "./words.ts";

export interface TopbarOptions {
  words: Words;
  me: Profile;
  onPresence(p: Presence): void;
  onTheme(): void;
  onLang(): void;
  onHelp(): void;
  /** onKnowledge opens or leaves the packs; only admins get the button. */
  onKnowledge: (() => void) | undefined;
  /** Only admins have it. */
  onLearning: (() => void) | undefined;
  onSignOut(): void;
  onRetry(): void;
}

/** Topbar shows who is signed in, whether they take conversations, and whether the line is up. */
export class Topbar {
  readonly el: HTMLElement;
  readonly banner = h("div", { class: "banner", attrs: { role: "alert" } });
  private readonly presence: HTMLButtonElement;
  private readonly knowledge: HTMLButtonElement | undefined;
  private readonly presenceText = h("span");

  constructor(private readonly options: TopbarOptions) {
    const { words, me } = options;
    this.presence = h("button", { class: "presence", attrs: { type: "button", "aria-haspopup": "menu", "aria-label": words.presence }, onclick: () => openMenu(this.presence, words.presence, [
      { label: words.online, run: () => options.onPresence("online") },
      { label: words.away, run: () => options.onPresence("away") },
    ]) }, h("i", { attrs: { "aria-hidden": "true" } }), this.presenceText);
    const account = h("button", { class: "account", attrs: { type: "button", "aria-haspopup": "menu", "aria-label": me.name }, onclick: () => openMenu(account, me.name, [
      { label: options.words.language, run: () => options.onLang() },
      { label: options.words.theme, run: () => options.onTheme() },
      { label: options.words.help, run: () => options.onHelp() },
      ...(options.onLearning === undefined ? [] : [{ label: options.words.learning, run: options.onLearning }]),
      { label: options.words.logout, run: () => options.onSignOut() },
    ]) }, h("span", { class: "avatar agent", attrs: { "aria-hidden": "true" } }, initial(me.name)), h("span", { class: "name" }, me.name));
    const { onKnowledge } = options;
    if (onKnowledge !== undefined) this.knowledge = h("button", { class: "quiet knowledgebutton", attrs: { type: "button", "aria-label": words.knowledge, "aria-pressed": "false" }, onclick: () => onKnowledge() }, icon("book"), h("span", {}, words.knowledge));
    const tool = (name: "globe" | "moon" | "keyboard", label: string, run: () => void) => h("button", { class: "icononly wideonly", attrs: { type: "button", "aria-label": label, title: label }, onclick: run }, icon(name));
    this.el = h("header", { class: "topbar" },
      h("span", { class: "product" }, icon("chat"), h("span", {}, words.product)),
      h("span", { class: "spring" }),
      this.knowledge,
      h("div", { class: "menubox" }, this.presence),
      tool("keyboard", words.help, () => options.onHelp()),
      tool("globe", words.language, () => options.onLang()),
      tool("moon", words.theme, () => options.onTheme()),
      h("div", { class: "menubox" }, account));
    show(this.banner, false);
  }

  /** reading says whether the packs are open. */
  reading(open: boolean): void {
    this.knowledge?.setAttribute("aria-pressed", String(open));
  }

  /** update shows the presence and what is wrong with the connection, if anything. */
  update(presence: Presence, phase: Phase, everOpen: boolean): void {
    const { words } = this.options;
    const shown = phase.name === "open" ? presence : "offline";
    this.presence.className = `presence ${shown}`;
    write(this.presenceText, words[shown]);
    const texts: Record<Phase["name"], string> = {
      open: "", resuming: "", connecting: everOpen ? words.reconnecting : "", waiting: words.reconnecting, offline: words.offlineBar, stopped: words.stopped,
    };
    const text = texts[phase.name];
    show(this.banner, text !== "");
    if (this.banner.firstChild?.textContent === text) return;
    fill(this.banner, h("span", {}, text), phase.name === "stopped" && h("button", { class: "quiet", attrs: { type: "button" }, onclick: () => this.options.onRetry() }, words.retry));
  }
}
