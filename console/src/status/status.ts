import { h, write } from "../ui/dom.ts";
import { answer, metricsOf } from "./answer.ts";
import { Chart } from "./chart.ts";
import { History } from "./history.ts";
import { panels } from "./panels.gen.ts";
import type { Scrape } from "./scrape.ts";
import { readScrape } from "./scrape.ts";
import { SessionTable } from "./sessions.ts";

const everyMs = 5_000;
const patienceMs = 10_000;
const keptScrapes = 7; // rates are of the last half minute
const keptMoments = 720; // an hour

const wanted = new Set(panels.flatMap((p) => p.queries.flatMap(metricsOf)));
const titles: Readonly<Record<string, string>> = { overview: "Overview", sessions: "Conversations", cluster: "Journal and cluster", channels: "Channels" };

const shown = panels.map((panel) => {
  const history = new History(keptMoments);
  return { panel, history, chart: new Chart(panel, history) };
});
const said = h("p", { class: "said", attrs: { role: "status" } }, "Waiting for the first figures…");
const sessions = new SessionTable();
const scrapes: Scrape[] = [];

function page(): HTMLElement {
  const boards = [...new Set(panels.map((p) => p.board))];
  return h("main", {},
    h("header", {}, h("h1", {}, "Colloquy"), said, h("nav", {}, ...["/metrics", "/readyz?verbose", "/cluster", "/debug/sessions"].map((to) => h("a", { attrs: { href: to } }, to)))),
    ...boards.map((b) => h("section", {}, h("h2", {}, titles[b] ?? b), h("div", { class: "panels" }, ...shown.filter((s) => s.panel.board === b).map((s) => s.chart.element)))),
    sessions.element);
}

async function scrape(signal: AbortSignal): Promise<void> {
  const reply = await fetch("/metrics", { signal });
  if (!reply.ok) throw new Error(`/metrics: ${reply.status}`);
  const now = readScrape(await reply.text(), Date.now() / 1000, (m) => wanted.has(m));
  const before = scrapes[0];
  scrapes.push(now);
  if (scrapes.length > keptScrapes) scrapes.shift();
  if (before === undefined) return;
  for (const { panel, history, chart } of shown) {
    history.add(now.at, panel.queries.map((q) => answer(q, before, now)));
    if (!document.hidden) chart.update();
  }
}

async function look(): Promise<void> {
  const signal = AbortSignal.timeout(patienceMs);
  try {
    await Promise.all([scrape(signal), sessions.update(signal)]);
    write(said, `As of ${new Date().toLocaleTimeString()}; since this page was opened, an hour at most.`);
  } catch (err) {
    write(said, `The node does not answer: ${err instanceof Error ? err.message : "?"}`);
  }
  setTimeout(() => void look(), everyMs);
}

document.body.append(page());
addEventListener("resize", () => { for (const s of shown) s.chart.fit(); });
void look();
