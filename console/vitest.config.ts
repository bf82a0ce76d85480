import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    environment: "jsdom",
    restoreMocks: true,
    testTimeout: 60_000, // the machine may be busy with other things
  },
});
