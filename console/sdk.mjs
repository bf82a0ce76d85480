// Builds the SDK: one module, its types, and the package that carries both.
import { readdir, readFile, writeFile, mkdir, rm } from "node:fs/promises";
import path from "node:path";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import ts from "typescript";

const root = import.meta.dirname;
const entry = path.join(root, "src/sdk/index.ts");

/** What a page must load to talk; gzipped, in bytes. */
export const sdkBudget = 4096;

/** gzipped is the size of a script on its way. */
export const gzipped = (script) => gzipSync(script, { level: 9 }).length;

/** bundleSDK gives the module. */
export async function bundleSDK() {
  const result = await build({
    entryPoints: [entry], bundle: true, minify: true, format: "esm", write: false, absWorkingDir: root,
    target: ["es2022", "safari16.4"], charset: "utf8", legalComments: "none", logLevel: "warning",
  });
  return result.outputFiles[0].contents;
}

/** writeTypes writes the declarations of everything that the entry shows. */
async function writeTypes(folder) {
  const { config } = ts.readConfigFile(path.join(root, "tsconfig.json"), ts.sys.readFile);
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, root);
  const program = ts.createProgram([entry], { ...options, noEmit: false, declaration: true, emitDeclarationOnly: true, rootDir: path.join(root, "src"), outDir: folder });
  program.emit();
  for (const file of await readdir(folder, { recursive: true })) {
    if (!file.endsWith(".d.ts")) continue;
    const name = path.join(folder, file);
    await writeFile(name, (await readFile(name, "utf8")).replaceAll(/from "(\.[^"]*)\.ts"/g, 'from "$1.js"'));
  }
}

/** writeSDK writes the package into a folder and gives the size of its module. */
export async function writeSDK(folder) {
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  const script = await bundleSDK();
  const { version, license } = JSON.parse(await readFile(path.join(root, "package.json"), "utf8"));
  const manifest = {
    name: "@colloquy/sdk", version, license, description: "Standing connection of a visitor to a colloquy server", type: "module", sideEffects: false,
    exports: { ".": { types: "./types/sdk/index.d.ts", default: "./index.js" } },
  };
  await writeFile(path.join(folder, "index.js"), script);
  await writeFile(path.join(folder, "package.json"), JSON.stringify(manifest, null, 2) + "\n");
  await writeTypes(path.join(folder, "types"));
  return gzipped(script);
}
