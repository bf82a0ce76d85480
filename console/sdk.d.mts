/** What a page must load to talk; gzipped, in bytes. */
export const sdkBudget: number;
/** gzipped is the size of a script on its way. */
export function gzipped(script: Uint8Array): number;
/** bundleSDK gives the module. */
export function bundleSDK(): Promise<Uint8Array>;
/** writeSDK writes the package into a folder and gives the size of its module. */
export function writeSDK(folder: string): Promise<number>;
