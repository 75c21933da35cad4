/**
 * Decoded pictures in one file, so that they are decoded once: their planes one after the other,
 * then what is to be known of them as JSON, then the length of that JSON in four bytes and a mark.
 * A file of other pictures or other options, or one that is damaged, is as good as none.
 */
import { createHash } from "node:crypto";
import { close, open as openFile, read as readFile } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { promisify } from "node:util";
import type { SkippedPicture } from "../data/picture-set";
import { FormatError } from "../errors";
import { clip, isPlain } from "../io/shown";
import { replaceFile } from "./files";

const MARK = "panpics1";
const FOOT = 4 + MARK.length;
/**
 * Longer JSON is none of ours: a name has at most a few hundred bytes, a folder a million files.
 */
const MOST = 2 ** 30;

/** What the file says of its pictures. */
interface Facts {
  /** Of the files and options that it was made of. */
  readonly key: string;
  readonly count: number;
  readonly skipped: readonly SkippedPicture[];
  /** SHA-256 of all planes. */
  readonly sha256: string;
}

/** Says what files and options come to. */
export const keyOf = (parts: unknown): string => createHash("sha256").update(JSON.stringify(parts)).digest("hex");

/**
 * What a cache says, if it is one of this key with pictures of `size` bytes.
 *
 * @returns undefined for any other file, and for none
 */
export async function cacheFacts(path: string, key: string, size: number): Promise<Facts | undefined> {
  const handle = await open(path, "r").catch(() => undefined);
  try {
    return handle && (await factsIn(handle, key, size));
  } catch {
    return undefined;
  } finally {
    await handle?.close();
  }
}

async function factsIn(handle: FileHandle, key: string, size: number): Promise<Facts | undefined> {
  const found = await handle.stat();
  if (!found.isFile() || found.size < FOOT) return undefined;
  const foot = Buffer.alloc(FOOT);
  await handle.read(foot, 0, FOOT, found.size - FOOT);
  const length = foot.readUInt32LE(0);
  if (foot.toString("latin1", 4) !== MARK || length > MOST || length + FOOT > found.size) return undefined;
  const json = Buffer.alloc(length);
  await handle.read(json, 0, length, found.size - FOOT - length);
  const facts: unknown = JSON.parse(json.toString("utf8"));
  if (!isPlain(facts) || facts["key"] !== key || typeof facts["sha256"] !== "string") return undefined;
  const { count, skipped } = facts;
  if (count !== (found.size - FOOT - length) / size || !Array.isArray(skipped)) return undefined;
  const isSkipped = (one: unknown) => isPlain(one) && typeof one["file"] === "string" && typeof one["why"] === "string";
  return skipped.every(isSkipped) ? (facts as unknown as Facts) : undefined;
}

/**
 * Writes a cache, piece by piece and atomically.
 *
 * @param write is given a function that appends the planes of one picture; it returns what was
 *   skipped
 */
export async function writeCache(
  path: string,
  key: string,
  write: (append: (planes: Uint8Array) => Promise<void>) => Promise<readonly SkippedPicture[]>,
): Promise<Facts> {
  let facts: Facts | undefined;
  await replaceFile(path, async (handle) => {
    const hash = createHash("sha256");
    let count = 0;
    const skipped = await write(async (planes) => {
      hash.update(planes);
      count++;
      await handle.writeFile(planes);
    });
    facts = { key, count, skipped, sha256: hash.digest("hex") };
    const json = Buffer.from(JSON.stringify(facts));
    const foot = Buffer.alloc(FOOT);
    foot.writeUInt32LE(json.length, 0);
    foot.write(MARK, 4, "latin1");
    await handle.writeFile(Buffer.concat([json, foot]));
  });
  return facts!;
}

/**
 * All planes of a cache.
 *
 * @returns undefined if they are not those that were written
 */
export async function readCache(path: string, { sha256 }: Facts, into: Uint8Array): Promise<Uint8Array | undefined> {
  const handle = await open(path, "r").catch(() => undefined);
  try {
    let at = 0;
    while (handle && at < into.length) {
      const { bytesRead } = await handle.read(into, at, Math.min(2 ** 30, into.length - at), at);
      if (bytesRead === 0) return undefined;
      at += bytesRead;
    }
  } catch {
    return undefined;
  } finally {
    await handle?.close();
  }
  return createHash("sha256").update(into).digest("hex") === sha256 ? into : undefined;
}

const descriptorOf = promisify(openFile);
const readAt = promisify(readFile);
/** Closes a stream's file when nobody can read from it any more. */
const unused = new FinalizationRegistry<number>((descriptor) => close(descriptor, () => {}));

/**
 * Reads single pictures of `size` bytes from a cache. The file stays open, so that one that
 * replaces it later does not mix in.
 */
export async function cacheReader(
  path: string,
  size: number,
): Promise<(index: number, out: Uint8Array) => Promise<void>> {
  const descriptor = await descriptorOf(path, "r");
  const read = async (index: number, out: Uint8Array): Promise<void> => {
    const { bytesRead } = await readAt(descriptor, out, 0, size, index * size);
    if (bytesRead === size) return;
    throw new FormatError(
      `${clip(path, 300)}: the cache ends in picture ${index}; remove it and load the folder again`,
    );
  };
  unused.register(read, descriptor);
  return read;
}
