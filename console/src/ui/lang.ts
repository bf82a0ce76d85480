export type Lang = "zh" | "en";

/** pickLang reads a wish such as "zh-CN", "en" or "auto"; auto asks the browser. */
export function pickLang(wish: string | null | undefined): Lang {
  const tag = (wish === undefined || wish === null || wish === "" || wish === "auto" ? navigator.language : wish).toLowerCase();
  return tag.startsWith("zh") ? "zh" : "en";
}

/** say fills the {names} of a sentence. */
export function say(sentence: string, values: Record<string, string | number>): string {
  return sentence.replace(/\{(\w+)\}/gu, (whole, name: string) => (name in values ? String(values[name]) : whole));
}

/** clock shows the time of day of a moment. */
export function clock(at: string, lang: Lang): string {
  return new Intl.DateTimeFormat(locale(lang), { hour: "2-digit", minute: "2-digit", hour12: false }).format(new Date(at));
}

/** fullTime shows a moment with its date, for titles. */
export function fullTime(at: string, lang: Lang): string {
  return new Intl.DateTimeFormat(locale(lang), { dateStyle: "medium", timeStyle: "medium" }).format(new Date(at));
}

/** dayKey tells days apart in the reader's time zone. */
export function dayKey(at: string): string {
  const d = new Date(at);
  return `${d.getFullYear()}-${d.getMonth() + 1}-${d.getDate()}`;
}

/** dayName names a day as a reader would: today, yesterday, or its date. */
export function dayName(at: string, now: number, lang: Lang): string {
  const key = dayKey(at);
  if (key === dayKey(new Date(now).toISOString())) return lang === "zh" ? "今天" : "Today";
  if (key === dayKey(new Date(now - 86_400_000).toISOString())) return lang === "zh" ? "昨天" : "Yesterday";
  const d = new Date(at);
  const sameYear = d.getFullYear() === new Date(now).getFullYear();
  return new Intl.DateTimeFormat(locale(lang), { month: "long", day: "numeric", ...(!sameYear && { year: "numeric" }) }).format(d);
}

/** span shows a length of time in its largest unit, such as 3 min. */
export function span(ms: number, lang: Lang): string {
  const s = Math.max(0, Math.floor(ms / 1000));
  const zh = lang === "zh";
  if (s < 60) return zh ? `${s} 秒` : `${s} s`;
  const m = Math.floor(s / 60);
  if (m < 60) return zh ? `${m} 分钟` : `${m} min`;
  const hours = Math.floor(m / 60);
  if (hours < 24) return zh ? `${hours} 小时` : `${hours} h`;
  const days = Math.floor(hours / 24);
  return zh ? `${days} 天` : `${days} d`;
}

/** initial gives the first character of a name as people see it. */
export function initial(name: string): string {
  for (const part of new Intl.Segmenter().segment(name)) return part.segment;
  return "";
}

function locale(lang: Lang): string {
  return lang === "zh" ? "zh-CN" : "en-GB";
}
