/** Sample is one line of /metrics. */
export interface Sample {
  labels: Readonly<Record<string, string>>;
  value: number;
}

/** Scrape is what a node said at a moment: its samples by metric. */
export interface Scrape {
  /** Seconds since 1970. */
  at: number;
  metrics: ReadonlyMap<string, readonly Sample[]>;
}

const line = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)/;
const label = /([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"/g;

/** readScrape reads Prometheus' text format. Metrics that wanted does not ask for are left out. */
export function readScrape(text: string, at: number, wanted: (metric: string) => boolean): Scrape {
  const metrics = new Map<string, Sample[]>();
  for (const row of text.split("\n")) {
    if (row === "" || row.startsWith("#")) continue;
    const parts = line.exec(row);
    const name = parts?.[1];
    if (parts === null || name === undefined || !wanted(name)) continue;
    const sample = { labels: readLabels(parts[2] ?? ""), value: readNumber(parts[3] ?? "") };
    const known = metrics.get(name);
    if (known === undefined) metrics.set(name, [sample]);
    else known.push(sample);
  }
  return { at, metrics };
}

function readLabels(text: string): Record<string, string> {
  const out: Record<string, string> = {};
  for (const m of text.matchAll(label)) {
    const [, name, value] = m;
    if (name !== undefined && value !== undefined) out[name] = value.replace(/\\(.)/g, (_, c: string) => (c === "n" ? "\n" : c));
  }
  return out;
}

function readNumber(text: string): number {
  if (text === "+Inf") return Infinity;
  if (text === "-Inf") return -Infinity;
  return Number(text);
}
