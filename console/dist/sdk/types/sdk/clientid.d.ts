/**
 * newClientId makes an id for a message: the time, so that ids of one client
 * sort by age, and 52 random bits. It has to be unique among one sender's ids
 * only. crypto.randomUUID is not used because it is missing on plain http.
 */
export declare function newClientId(now: number): string;
