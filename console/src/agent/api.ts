import type { Entry, Presence, Priority, Trouble, Profile, Summary } from "../sdk/frames.ts";
import { Refused } from "../sdk/session.ts";
import type { Person, ReplyWindow } from "./person.ts";
import type { FileLimits, Upload } from "../ui/upload.ts";
import { upload } from "../ui/upload.ts";
import type { ShadowTurn } from "./shadow.ts";

/** Me is who is signed in. */
export interface Me extends Profile {
  presence?: Presence;
  /** The server drafts replies. */
  drafts?: boolean;
  /** Which files the server takes; left out where it takes none. */
  files?: FileLimits;
  /** The server shows what another intent engine would say. */
  shadows?: boolean;
}

export interface Inbox {
  id: string;
  name: string;
}

/** Detail is a conversation in full. */
export interface Detail extends Summary {
  read_visitor?: number;
  read_agent?: number;
  /** Of channels whose provider has one. */
  reply_window?: ReplyWindow;
}

export interface Page<T> {
  data: T[];
  meta?: { has_more?: boolean; next_cursor?: string };
}

export interface IntentName {
  intent: string;
  title: string;
}

export interface IntentState {
  answers: "proven" | "on" | "off";
  by_itself: boolean;
  reason: string;
  evidence?: { judged: number; judged_right: number; shift: number };
}

/** Suggestion is a group of visitors' texts that the bot had no right answer for. */
export interface Suggestion {
  id: string;
  lang?: string;
  visitors: number;
  texts: number;
  reasons: Record<string, number>;
  examples: string[];
  nearest: { intent: string; confidence: number }[];
  taken?: string;
  right?: string;
  answer?: string;
}

export interface Suggestions extends Page<Suggestion> {
  editable: boolean;
}

/** Acceptance is what becomes of a suggestion. */
export interface Acceptance {
  inbox_id: string;
  intent: string;
  title?: string;
  answer?: string;
  lang?: string;
  texts: string[];
  not_taken?: boolean;
}

const timeoutMs = 15_000;
const slowMs = 45_000;

/** Api is the console's side of the HTTP interface: a cookie session with an anti-forgery header on every change. */
export class Api {
  private signedIn = false;
  /** onSignedOut runs when the session turns out to be over. */
  onSignedOut: () => void = () => undefined;

  /** signIn starts a session. */
  async signIn(email: string, password: string): Promise<Me> {
    return this.sign(await this.request("POST", "/v1/auth/login", { email, password }));
  }

  /** setUp makes the first admin by the one-time token and signs them in. */
  async setUp(form: { token: string; name: string; email: string; password: string }): Promise<Me> {
    return this.sign(await this.request("POST", "/v1/auth/setup", form));
  }

  /** profile finds out who is signed in. */
  async profile(): Promise<Me> {
    return this.sign(await this.request("GET", "/v1/profile"));
  }

  /** signOut ends the session. */
  async signOut(): Promise<void> {
    this.signedIn = false;
    await this.request("POST", "/v1/auth/logout");
  }

  /** needsSetup reports whether the server waits for its first admin. */
  async needsSetup(): Promise<boolean> {
    const state = await this.request<{ open?: boolean }>("GET", "/v1/auth/setup");
    return state.open === true;
  }

  inboxes(): Promise<Page<Inbox>> {
    return this.request("GET", "/v1/inboxes");
  }

  agents(): Promise<Page<Profile>> {
    return this.request("GET", "/v1/agents");
  }

  /** conversations lists summaries, newest activity first. */
  conversations(status: string, cursor?: string): Promise<Page<Summary>> {
    const query = new URLSearchParams({ status, limit: "100" });
    if (cursor !== undefined) query.set("cursor", cursor);
    return this.request("GET", `/v1/conversations?${query}`);
  }

  conversation(id: string): Promise<Detail> {
    return this.request("GET", `/v1/conversations/${id}`);
  }

  /** events fetches a part of a conversation's log. */
  events(id: string, after: number, limit: number): Promise<Page<Entry>> {
    return this.request("GET", `/v1/conversations/${id}/events?after_seq=${after}&limit=${limit}`);
  }

  /** act carries out a command that needs at most a few fields, such as claim or snooze. */
  async act(id: string, action: Action, fields: Record<string, string> = {}): Promise<void> {
    await this.request("POST", `/v1/conversations/${id}/${action}`, fields);
  }

  /** tag replaces the tags. */
  async tag(id: string, tags: string[]): Promise<void> {
    await this.request("PUT", `/v1/conversations/${id}/tags`, { tags });
  }

  async prioritize(id: string, priority: Priority): Promise<void> {
    await this.request("PATCH", `/v1/conversations/${id}/priority`, { priority });
  }

  /** draft has a reply drafted. It is sent to nobody. */
  async draft(id: string): Promise<string> {
    return (await this.request<{ text: string }>("POST", `/v1/conversations/${id}/draft`)).text;
  }

  /** person tells in which ways a contact came, and who may be the same. */
  person(contact: string): Promise<Person> {
    return this.request("GET", `/v1/contacts/${contact}`);
  }

  /** changePerson merges another contact into one, or takes it out again. */
  changePerson(contact: string, verb: "merge" | "split", other: string): Promise<Person> {
    return this.request("POST", `/v1/contacts/${contact}/${verb}`, { contact: other });
  }

  /** erasePerson erases a contact and all who were merged with them; admins only. */
  erasePerson(contact: string): Promise<{ conversations: number }> {
    return this.slowly("POST", `/v1/contacts/${contact}/erase`, { confirm: contact });
  }

  /** upload hands a file in that the next message to a conversation will carry. */
  upload(id: string, file: File, onProgress: (part: number) => void): Upload {
    return upload(`/v1/conversations/${id}/attachments`, file, { "x-colloquy-csrf": "console" }, onProgress);
  }

  /** url is where a file is; the cookie opens it. */
  url(id: string): Promise<string> {
    return Promise.resolve(`/v1/attachments/${id}`);
  }

  /** shadows tells what another intent engine would have said in a conversation, newest first. */
  shadows(id: string): Promise<Page<ShadowTurn>> {
    return this.request("GET", `/v1/intent/shadow?conversation_id=${id}&limit=10`);
  }

  /** slowly is request for what takes the server longer, such as training. */
  slowly<T>(method: string, path: string, body: object): Promise<T> {
    return this.request(method, path, body, undefined, slowMs);
  }

  /** judge says whether a message of the bot was right, and what it should have been taken for. */
  async judge(id: string, seq: number, verdict: "right" | "wrong", intent: string): Promise<void> {
    await this.request("POST", `/v1/conversations/${id}/judge`, { seq, verdict, ...(intent !== "" && { intent }) });
  }

  /** intents lists what an inbox's packs know. */
  async intents(inbox: string, lang: string): Promise<IntentName[]> {
    const page = await this.request<Page<IntentName>>("GET", `/v1/inboxes/${inbox}/intents?lang=${lang}`);
    return page.data;
  }

  /** intentState says whether an inbox's bot answers by itself. */
  intentState(inbox: string): Promise<IntentState> {
    return this.request("GET", `/v1/inboxes/${inbox}/intent`);
  }

  /** letAnswer sets whether an inbox's bot answers by itself; admins only. */
  async letAnswer(inbox: string, answers: IntentState["answers"]): Promise<void> {
    await this.request("PATCH", `/v1/inboxes/${inbox}`, { policy: { answers } });
  }

  /** suggestions lists what visitors asked without a right answer; admins only. */
  suggestions(inbox: string): Promise<Suggestions> {
    return this.request("GET", `/v1/intent/suggestions?${new URLSearchParams({ inbox })}`);
  }

  /** accept takes texts of a suggestion into the packs. */
  async accept(id: string, acceptance: Acceptance): Promise<void> {
    await this.request("POST", `/v1/intent/suggestions/${id}/accept`, acceptance);
  }

  /** dismiss takes a suggestion off the list for good. */
  async dismiss(id: string, inbox: string): Promise<void> {
    await this.request("POST", `/v1/intent/suggestions/${id}/dismiss`, { inbox_id: inbox });
  }

  private sign(me: Me): Me {
    this.signedIn = true;
    return me;
  }

  /** request calls the server as whoever is signed in; version is for If-Match. */
  async request<T>(method: string, path: string, body?: object, version?: number, patienceMs = timeoutMs): Promise<T> {
    const headers: Record<string, string> = {};
    if (version !== undefined) headers["if-match"] = `"${version}"`;
    if (body !== undefined) headers["content-type"] = "application/json";
    if (method !== "GET") headers["x-colloquy-csrf"] = "console"; // other sites cannot set it without asking
    const response = await fetch(path, {
      method, headers, credentials: "same-origin", cache: "no-store", signal: AbortSignal.timeout(patienceMs),
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    const value: unknown = text === "" ? {} : parse(text);
    if (response.ok) return value as T;
    if (response.status === 401 && this.signedIn && path !== "/v1/auth/logout") {
      this.signedIn = false;
      this.onSignedOut();
    }
    throw new Refused(response.status, value as Trouble);
  }
}

export type Action = "claim" | "assign" | "unassign" | "resolve" | "reopen" | "snooze" | "wake" | "return_to_bot";

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
}
