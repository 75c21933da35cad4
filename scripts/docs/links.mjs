/**
 * Links between Markdown files, which GitHub, npm and the site follow alike: relative to the file
 * that they are in, to a file of the repository, and to a heading of it.
 */
import { existsSync, readFileSync, statSync } from "node:fs";
import { posix } from "node:path";

const isForeign = (link) => /^([a-z][a-z\d+.-]*:|\/)/i.test(link);

/**
 * Where a link leads.
 * @param from the file that it is in, relative to the repository's root
 * @returns `path`, relative to the root, and `heading`, empty without one; null for addresses.
 */
export function target(from, link) {
  if (isForeign(link)) return null;
  const [path, heading = ""] = decodeURI(link).split("#");
  return { path: path === "" ? from : posix.normalize(posix.join(posix.dirname(from), path)), heading };
}

const withoutCode = (text) =>
  text.replace(/^(`{3,}|~{3,}).*?^\1/gms, "").replace(/`[^`\n]*`/g, (code) => "x".repeat(code.length));

/** All links and pictures of a Markdown text. */
export const linksOf = (text) =>
  [...withoutCode(text).matchAll(/\]\(([^()\s]+)(?:\s+"[^"]*")?\)/g)].map(([, link]) => link);

/** The headings of a Markdown text as GitHub names them in addresses. */
export function headingsOf(text) {
  const seen = new Map();
  const titles = [...text.replace(/^(`{3,}|~{3,}).*?^\1/gms, "").matchAll(/^#{1,6} +(.*?) *#*$/gm)];
  return titles.map(([, title]) => {
    const name = title
      .replace(/\[([^\]]*)\]\([^)]*\)/g, "$1")
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, "")
      .replace(/\s/g, "-");
    const count = seen.get(name) ?? 0;
    seen.set(name, count + 1);
    return count === 0 ? name : `${name}-${count}`;
  });
}

/**
 * What is wrong with a link.
 * @param root folder of the repository
 * @returns a sentence, or null.
 */
export function faultOf(root, from, link) {
  const to = target(from, link);
  if (to === null) return null;
  if (to.path.startsWith("..")) return `${from}: ${link} leads out of the repository`;
  const file = posix.join(root, to.path);
  if (!existsSync(file)) return `${from}: ${link} leads to nothing`;
  if (to.heading === "" || !to.path.endsWith(".md") || statSync(file).isDirectory()) return null;
  if (headingsOf(readFileSync(file, "utf8")).includes(to.heading)) return null;
  return `${from}: ${link}: ${to.path} has no such heading`;
}
