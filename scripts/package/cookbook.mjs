/**
 * The recipe for Vite, as docs/guide/cookbook.md has it: its files are written into a project that
 * has the package installed, and built.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";
import { build } from "vite";
import { projectRoot } from "../setup.mjs";

/** Blocks of code by the file that the comment in front of each names. */
function files() {
  const text = readFileSync(join(projectRoot, "docs", "guide", "cookbook.md"), "utf8");
  const blocks = [...text.matchAll(/^<!-- vite: (\S+) -->\s*^```\w+\n(.*?)^```$/gms)];
  return Object.fromEntries(blocks.map(([, name, code]) => [name, code]));
}

/**
 * @throws Error when Vite fails or warns, or the page, its worker or what they are for is missing.
 */
export async function checkVite(project) {
  const root = join(project, "vite");
  mkdirSync(root);
  const sources = { "index.html": '<!doctype html><script type="module" src="/all.ts"></script>\n', ...files() };
  const pages = Object.keys(sources).filter((name) => ["main.ts", "page.ts"].includes(name));
  if (pages.length !== 2 || !sources["worker.ts"] || !sources["vite.config.ts"])
    throw new Error(`cookbook: files for Vite are missing, there are ${Object.keys(sources).join(", ")}`);
  sources["all.ts"] = pages.map((name) => `import "./${name.replace(".ts", "")}";\n`).join("");
  for (const [name, text] of Object.entries(sources)) writeFileSync(join(root, name), text);
  const warnings = [];
  const logger = { hasWarned: false, info() {}, clearScreen() {}, hasErrorLogged: () => false };
  for (const kind of ["warn", "warnOnce", "error"]) logger[kind] = (message) => warnings.push(message);
  await build({ root, customLogger: logger, build: { outDir: "built", emptyOutDir: true } });
  if (warnings.length > 0) throw new Error(`Vite warns: ${warnings.join("\n")}`);
  const assets = join(root, "built", "assets");
  const scripts = Object.fromEntries(
    readdirSync(assets).map((name) => [name, readFileSync(join(assets, name), "utf8")]),
  );
  const holding = (marker) => Object.keys(scripts).filter((name) => scripts[name].includes(marker));
  const [training, verifying] = [holding("createComputePipelineAsync"), holding("pan-claim-2")];
  if (training.length !== 1 || verifying.length !== 1 || !/^worker-/.test(verifying[0]))
    throw new Error(
      `Vite: devices are in ${training.join(", ") || "no file"}, claims in ${verifying.join(", ") || "none"}`,
    );
  const imports = Object.values(scripts).flatMap((script) => ts.preProcessFile(script, true, true).importedFiles);
  const bare = imports.map(({ fileName }) => fileName).filter((name) => !/^[./]/.test(name));
  if (bare.length > 0) throw new Error(`Vite: left to be imported, as no browser can: ${bare.join(", ")}`);
  console.log(`cookbook: Vite builds the page and its worker (${Object.keys(scripts).join(", ")})`);
}
