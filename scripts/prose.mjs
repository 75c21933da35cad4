/**
 * Keeps comments and Markdown within 100 columns:
 * `node scripts/prose.mjs [--write] [files and folders]`.
 *
 * Lists the lines that are too long and exits 1 if there are any; with `--write` wraps the
 * paragraphs they are in. Without files, it takes all TypeScript, JavaScript and Markdown files
 * that Git knows. Left alone are code, tables, headings, HTML, formulas (four spaces more than the
 * text around them), `@example`, columns set by hand, and words that cannot be broken.
 */
import { spawnSync } from "node:child_process";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { extname, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { wrapComments } from "./prose/comments.mjs";
import { reflow, WIDTH } from "./prose/wrap.mjs";

const PATTERNS = ["*.ts", "*.mts", "*.mjs", "*.cjs", "*.js", "*.md", ":!test/golden", ":!examples/pretrained/*/*"];
const KINDS = /\.(ts|mts|mjs|cjs|js|md)$/;

/**
 * Wraps a Markdown file.
 * @returns `text`, wrapped, and `long`, the numbers of the lines that were too long, from 1.
 */
export function wrapMarkdown(text) {
  const { lines, long } = reflow(text.split("\n"), { markdown: true });
  return { text: lines.join("\n"), long: long.map((i) => i + 1) };
}

export const wrapFile = (text, name) => (extname(name) === ".md" ? wrapMarkdown(text) : wrapComments(text, name));

/** Files of the kinds that are wrapped, those below some folders or all. */
function knownFiles(folders = []) {
  const patterns = folders.length > 0 ? folders : PATTERNS;
  const git = spawnSync("git", ["ls-files", "-z", "-co", "--exclude-standard", "--deduplicate", "--", ...patterns], {
    encoding: "utf8",
  });
  if (git.status !== 0)
    throw new Error(`git ls-files failed: ${git.error?.message ?? git.stderr}. Name the files instead.`);
  return git.stdout.split("\0").filter((path) => KINDS.test(path));
}

/** Files as they are given, folders as the files in them. */
const filesOf = (named) =>
  named.length === 0 ? knownFiles() : named.flatMap((at) => (statSync(at).isDirectory() ? knownFiles([at]) : [at]));

function main(given) {
  const write = given.includes("--write");
  const named = given.filter((argument) => argument !== "--write");
  let found = 0;
  for (const path of filesOf(named)) {
    const before = readFileSync(path, "utf8");
    const { text, long } = wrapFile(before, path);
    found += long.length;
    if (write && text !== before) writeFileSync(path, text);
    if (!write) for (const line of long) console.log(`${path}:${line}: more than ${WIDTH} columns of prose`);
  }
  if (write) console.log(`${found} long lines wrapped`);
  else if (found > 0) console.log(`${found} long lines: \`node scripts/prose.mjs --write\` wraps them`);
  if (!write && found > 0) process.exitCode = 1;
}

if (process.argv[1] && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) main(process.argv.slice(2));
