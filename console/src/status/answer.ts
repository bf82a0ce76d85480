import type { Query } from "./panels.gen.ts";
import type { Sample, Scrape } from "./scrape.ts";

/** Answer is the value of each series of a query, by its name. A value that nothing was counted for is NaN. */
export type Answer = ReadonlyMap<string, number>;

/** metricsOf lists the metrics of /metrics that a query needs. */
export function metricsOf(query: Query): string[] {
  switch (query.of) {
    case "quantile":
      return [`${query.metric}_bucket`];
    case "mean":
      return [`${query.metric}_sum`, `${query.metric}_count`];
    default:
      return [query.metric];
  }
}

/**
 * answer works a query out as Prometheus would: rates are of the time between two scrapes, and a counter that is
 * lower than before has begun anew.
 */
export function answer(query: Query, before: Scrape, now: Scrape): Answer {
  const seconds = Math.max(now.at - before.at, 1e-3);
  const growth = (metric: string, by: readonly string[] = query.by ?? []): Map<string, number> => {
    const old = sums(before, metric, query, by);
    const out = new Map<string, number>();
    for (const [key, value] of sums(now, metric, query, by)) {
      const was = old.get(key) ?? 0;
      out.set(key, value >= was ? value - was : value);
    }
    return out;
  };
  switch (query.of) {
    case "value":
      return named(query, sums(now, query.metric, query, query.by ?? []));
    case "rate":
      return named(query, map(growth(query.metric), (v) => v / seconds));
    case "mean": {
      const counts = growth(`${query.metric}_count`);
      return named(query, map(growth(`${query.metric}_sum`), (v, key) => v / (counts.get(key) ?? 0)));
    }
    case "quantile":
      return named(query, quantiles(growth(`${query.metric}_bucket`, [...(query.by ?? []), "le"]), query.q ?? 0.5));
  }
}

const between = "\u0001";

/** sums adds up the samples of a metric that a query asks for, by the labels it keeps. */
function sums(scrape: Scrape, metric: string, query: Query, by: readonly string[]): Map<string, number> {
  const out = new Map<string, number>();
  for (const s of scrape.metrics.get(metric) ?? []) {
    if (!matches(s, query)) continue;
    const key = by.map((l) => s.labels[l] ?? "").join(between);
    out.set(key, (out.get(key) ?? 0) + s.value);
  }
  return out;
}

function matches(s: Sample, query: Query): boolean {
  return Object.entries(query.where ?? {}).every(([name, value]) => s.labels[name] === value);
}

function map(values: ReadonlyMap<string, number>, f: (value: number, key: string) => number): Map<string, number> {
  return new Map([...values].map(([key, value]) => [key, f(value, key)]));
}

/** quantiles finds a quantile in cumulative buckets, evenly within the bucket that it falls into. */
function quantiles(buckets: ReadonlyMap<string, number>, q: number): Map<string, number> {
  const groups = new Map<string, { le: number; count: number }[]>();
  for (const [key, count] of buckets) {
    const at = key.lastIndexOf(between);
    const group = at < 0 ? "" : key.slice(0, at);
    const text = key.slice(at + 1);
    const bucket = { le: text === "+Inf" ? Infinity : Number(text), count };
    groups.set(group, [...(groups.get(group) ?? []), bucket]);
  }
  return new Map([...groups].map(([group, list]) => [group, quantile(list.sort((a, b) => a.le - b.le), q)]));
}

function quantile(buckets: readonly { le: number; count: number }[], q: number): number {
  const total = buckets.at(-1)?.count ?? 0;
  if (total === 0) return NaN;
  const rank = q * total;
  let lower = 0;
  let below = 0;
  for (const b of buckets) {
    if (b.count >= rank) {
      if (b.le === Infinity) return lower; // all that is known
      return lower + ((b.le - lower) * (rank - below)) / Math.max(b.count - below, Number.EPSILON);
    }
    lower = b.le;
    below = b.count;
  }
  return lower;
}

function named(query: Query, values: ReadonlyMap<string, number>): Answer {
  return new Map([...values].map(([key, value]) => [[query.legend, ...key.split(between)].filter((part) => part !== undefined && part !== "").join(" ") || query.metric, value]));
}
