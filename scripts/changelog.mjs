/**
 * Part of `npm version`: what is under "Unreleased" in CHANGELOG.md becomes the section of the new
 * version, and an empty "Unreleased" stands above it.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { projectRoot } from "./setup.mjs";

const HEADING = "## Unreleased\n";

/**
 * The changelog behind a release.
 * @throws Error when nothing is written under "Unreleased", or the version has a section already.
 */
export function released(text, version, date) {
  const start = text.indexOf(`\n${HEADING}`) + 1;
  if (start === 0) throw new Error(`CHANGELOG.md: expected a heading "${HEADING.trim()}"`);
  const body = text.slice(start + HEADING.length);
  if (body.split(/^## /m)[0].trim() === "") throw new Error('CHANGELOG.md: nothing is said under "Unreleased"');
  if (new RegExp(`^## ${version.replace(/\./g, "\\.")}( |$)`, "m").test(body))
    throw new Error(`CHANGELOG.md: ${version} has a section already`);
  return `${text.slice(0, start)}${HEADING}\n## ${version} (${date})\n${body}`;
}

if (process.argv[1] && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const file = join(projectRoot, "CHANGELOG.md");
  const { version } = JSON.parse(readFileSync(join(projectRoot, "package.json"), "utf8"));
  try {
    writeFileSync(file, released(readFileSync(file, "utf8"), version, new Date().toISOString().slice(0, 10)));
  } catch (error) {
    console.error(error.message);
    process.exitCode = 1;
  }
}
