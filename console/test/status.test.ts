import { describe, expect, it } from "vitest";
import { answer, metricsOf } from "../src/status/answer.ts";
import { format } from "../src/status/format.ts";
import { History } from "../src/status/history.ts";
import { panels } from "../src/status/panels.gen.ts";
import { readScrape } from "../src/status/scrape.ts";

const all = (): boolean => true;
const scrape = (at: number, ...rows: string[]): ReturnType<typeof readScrape> => readScrape(rows.join("\n"), at, all);

describe("a scrape", () => {
  it("reads names, labels and numbers, and leaves out what nobody wants", () => {
    const text = '# HELP a b\na_total 3\nb{x="1",y="say \\"hi\\", {you}\\n"} +Inf\nc{z=""} 1.5e-3 1700000000\nbroken\nunwanted 9\n';
    const got = readScrape(text, 7, (m) => m !== "unwanted");
    expect([...got.metrics.keys()]).toEqual(["a_total", "b", "c"]);
    expect(got.metrics.get("a_total")).toEqual([{ labels: {}, value: 3 }]);
    expect(got.metrics.get("b")).toEqual([{ labels: { x: "1", y: 'say "hi", {you}\n' }, value: Infinity }]);
    expect(got.metrics.get("c")).toEqual([{ labels: { z: "" }, value: 0.0015 }]);
  });
});

describe("an answer", () => {
  const before = scrape(100, 'm_total{kind="a",node="1"} 10', 'm_total{kind="a",node="2"} 5', 'm_total{kind="b",node="1"} 100');
  const now = scrape(110, 'm_total{kind="a",node="1"} 30', 'm_total{kind="a",node="2"} 5', 'm_total{kind="b",node="1"} 40', 'm_total{kind="c",node="1"} 1');

  it("is a rate by the labels it keeps, also when a counter begins anew", () => {
    expect([...answer({ of: "rate", metric: "m_total", by: ["kind"] }, before, now)]).toEqual([["a", 2], ["b", 4], ["c", 0.1]]);
    expect([...answer({ of: "rate", metric: "m_total", where: { kind: "a" }, legend: "as" }, before, now)]).toEqual([["as", 2]]);
    expect([...answer({ of: "rate", metric: "none_total" }, before, now)]).toEqual([]);
  });

  it("is a value with a name", () => {
    expect([...answer({ of: "value", metric: "m_total", by: ["kind"], legend: "now" }, before, now)]).toEqual([["now a", 35], ["now b", 40], ["now c", 1]]);
    expect([...answer({ of: "value", metric: "m_total" }, before, now)]).toEqual([["m_total", 76]]);
  });

  it("is a mean, or nothing where nothing was counted", () => {
    const old = scrape(0, "h_sum 1", "h_count 1");
    expect([...answer({ of: "mean", metric: "h" }, old, scrape(10, "h_sum 7", "h_count 4"))]).toEqual([["h", 2]]);
    expect(answer({ of: "mean", metric: "h" }, old, old).get("h")).toBeNaN();
  });

  it("is a quantile as Prometheus works it out", () => {
    const bucket = (n: readonly number[], label = ""): string[] => ["0.1", "0.5", "1", "+Inf"].map((le, i) => `h_bucket{${label}le="${le}"} ${n[i] ?? 0}`);
    const empty = scrape(0, ...bucket([0, 0, 0, 0]));
    const full = scrape(10, ...bucket([10, 50, 90, 100]));
    const q = (at: number): number | undefined => answer({ of: "quantile", metric: "h", q: at }, empty, full).get("h");
    expect(q(0.5)).toBeCloseTo(0.5);
    expect(q(0.3)).toBeCloseTo(0.3);
    expect(q(0.05)).toBeCloseTo(0.05);
    expect(q(0.99)).toBeCloseTo(1);
    expect(answer({ of: "quantile", metric: "h", q: 0.5 }, full, full).get("h")).toBeNaN();
    const two = scrape(10, ...bucket([10, 10, 10, 10], 'c="a",'), ...bucket([0, 0, 10, 10], 'c="b",'));
    const by = answer({ of: "quantile", metric: "h", q: 0.5, by: ["c"] }, empty, two);
    expect(by.get("a")).toBeCloseTo(0.05);
    expect(by.get("b")).toBeCloseTo(0.75);
  });
});

describe("a history", () => {
  it("keeps so many moments, fills gaps, and shows what is busy first", () => {
    const history = new History(3, 2);
    history.add(1, [new Map([["quiet", 0]])]);
    history.add(2, [new Map([["busy", 5], ["quiet", 0], ["third", 1]])]);
    history.add(3, [new Map([["busy", NaN]])]);
    expect(history.series()).toEqual([{ name: "busy", values: [null, 5, null] }, { name: "quiet", values: [0, 0, null] }]);
    for (const at of [4, 5]) history.add(at, [new Map([["third", 1]])]);
    expect(history.times).toEqual([3, 4, 5]);
    history.add(6, [new Map([["third", 2]])]);
    expect(history.series()).toEqual([{ name: "third", values: [null, null, 2] }]);
  });
});

describe("the panels", () => {
  it("ask for what can be worked out", () => {
    expect(panels.length).toBeGreaterThan(20);
    for (const p of panels) {
      expect(p.queries.length, p.title).toBeGreaterThan(0);
      for (const q of p.queries) for (const m of metricsOf(q)) expect(m).toMatch(/^(colloquy|process|go)_/);
    }
  });

  it("print values in their units", () => {
    expect([format(0.0123, "s"), format(2.5, "s"), format(3e-5, "s"), format(0, "s")]).toEqual(["12.3 ms", "2.5 s", "30 µs", "0"]);
    expect([format(1536, "bytes"), format(0.985, "percentunit"), format(1234, "ops"), format(7, "short"), format(null, "s")]).toEqual(["1.5 KiB", "98.5 %", "1.23 k/s", "7", "–"]);
  });
});
