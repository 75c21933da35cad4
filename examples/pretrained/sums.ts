/**
 * Digests of a folder's files, in a file that `sha256sum -c` reads: what is in the folder is what
 * was put there, or is refused.
 */
import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { FormatError } from "@pan/core";
import { saveText } from "../files";

const SUMS = "SHA256SUMS";

const digest = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

/** Names of a folder's files; folders in it, hidden files and the digests are left out. */
async function filesOf(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  const files = entries.filter((f) => f.isFile() && f.name !== SUMS && !f.name.startsWith("."));
  return files.map((f) => f.name).sort();
}

/** Writes down what all files of a folder are. */
export async function writeSums(folder: string): Promise<void> {
  const lines = (await filesOf(folder)).map(async (name) => `${digest(await readFile(join(folder, name)))}  ${name}\n`);
  await saveText(join(folder, SUMS), (await Promise.all(lines)).join(""));
}

/** What a folder says of its files. */
async function readSums(folder: string): Promise<Map<string, string> | null> {
  const text = await readFile(join(folder, SUMS), "utf8").catch(() => null);
  if (text === null) return null;
  const sums = new Map<string, string>();
  for (const line of text.split("\n")) {
    if (line === "") continue;
    const [, sha256, name] = /^([\da-f]{64}) [ *]([^/\\]+)$/.exec(line) ?? [];
    if (!sha256 || !name)
      throw new FormatError(`${join(folder, SUMS)}: lines as sha256sum prints them expected, found "${line}"`);
    sums.set(name, sha256);
  }
  return sums;
}

/**
 * Compares a folder's files with what it says of them: all of them, but hidden ones.
 * @returns name → SHA-256; null for a folder that says nothing
 * @throws FormatError naming the file that is missing, another, or there unnamed, and for lines
 * that are none of `sha256sum`'s.
 */
export async function checkSums(folder: string): Promise<ReadonlyMap<string, string> | null> {
  const sums = await readSums(folder);
  if (!sums) return null;
  const stray = (await filesOf(folder)).find((name) => !sums.has(name));
  if (stray !== undefined)
    throw new FormatError(`${join(folder, stray)}: ${SUMS} does not name it: check the folder out anew`);
  for (const [name, expected] of sums) {
    const path = join(folder, name);
    const bytes = await readFile(path).catch((cause: unknown) => {
      throw new FormatError(`${path}: ${SUMS} names it, and it cannot be read: check the folder out anew`, { cause });
    });
    const found = digest(bytes);
    if (found !== expected)
      throw new FormatError(
        `${path}: not the file that ${SUMS} names: SHA-256 ${expected} expected, found ${found}: check it out anew`,
      );
  }
  return sums;
}
