// @vitest-environment node
import { describe, expect, it } from "vitest";
import { bundleSDK, sdkBudget, gzipped } from "../sdk.mjs";

describe("the SDK", () => {
  it("fits into its budget and brings connect along", async () => {
    const script = await bundleSDK();
    expect(gzipped(script)).toBeLessThanOrEqual(sdkBudget);
    expect(new TextDecoder().decode(script)).toMatch(/export\{[\w$]+ as connect\}/);
  });
});
