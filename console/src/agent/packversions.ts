import { Refused } from "../sdk/session.ts";
import { fill, h } from "../ui/dom.ts";
import { say } from "../ui/lang.ts";
import { openDialog } from "./menu.ts";
import type { DiffLine, Packs, PackVersion } from "./packs.ts";
import type { PackWords } from "./packwords.ts";
import type { Speech } from "./say.ts";

export interface VersionsOptions {
  packs: Packs;
  words: PackWords;
  speech: Speech;
  tell(text: string, tone?: "ok" | "bad"): void;
  onRolledBack(): void;
}

/** PackVersions lists who saved what and when, compares, and rolls back. */
export class PackVersions {
  readonly el: HTMLElement;
  private readonly list = h("ol", { class: "versions" });
  private readonly diff = h("div", { class: "diffbox" });
  private name = "";

  constructor(private readonly options: VersionsOptions) {
    this.el = h("div", { class: "packbody" }, this.list, this.diff);
  }

  /** show loads the versions of a pack. */
  async show(name: string): Promise<void> {
    const { packs, words } = this.options;
    this.name = name;
    fill(this.diff);
    let versions: PackVersion[] = [];
    try {
      versions = (await packs.versions(name)).data;
    } catch (err) {
      if (!(err instanceof Refused && err.status === 404)) this.fail(err);
    }
    if (name !== this.name) return;
    const newest = versions[0]?.version ?? 0;
    fill(this.list, ...versions.map((v) => this.row(v, newest)), versions.length === 0 && h("li", { class: "soft" }, words.noVersions));
  }

  private row(v: PackVersion, newest: number): HTMLElement {
    const { words, speech } = this.options;
    const button = (what: string, label: string, run: () => void) => h("button", { class: "quiet", attrs: { type: "button", "data-do": what }, onclick: run }, label);
    return h("li", { attrs: { "data-version": v.version } },
      h("div", { class: "titles" },
        h("p", {}, h("strong", {}, say(words.version, { n: v.version, t: speech.moment(v.at), who: v.by === undefined ? "–" : speech.nameOf(v.by) })), " ",
          v.version === newest && h("span", { class: "chip resolved" }, words.inForce), v.restores !== undefined && h("span", { class: "chip" }, say(words.restores, { n: v.restores }))),
        v.comment !== undefined && h("p", {}, v.comment),
        h("p", { class: "soft" }, `${say(words.hash, { h: v.hash })} · ${say(words.size, { n: (v.bytes / 1024).toFixed(1) })}`)),
      v.version !== newest && h("div", { class: "actions" }, button("compare", words.compare, () => void this.compare(v.version)), button("rollback", words.rollback, () => this.confirm(v.version, newest))));
  }

  private async compare(number: number): Promise<void> {
    const { packs, words } = this.options;
    try {
      const v = await packs.version(this.name, number);
      fill(this.diff, h("h3", {}, say(words.diffTitle, { n: number })), v.diff.length === 0 ? h("p", { class: "soft" }, words.same) : diffTable(v.diff));
      this.diff.scrollIntoView({ block: "nearest" });
    } catch (err) {
      this.fail(err);
    }
  }

  private confirm(number: number, newest: number): void {
    const { words, speech, packs } = this.options;
    const name = this.name;
    const sure = h("button", { class: "primary", attrs: { type: "button", "data-do": "sure" }, onclick: () => {
      sure.closest("dialog")?.close();
      packs.rollback(name, number, newest).then(() => {
        this.options.tell(say(words.rolledBack, { n: number }));
        this.options.onRolledBack();
      }).catch((err: unknown) => this.fail(err));
    } }, words.yes);
    openDialog(words.rollback, speech.words.cancel, h("div", { class: "field" }, h("p", {}, say(words.rollbackSure, { n: number })), sure));
  }

  private fail(err: unknown): void {
    const list = err instanceof Refused ? (err.problem as { problems?: { file: string; line?: number; reason: string }[] }).problems : undefined;
    const first = list?.[0];
    const text = first === undefined ? undefined : `${first.file}:${first.line ?? ""} ${first.reason}`;
    this.options.tell(text ?? (err instanceof Refused ? err.message : this.options.speech.words.loginDown), "bad");
  }
}

function diffTable(lines: DiffLine[]): HTMLElement {
  const rows: HTMLElement[] = [];
  let old = 0;
  for (const l of lines) {
    if (l.old !== undefined && l.old > old + 1 && rows.length > 0) rows.push(h("tr", { class: "gap" }, h("td", { attrs: { colspan: 4 } }, "⋯")));
    old = l.old ?? old;
    const tone = { "+": "added", "-": "removed", " ": "" }[l.op];
    rows.push(h("tr", { class: tone }, h("td", {}, l.old), h("td", {}, l.new), h("td", {}, l.op), h("td", {}, l.text)));
  }
  return h("table", { class: "diff" }, h("tbody", {}, ...rows));
}
