// Builds the pages into dist/. Files under dist/assets carry the hash of their
// content in the name and may be cached for ever; the others must be revalidated.
// The page of the operations listener goes into ops/, which the public one must not
// serve.
import { createHash } from "node:crypto";
import { cp, mkdir, readFile, readdir, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { sdkBudget, writeSDK } from "./sdk.mjs";

const root = import.meta.dirname;
const dist = path.join(root, "dist");
const ops = path.join(root, "ops");
const widgetBudget = 30 * 1024; // gzipped: launcher, frame script, frame style and frame page together

const common = {
  bundle: true,
  minify: true,
  target: ["es2022", "safari16.4"],
  charset: "utf8",
  legalComments: "none",
  absWorkingDir: root,
  logLevel: "warning",
};

const pages = [
  { name: "frame", script: "src/widget/frame.ts", style: "src/widget/frame.css", html: "public/frame.html", to: "widget/frame.html" },
  { name: "demo", script: "src/demo/demo.ts", style: "src/demo/demo.css", html: "public/demo.html", to: "demo/index.html" },
  { name: "agent", script: "src/agent/agent.ts", style: "src/agent/agent.css", html: "public/agent.html", to: "agent/index.html" },
];

async function hashed(name, extension, content) {
  const hash = createHash("sha256").update(content).digest("hex").slice(0, 10);
  const file = `assets/${name}-${hash}.${extension}`;
  await writeFile(path.join(dist, file), content);
  return `/${file}`;
}

async function bundle(entry, options) {
  const result = await build({ ...common, ...options, entryPoints: [entry], write: false, outdir: dist });
  return result.outputFiles[0].contents;
}

async function copyPictures() {
  const urls = new Map();
  const folder = path.join(root, "public/img");
  for (const file of (await readdir(folder)).sort()) {
    const { name, ext } = path.parse(file);
    urls.set(`/img/${file}`, await hashed(name, ext.slice(1), await readFile(path.join(folder, file))));
  }
  return urls;
}

function rename(text, urls) {
  let out = text;
  for (const [from, to] of urls) out = out.replaceAll(from, to);
  return out;
}

await rm(dist, { recursive: true, force: true });
await mkdir(path.join(dist, "assets"), { recursive: true });
const pictures = await copyPictures();
const sizes = new Map();

for (const page of pages) {
  const script = rename(Buffer.from(await bundle(page.script, { format: "esm" })).toString("utf8"), pictures);
  const style = rename(Buffer.from(await bundle(page.style, { external: ["/img/*"] })).toString("utf8"), pictures);
  const html = rename(await readFile(path.join(root, page.html), "utf8"), pictures)
    .replace("{{script}}", await hashed(page.name, "js", script))
    .replace("{{style}}", await hashed(page.name, "css", style));
  await mkdir(path.dirname(path.join(dist, page.to)), { recursive: true });
  await writeFile(path.join(dist, page.to), html);
  sizes.set(page.name, [script, style, html].reduce((n, text) => n + gzipSync(text).length, 0));
}

const launcher = await bundle("src/widget/launcher.ts", { format: "iife" });
await writeFile(path.join(dist, "widget.js"), launcher);
sizes.set("launcher", gzipSync(launcher).length);
await cp(path.join(root, "public/favicon.svg"), path.join(dist, "favicon.svg"));

await rm(ops, { recursive: true, force: true });
await mkdir(ops);
const status = [
  ["status.js", await bundle("src/status/status.ts", { format: "esm" })], ["status.css", await bundle("src/status/status.css")],
  ["index.html", await readFile(path.join(root, "public/status.html"))],
];
for (const [name, content] of status) await writeFile(path.join(ops, name), content);
sizes.set("status", status.reduce((n, [, content]) => n + gzipSync(content).length, 0));

const sdk = await writeSDK(path.join(dist, "sdk"));
sizes.set("sdk", sdk);
for (const [name, bytes] of sizes) console.log(`${name.padEnd(10)} ${(bytes / 1024).toFixed(1)} KiB gz`);
const widget = sizes.get("launcher") + sizes.get("frame");
console.log(`widget     ${(widget / 1024).toFixed(1)} KiB gz of ${widgetBudget / 1024}`);
if (widget > widgetBudget || sdk > sdkBudget) process.exitCode = 1;
