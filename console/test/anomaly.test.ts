import { describe, expect, it } from "vitest";
import { Speech } from "../src/agent/say.ts";
import { consoleWords } from "../src/agent/words.ts";
import type { AnomalyData } from "../src/sdk/frames.ts";
import { emptyTimeline, foldTimeline } from "../src/sdk/timeline.ts";

const at = "2026-03-02T09:00:00Z";

function told(lang: "en" | "zh", data: Omit<AnomalyData, "explanation">): string {
  const line = emptyTimeline();
  foldTimeline(line, { seq: 1, at, type: "conversation.anomaly_found", data: { explanation: "in English", ...data } });
  const mark = line.items[0];
  if (mark?.kind !== "mark") throw new Error("the timeline does not show it");
  return new Speech(lang, consoleWords(lang), (id) => id).mark(mark);
}

describe("an anomaly in the timeline", () => {
  it("is explained in words and figures", () => {
    expect(told("en", { anomaly: "slow", measured_ms: 492, usual_ms: 120, count: 3 })).toContain("turns take 4.1× the channel’s usual 120 ms since 3 turns");
    expect(told("en", { anomaly: "costly", measured_ms: 307.5, usual_ms: 1.23, count: 3 })).toContain("250× the channel’s usual processor time of 1.2 ms");
    expect(told("en", { anomaly: "flood", measured_ms: 200, usual_ms: 21_540, count: 9 })).toContain("every 200 ms, usual in the channel is every 21.5 s, since 9 messages");
    expect(told("en", { anomaly: "stuck", measured_ms: 662_000, usual_ms: 600_000 })).toContain("has waited 11 min 2 s, the inbox’s objective is 10 min 0 s");
    expect(told("en", { anomaly: "loop", count: 6, same: 4 })).toContain("4 of the last 6 messages are the same");
    expect(told("en", { anomaly: "loop", count: 51 })).toContain("51 turns of the bot in a row");
    expect(told("en", { anomaly: "anger", count: 3, same: 2, score: 0.93, usual_score: 0.03 })).toContain("2 of the last 3 messages are angry, up to 0.93, usual in the channel is 0.03");
    expect(told("en", { anomaly: "anger", count: 1, score: 0.99 })).toContain("anger rose to 0.99 within 1 messages");
  });

  it("speaks Chinese, and what a newer server found", () => {
    expect(told("zh", { anomaly: "slow", measured_ms: 492, usual_ms: 120, count: 3 })).toBe("会话异常：每轮耗时是渠道平时（120 ms）的 4.1 倍，已持续 3 轮");
    expect(told("en", { anomaly: "of tomorrow" as "slow" })).toContain("in English");
  });
});
