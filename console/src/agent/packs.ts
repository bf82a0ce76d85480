import type { Api, Page } from "./api.ts";

/** PackInfo describes a pack as the node that was asked has it. */
export interface PackInfo {
  name: string;
  version: string;
  intents: number;
  questions: number;
  langs: string[] | null;
  source: string;
  origin: "built-in" | "file" | "saved";
  state: "live" | "training" | "idle" | "hidden" | "failed";
  calibrated: boolean;
  models?: { packs: string[]; hash: string; live?: string }[];
  error?: string;
}

export interface PackVersion {
  version: number;
  hash: string;
  bytes: number;
  at: string;
  by?: string;
  comment?: string;
  restores?: number;
}

export interface PackView extends PackInfo {
  files: { name: string; text: string }[];
  saved?: PackVersion;
}

export interface PackQuestion {
  text: string;
  lang: string;
  own?: boolean;
}

export interface PackIntent {
  id: string;
  title?: Record<string, string>;
  answer?: Record<string, string>;
  ask: PackQuestion[];
  not?: PackQuestion[];
  test?: PackQuestion[];
  flow?: string;
  handover?: boolean;
  background?: boolean;
  own?: boolean;
  file: string;
  line: number;
}

export interface PackProblem {
  file: string;
  line?: number;
  reason: string;
}

export interface Prediction {
  candidates: { intent: string; confidence: number }[] | null;
  nearest?: string;
  decision: "answer" | "suggest" | "abstain";
}

interface Counts {
  before: number;
  after: number;
}

export interface PackCheck {
  ok: boolean;
  problems: PackProblem[];
  intents: Counts;
  questions: Counts;
  repeated: { text: string; line: number; intent: string; other_intent: string; taken?: boolean }[];
  tests: { n: number; right: Counts; compared: boolean; changed: { text: string; want: string; before: string; after: string; better: boolean }[] };
  try?: { before?: Prediction; after?: Prediction };
}

export interface PackSaved {
  saved: PackVersion;
  hash: string;
  unchanged?: boolean;
}

export interface DiffLine {
  op: "+" | "-" | " ";
  old?: number;
  new?: number;
  text: string;
}

export interface PackVersionView extends PackVersion {
  text: string;
  diff: DiffLine[];
}

/** Packs is the part of the HTTP interface that reads and changes packs. */
export class Packs {
  constructor(private readonly api: Api) {}

  async list(): Promise<PackInfo[]> {
    return (await this.api.request<Page<PackInfo>>("GET", "/v1/packs")).data;
  }

  view(name: string): Promise<PackView> {
    return this.api.request("GET", path(name));
  }

  intents(name: string, query: string, cursor: string): Promise<Page<PackIntent> & { total: number }> {
    return this.api.request("GET", `${path(name)}/intents?${new URLSearchParams({ q: query, cursor, limit: "50" })}`);
  }

  /** check says what a text would come to, and what would be made of a visitor's words. */
  check(name: string, text: string, words = ""): Promise<PackCheck> {
    return this.api.slowly("POST", `${path(name)}/check`, { text, try: words });
  }

  /** save stores a text that builds on a version; 0 = there is none yet. */
  save(name: string, text: string, comment: string, version: number): Promise<PackSaved> {
    return this.api.request("PUT", path(name), { text, comment }, version);
  }

  versions(name: string): Promise<Page<PackVersion>> {
    return this.api.request("GET", `${path(name)}/versions`);
  }

  version(name: string, number: number): Promise<PackVersionView> {
    return this.api.request("GET", `${path(name)}/versions/${number}`);
  }

  rollback(name: string, number: number, version: number): Promise<PackSaved> {
    return this.api.request("POST", `${path(name)}/rollback`, { version: number }, version);
  }

  remove(name: string, version: number): Promise<void> {
    return this.api.request("DELETE", path(name), undefined, version);
  }
}

function path(name: string): string {
  return `/v1/packs/${encodeURIComponent(name)}`;
}
