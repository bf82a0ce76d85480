/** What a client does after its socket was closed. */
export type AfterClose = "return" | "renew" | "stop";

/** Codes that a client uses itself. */
export const closeNormal = 1000;
export const closeNoPong = 3012;

const unusable: readonly number[] = [1002, 1003, 1007, 1009]; // we said something that will be as wrong the next time
const expired = 3005;
const invalidToken = 3500;

/**
 * afterClose reads the class of a close code: 3000–3499 and 4000–4499 come
 * back with back-off, 3500–3999 and 4500–4999 are final, and most below 3000
 * are the network's or a proxy's word, after which one comes back.
 * Two codes are about the credential, which may be renewed first.
 */
export function afterClose(code: number): AfterClose {
  if (code === expired || code === invalidToken) return "renew";
  if (unusable.includes(code)) return "stop";
  if (code < 3000) return "return";
  return code % 1000 < 500 ? "return" : "stop";
}
