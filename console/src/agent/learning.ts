import { fill, h } from "../ui/dom.ts";
import { say } from "../ui/lang.ts";
import type { Acceptance, Api, Inbox, IntentState, Suggestion } from "./api.ts";
import { refusalText } from "./directory.ts";
import { IntentPicker } from "./judge.ts";
import { openDialog } from "./menu.ts";
import type { Speech } from "./say.ts";

export interface LearningOptions {
  api: Api;
  inboxes: Inbox[];
  speech: Speech;
  tell(text: string, tone: "ok" | "bad"): void;
}

/** showLearning opens what the bot of each inbox may do, and what its packs lack. */
export function showLearning(options: LearningOptions): void {
  const { words } = options.speech;
  const place = h("div");
  const choose = h("select", { attrs: { "aria-label": words.inbox }, onchange: () => void show() }, ...options.inboxes.map((i) => h("option", { attrs: { value: i.id } }, i.name)));
  const show = async (): Promise<void> => {
    try {
      const [state, found] = await Promise.all([options.api.intentState(choose.value), options.api.suggestions(choose.value)]);
      fill(place, h("p", { class: "standing", attrs: { "data-by-itself": String(state.by_itself) } }, standing(state, options.speech)), judged(state, options.speech), policy(options, choose.value, state, () => void show()),
        h("h3", {}, words.learnMissing), !found.editable && h("p", { class: "soft" }, words.learnFiles), found.data.length === 0 && h("p", { class: "soft" }, words.learnNothing),
        ...found.data.map((s) => card(options, choose.value, s, found.editable, () => void show())));
    } catch (err) {
      fill(place, h("p", { attrs: { role: "alert" } }, refusalText(err, options.speech, undefined)));
    }
  };
  openDialog(words.learning, words.close, h("div", { class: "learning" }, choose, place));
  void show();
}

function standing(state: IntentState, speech: Speech): string {
  const { words } = speech;
  if (state.by_itself) return say(words.learnYes, { why: state.reason });
  return state.answers === "off" ? say(words.learnOff, { policy: state.answers, why: state.reason }) : say(words.learnNo, { why: state.reason });
}

/** policy lets an admin decide whether the bot answers by itself. */
function policy(options: LearningOptions, inbox: string, state: IntentState, changed: () => void): HTMLElement {
  const { words } = options.speech;
  const texts = { proven: words.learnWhenProven, on: words.learnAlways, off: words.learnNever };
  const select = h("select", { attrs: { "aria-label": words.learnPolicy, "data-do": "policy" }, onchange: () => {
    options.api.letAnswer(inbox, select.value as IntentState["answers"]).then(changed, (err: unknown) => options.tell(refusalText(err, options.speech, undefined), "bad"));
  } }, ...(["proven", "on", "off"] as const).map((p) => h("option", { attrs: { value: p, selected: p === state.answers } }, texts[p])));
  return h("label", { class: "field" }, words.learnPolicy, select);
}

function judged(state: IntentState, speech: Speech): HTMLElement | null {
  const e = state.evidence;
  if (e === undefined || e.judged === 0) return null;
  return h("p", { class: "soft" }, say(speech.words.learnJudged, { n: e.judged.toFixed(1), right: e.judged_right.toFixed(1), shift: e.shift.toFixed(2) }));
}

/** card is one suggestion: the texts, each of which can be left out, and what to make of them. */
function card(options: LearningOptions, inbox: string, s: Suggestion, editable: boolean, changed: () => void): HTMLElement {
  const { api, speech } = options;
  const { words } = speech;
  const boxes = s.examples.map((text) => ({ text, box: h("input", { attrs: { type: "checkbox", checked: true } }) }));
  const run = (work: Promise<void>, done: string) => {
    work.then(() => {
      options.tell(done, "ok");
      changed();
    }, (err: unknown) => options.tell(refusalText(err, speech, undefined), "bad"));
  };
  const not = h("input", { attrs: { type: "checkbox" } });
  const wrong = s.taken ?? "";
  const accept = (more: Pick<Acceptance, "intent" | "title" | "answer">) => {
    const texts = boxes.filter((b) => b.box.checked).map((b) => b.text);
    if (texts.length === 0) return;
    run(api.accept(s.id, { inbox_id: inbox, texts, ...(not.checked && { not_taken: true }), ...more }), words.learnDone);
  };
  const form = h("div");
  const add = (intent: string) => h("button", { class: "quiet", attrs: { type: "button", "data-add": intent }, onclick: () => accept({ intent }) }, `${words.learnAdd} ${intent}`);
  const likely = [...new Set([s.right ?? "", ...s.nearest.map((n) => n.intent)])].filter((i) => i !== "" && i !== wrong).slice(0, 3);
  return h("section", { class: "suggestion", attrs: { "data-suggestion": s.id } },
    h("p", { class: "soft" }, say(words.learnCount, { n: String(s.visitors), m: String(s.texts) }), wrong !== "" && ` · ${words.learnTaken} ${wrong}`),
    ...boxes.map((b) => h("label", {}, b.box, ` ${b.text}`)),
    s.answer !== undefined && s.answer !== "" && h("p", { class: "soft" }, `${words.learnAnswer}: ${s.answer}`),
    editable && wrong !== "" && h("label", {}, not, ` ${say(words.learnNot, { intent: wrong })}`),
    h("div", { class: "actions" },
      ...(editable ? likely.map(add) : []),
      editable && h("button", { class: "quiet", attrs: { type: "button" }, onclick: () => void pick(form, options, inbox, (intent) => accept({ intent })) }, `${words.learnAdd}…`),
      editable && h("button", { class: "quiet", attrs: { type: "button" }, onclick: () => compose(form, speech, s.answer ?? "", accept) }, words.learnNew),
      h("button", { class: "quiet", attrs: { type: "button", "data-do": "dismiss" }, onclick: () => run(api.dismiss(s.id, inbox), words.learnDismissed) }, words.learnDismiss)),
    form);
}

async function pick(form: HTMLElement, options: LearningOptions, inbox: string, done: (intent: string) => void): Promise<void> {
  const picker = new IntentPicker(options.speech, (i) => done(i.intent));
  fill(form, picker.el);
  picker.offer(await options.api.intents(inbox, options.speech.lang).catch(() => []));
}

/** compose asks for what a new intent needs. */
function compose(form: HTMLElement, speech: Speech, draft: string, done: (made: Pick<Acceptance, "intent" | "title" | "answer">) => void): void {
  const { words } = speech;
  const intent = h("input", { attrs: { type: "text", required: true, maxlength: 64, pattern: "[a-z][a-z0-9_]*", placeholder: words.learnId, "aria-label": words.learnId } });
  const title = h("input", { attrs: { type: "text", required: true, maxlength: 80, placeholder: words.learnName, "aria-label": words.learnName } });
  const answer = h("textarea", { attrs: { required: true, rows: 3, maxlength: 2000, placeholder: words.learnReply, "aria-label": words.learnReply } });
  answer.value = draft;
  fill(form, h("form", { class: "compose", onsubmit: (event) => {
    event.preventDefault();
    done({ intent: intent.value, title: title.value, answer: answer.value });
  } }, intent, title, answer, h("button", { class: "primary", attrs: { type: "submit" } }, words.learnNew)));
}
