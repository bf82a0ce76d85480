import type { Trouble } from "../sdk/frames.ts";
import { Refused } from "../sdk/session.ts";
import { say } from "../ui/lang.ts";
import type { Speech } from "./say.ts";

/**
 * refusalText is what an agent is told when a command was refused. A lost race
 * names the winner: the detail carries their id, the list their name.
 */
export function refusalText(err: unknown, speech: Speech, winner: string | undefined): string {
  const { words } = speech;
  if (!(err instanceof Refused)) return words.loginDown;
  return problemText(err.problem, speech, winner) || `${words.refusedTitle}: ${err.message}`;
}

/** problemText turns a problem's code into a sentence; empty when there is none for it. */
export function problemText(problem: Trouble, speech: Speech, winner: string | undefined): string {
  const { words } = speech;
  const id = /^(\S+) has this conversation/u.exec(problem.detail ?? "")?.[1];
  const name = winner ?? (id === undefined ? undefined : speech.nameOf(id));
  switch (problem.code) {
    case "already_claimed":
      return name === undefined ? words.conflict : say(words.taken, { name });
    case "not_assignee":
      return name === undefined ? words.conflict : say(words.refusedBy, { name });
    case "text_too_long":
      return say(words.notSent, { why: words.tooLong });
    default:
      return problem.status === 409 ? `${words.conflict}${problem.detail === undefined ? "" : ` (${problem.detail})`}` : "";
  }
}
