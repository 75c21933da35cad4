/**
 * Builds the documentation as static files in out/docs: `npm run docs`, and
 * `npm run docs -- --serve` to look at it. What only this needs is a package of its own, docs/site,
 * and installed here.
 */
import { spawnSync } from "node:child_process";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { isInstalled, projectRoot } from "./setup.mjs";

const site = join(projectRoot, "docs", "site");

function run(command, args, cwd = projectRoot) {
  const { status, error } = spawnSync(command, args, { cwd, stdio: "inherit", shell: process.platform === "win32" });
  if (status === 0) return;
  console.error(
    `docs: \`${[command, ...args].join(" ")}\` failed (${error?.message ?? status}); its own words are above.`,
  );
  process.exit(1);
}
const tool = (path, args) => run(process.execPath, [join(site, "node_modules", path), ...args]);

const given = process.argv.slice(2);
if (given.some((argument) => argument !== "--serve")) {
  console.error(`Expected nothing or --serve; got ${given.join(" ")}.`);
  process.exit(2);
}
if (!isInstalled(site)) run("npm", ["ci", "--no-audit", "--no-fund"], site);
rmSync(join(projectRoot, "docs", "api"), { recursive: true, force: true });
tool("typedoc/bin/typedoc", ["--options", "docs/site/typedoc.mjs"]);
tool("vitepress/bin/vitepress.js", ["build", "docs/site"]);
console.log("docs: out/docs has the site");
if (given.includes("--serve")) tool("vitepress/bin/vitepress.js", ["preview", "docs/site"]);
