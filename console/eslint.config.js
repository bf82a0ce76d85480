import js from "@eslint/js";
import tseslint from "typescript-eslint";

// Content reaches the page as text nodes only, so every way of parsing HTML or
// evaluating text is closed here and not left to review.
const closedDoors = [
  ...["innerHTML", "outerHTML", "insertAdjacentHTML", "srcdoc"].map((property) => ({
    property,
    message: "Build nodes with h(); text goes in as text nodes.",
  })),
  { object: "document", property: "write", message: "Build nodes with h()." },
  { property: "setAttributeNS", message: "Only ui/icon.ts makes SVG." },
];

export default tseslint.config(
  { ignores: ["dist/", "ops/", "node_modules/", "src/**/*.gen.ts"] },
  js.configs.recommended,
  {
    files: ["src/**/*.ts", "test/**/*.ts", "vitest.config.ts"],
    extends: [...tseslint.configs.strictTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      "no-eval": "error",
      "no-restricted-properties": ["error", ...closedDoors],
      "max-lines": ["error", { max: 260, skipBlankLines: true, skipComments: true }],
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
      "@typescript-eslint/no-confusing-void-expression": ["error", { ignoreArrowShorthand: true }],
    },
  },
  {
    files: ["*.mjs", "*.js"],
    languageOptions: { globals: { console: "readonly", process: "readonly", Buffer: "readonly", URL: "readonly" } },
  },
);
