import type { AnomalyData } from "../sdk/frames.ts";
import { say } from "../ui/lang.ts";
import type { Words } from "./words.ts";

/** anomalyWhy says in words and figures in what a conversation is unlike the others. */
export function anomalyWhy(words: Words, data: AnomalyData): string {
  const measured = data.measured_ms ?? 0;
  const usual = data.usual_ms ?? 0;
  const figures = {
    measured: span(measured), usual: span(usual), times: usual > 0 ? digits(measured / usual) : "∞",
    n: String(data.count ?? 0), same: String(data.same ?? 0),
  };
  const scores = { ...figures, score: (data.score ?? 0).toFixed(2), usual: (data.usual_score ?? 0).toFixed(2) };
  switch (data.anomaly) {
    case "slow":
      return say(words.anSlow, figures);
    case "costly":
      return say(words.anCostly, figures);
    case "flood":
      return say(words.anFlood, figures);
    case "stuck":
      return say(words.anStuck, figures);
    case "loop":
      return say(data.same === undefined ? words.anTurns : words.anSame, figures);
    case "anger":
      return say(data.same === undefined ? words.anRose : words.anAngry, scores);
    default: // of a newer server, which says it in English itself
      return data.explanation;
  }
}

function digits(n: number): string {
  return n >= 100 ? n.toFixed(0) : n.toFixed(1);
}

/** span prints milliseconds in the unit that they are read best in. */
function span(ms: number): string {
  if (ms < 1) return `${Math.round(ms * 1000)} µs`;
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  return `${Math.floor(ms / 60_000)} min ${Math.round((ms % 60_000) / 1000)} s`;
}
