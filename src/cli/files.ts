/** Files that a command is given and writes. */

import { mkdir, readFile, stat } from "node:fs/promises";
import { ArgumentError, FormatError, PanError } from "../errors";
import { parseJson } from "../io/json";
import { writeFileAtomic } from "../node/files";
import { PRIVATE } from "../node/secrets";

const ADVICE: Readonly<Record<string, string>> = {
  ENOENT: "nothing: check its name",
  EISDIR: "a folder: name a file in it",
  EACCES: "one that may not be read: check its permissions",
  EPERM: "one that may not be read: check its permissions",
  ENOTDIR: "a path through something that is no folder: check its name",
  ENAMETOOLONG: "a name that is too long",
  EEXIST: "a file in its place: name another folder",
  ELOOP: "links that lead in a circle: check where they point",
  ERR_FS_FILE_TOO_LARGE: "one of more than 2 GiB: save a network of that size in several files with an index",
};

const codeOf = (cause: unknown): string => (cause instanceof Error && "code" in cause ? String(cause.code) : "");

/** @throws ArgumentError saying what is at a path in the place of what was expected. */
function refuse(path: string, expected: string, cause: unknown): never {
  const advice = ADVICE[codeOf(cause)];
  if (cause instanceof PanError || advice === undefined) throw cause;
  throw new ArgumentError(`${path}: expected ${expected}, got ${advice}`, { cause });
}

/** The bytes of a file. @throws ArgumentError saying what is there instead. */
export async function readBytes(path: string): Promise<Uint8Array> {
  try {
    return new Uint8Array(await readFile(path));
  } catch (cause) {
    return refuse(path, "a file", cause);
  }
}

/** Makes a folder where none is. @throws ArgumentError saying what is there instead. */
export async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true });
  } catch (cause) {
    refuse(path, "a folder that can be made", cause);
  }
}

/** A file of text. @throws FormatError for bytes that are no UTF-8. */
export async function readText(path: string): Promise<string> {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(await readBytes(path));
  } catch (cause) {
    if (!(cause instanceof TypeError)) throw cause;
    throw new FormatError(`${path}: expected a text, got bytes that are no UTF-8`, { cause });
  }
}

/** Most characters of a JSON file that a command reads. */
const LONGEST = 2 ** 26;

/** @throws FormatError for what is no JSON. */
export const readJson = async (path: string): Promise<unknown> => parseJson(await readText(path), path, LONGEST);

/**
 * A root certificate, PEM or DER as it lies.
 * @returns text of PEM, or the bytes
 */
export async function readCertificate(path: string): Promise<string | Uint8Array> {
  const bytes = await readBytes(path);
  return bytes[0] === 0x30 ? bytes : new TextDecoder().decode(bytes);
}

/** @throws ArgumentError where a file would be lost. */
export async function expectFree(path: string, force: boolean): Promise<void> {
  if (force) return;
  const there = await stat(path).catch(() => null);
  if (there)
    throw new ArgumentError(`${path}: expected a name that is free, got one that is there: remove it, or give --force`);
}

/** Writes a file whole or not at all; a secret one is its owner's alone. */
export async function write(path: string, content: string | Uint8Array, { secret = false } = {}): Promise<void> {
  const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
  await writeFileAtomic(path, bytes, secret ? { mode: PRIVATE } : {});
}

/** What is written as a file of JSON. */
export const jsonText = (value: object): string => `${JSON.stringify(value, null, 2)}\n`;
