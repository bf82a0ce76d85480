import type { Lang } from "./lang.ts";

const zh = {
  attach: "添加文件", drop: "松开即可添加文件", remove: "移除 {name}", uploading: "正在上传 {name}", ready: "{name} 已就绪", download: "下载 {name}",
  pending: "正在接收文件…", unavailable: "文件无法显示", gone: "渠道已不再提供该文件", timedOut: "未能从渠道取得该文件",
  tooLarge: "文件过大", tooLargeOf: "文件过大，上限 {max}", kind: "不支持这种文件", quota: "今天发送的文件过多，请明天再试", many: "一条消息最多 {n} 个文件", busy: "文件过多，请稍后再试", failed: "上传失败", empty: "文件是空的",
};

/** FileWords are the texts about files. */
export type FileWords = typeof zh;

const en: FileWords = {
  attach: "Attach files", drop: "Drop to attach", remove: "Remove {name}", uploading: "Uploading {name}", ready: "{name} is ready", download: "Download {name}",
  pending: "Receiving a file…", unavailable: "This file cannot be shown", gone: "The channel no longer has this file", timedOut: "The channel did not give this file",
  tooLarge: "This file is too large", tooLargeOf: "This file is too large; the limit is {max}", kind: "Files of this kind are not accepted", quota: "Too many files today; please try again tomorrow", many: "A message carries at most {n} files", busy: "Too many files at a time; please try again", failed: "Upload failed", empty: "This file is empty",
};

/** fileWordsOf gives the texts in a language. */
export function fileWordsOf(lang: Lang): FileWords {
  return lang === "zh" ? zh : en;
}

/** reasonText says why a file is not there, or was not taken, by its code. */
export function reasonText(words: FileWords, code: string): string {
  const texts: Record<string, string> = {
    too_large: words.tooLarge, media_type_refused: words.kind, quota_used_up: words.quota, rate_limited: words.busy, overloaded: words.busy, too_many: words.unavailable,
    gone: words.gone, timed_out: words.timedOut, not_fetched: words.unavailable, bad_attachment: words.empty,
  };
  return texts[code] ?? words.failed;
}

/** sizeText shows a number of bytes as people read it. */
export function sizeText(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  const units = ["KB", "MB", "GB"];
  let value = bytes / 1024;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${value >= 10 ? Math.round(value) : Math.round(value * 10) / 10} ${units[unit] ?? ""}`;
}
