/** What a client does after its socket was closed. */
export type AfterClose = "return" | "renew" | "stop";
/** Codes that a client uses itself. */
export declare const closeNormal = 1000;
export declare const closeNoPong = 3012;
/**
 * afterClose reads the class of a close code: 3000–3499 and 4000–4499 come
 * back with back-off, 3500–3999 and 4500–4999 are final, and most below 3000
 * are the network's or a proxy's word, after which one comes back.
 * Two codes are about the credential, which may be renewed first.
 */
export declare function afterClose(code: number): AfterClose;
