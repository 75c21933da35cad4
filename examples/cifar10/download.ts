/**
 * CIFAR-10 from its official address onto the disk, where `loadCifar10` of `@pan/core/node` reads
 * it.
 */
import { createHash, type Hash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, open, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { createGunzip } from "node:zlib";
import { ArgumentError, FormatError, PanError } from "@pan/core";
import { writeFileAtomic } from "@pan/core/node";
import { parseTar } from "nanotar";

const OFFICIAL = {
  url: "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
  md5: "c32a1d4ab5d03f1284b67883e8d87530",
};
/** The folder inside the archive, and the files in it that the reader needs. */
const FOLDER = "cifar-10-batches-bin";
const NEEDED = [...[1, 2, 3, 4, 5].map((i) => `data_batch_${i}.bin`), "test_batch.bin"];
/** The archive as far as it has come. */
const PART = "cifar-10-binary.tar.gz.part";
/**
 * Twice the official archive, and twice what is in it: more is not CIFAR-10, and stops where it is
 * noticed.
 */
const MOST = { archive: 2 * 170_498_071, unpacked: 2 * 184_380_000 };
/** Milliseconds without a byte after which a connection counts as lost. */
const PATIENCE = 60_000;
/** Algorithms by the number of hexadecimal digits of their digest. */
const ALGORITHMS: Readonly<Record<number, string>> = { 32: "md5", 64: "sha256" };

/** Bytes of the archive on the disk so far, and in all, where the server tells. */
export interface DownloadProgress {
  received: number;
  total: number | null;
}

/** Options of {@link downloadCifar10}. */
export interface DownloadOptions {
  /** Where the archive is, when not at its official address: `http:` or `https:`. */
  url?: string;
  /**
   * Expected checksum of the archive in hexadecimal: SHA-256 (64 digits) or MD5 (32). Default: the
   * MD5 that the authors publish.
   */
  sha?: string;
  /** Milliseconds without a byte after which the connection counts as lost (default one minute). */
  patience?: number;
  /**
   * Told at the start and after every piece; `received` never goes back, and after a resumed start
   * begins where that had ended.
   */
  onProgress?: (progress: DownloadProgress) => void;
}

/**
 * Downloads the binary version of CIFAR-10 (162 MiB) into a folder and unpacks it there, unless it
 * is there already.
 *
 * What has arrived is kept in `cifar-10-binary.tar.gz.part`, so that a later call goes on where an
 * interrupted one ended, if the server can do that. Nothing is unpacked before the checksum is
 * right. The files appear all at once in `cifar-10-batches-bin`; where that folder exists, those it
 * lacks are added and the others are left as they are. One call a folder at a time.
 *
 * Source: https://www.cs.toronto.edu/~kriz/cifar.html
 *
 * @param directory folder to download into; made if it does not exist
 * @returns the folder that holds the six files: `directory` itself, if they were there, or
 * `directory/cifar-10-batches-bin`
 * @throws ArgumentError if `url` or `sha` is not one
 * @throws FormatError if the checksum is wrong, or the archive is damaged, lacks files, has paths
 * that lead outside, or is more than twice as large as CIFAR-10, packed or unpacked; it is deleted
 * @throws PanError if the server cannot be reached, refuses, stops midway or falls silent, or the
 * disk fails: what has arrived is kept
 */
export async function downloadCifar10(directory: string, options: DownloadOptions = {}): Promise<string> {
  const url = options.url ?? OFFICIAL.url;
  const expected = (options.sha ?? OFFICIAL.md5).toLowerCase();
  const patience = options.patience ?? PATIENCE;
  checkArguments(url, expected, patience);
  const folder = join(directory, FOLDER);
  for (const place of [directory, folder]) if ((await missingIn(place)).length === 0) return place;
  const part = join(directory, PART);
  try {
    await mkdir(directory, { recursive: true });
    await fetchArchive(url, part, { expected, patience, onProgress: options.onProgress ?? (() => {}) });
    await unpack(part, folder);
    await rm(part);
  } catch (cause) {
    // What the archive itself has wrong, another try would find again.
    if (cause instanceof FormatError) await rm(part, { force: true });
    if (cause instanceof PanError || !(cause instanceof Error && "syscall" in cause)) throw cause;
    throw new PanError(
      `CIFAR-10: the disk refuses: ${cause.message}. Check that ${directory} is a folder you may write to, with 400 MB free, ` +
        "and run this again; what has been downloaded is kept.",
      { cause },
    );
  }
  return folder;
}

function checkArguments(url: string, digest: string, patience: number): void {
  if (!(patience > 0 && patience < 2 ** 31))
    throw new ArgumentError(
      `downloadCifar10: expected \`patience\` to be a number of milliseconds above 0, found ${patience}`,
    );
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) {
    throw new ArgumentError(
      `downloadCifar10: expected \`url\` to be an http or https address, found ${JSON.stringify(url)}`,
    );
  }
  if (!/^[0-9a-f]*$/.test(digest) || !(digest.length in ALGORITHMS)) {
    throw new ArgumentError(
      "downloadCifar10: expected `sha` to be a checksum in hexadecimal, 64 digits for SHA-256 or 32 for MD5, " +
        `found ${JSON.stringify(digest)}`,
    );
  }
}

async function missingIn(folder: string): Promise<string[]> {
  const present = await Promise.all(NEEDED.map((name) => exists(join(folder, name))));
  return NEEDED.filter((_, i) => !present[i]);
}

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );

/** Completes the part file and checks it; one that is whole already needs no server. */
async function fetchArchive(
  url: string,
  part: string,
  { expected, patience, onProgress }: Required<Pick<DownloadOptions, "patience" | "onProgress">> & { expected: string },
): Promise<void> {
  const algorithm = ALGORITHMS[expected.length]!;
  const kept = await hashFile(part, algorithm);
  if (kept.hash.copy().digest("hex") === expected) {
    onProgress({ received: kept.size, total: kept.size });
    return;
  }
  const { response, start, total } = await request(url, kept.size, patience);
  const hash = start > 0 ? kept.hash : createHash(algorithm);
  let received = start;
  const handle = await open(part, start > 0 ? "a" : "w");
  const reader = response.body!.getReader();
  try {
    onProgress({ received, total });
    for (;;) {
      const { done, value } = await inTime(reader.read(), patience).catch((cause: unknown) => {
        throw lost(url, part, { received, total }, cause);
      });
      if (done) break;
      if (received + value.length > Math.min(MOST.archive, total ?? MOST.archive)) throw endless(url);
      await handle.appendFile(value);
      hash.update(value);
      received += value.length;
      onProgress({ received, total });
    }
  } finally {
    // A connection left open would keep the process alive.
    await reader.cancel().catch(() => {});
    await handle.close();
  }
  if (total !== null && received < total) throw lost(url, part, { received, total });
  const found = hash.digest("hex");
  if (found !== expected) {
    throw new FormatError(
      `CIFAR-10: expected ${url} to have the ${algorithm.toUpperCase()} checksum ${expected}, found ${found} (${received} bytes). ` +
        "It was damaged on its way, or is another file, and has been deleted. Run this again to download it anew, or check the address.",
    );
  }
}

/** @throws Error when a promise is not kept in time. */
async function inTime<T>(promise: Promise<T>, patience: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`nothing came for ${patience / 1000} s`)), patience);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

const endless = (url: string): FormatError =>
  new FormatError(
    `CIFAR-10: expected an archive of ${Math.round(MOST.archive / 2e6)} MB from ${url}, but more came than it has or says to have. ` +
      "It is another file, and has been deleted. Check the address.",
  );

async function hashFile(path: string, algorithm: string): Promise<{ hash: Hash; size: number }> {
  const hash = createHash(algorithm);
  let size = 0;
  if (await exists(path)) {
    for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
      hash.update(chunk);
      size += chunk.length;
    }
  }
  return { hash, size };
}

/**
 * Asks for the archive from byte `wanted` on. `start` is where the answer begins: 0 from a server
 * that cannot go on there.
 */
async function request(
  url: string,
  wanted: number,
  patience: number,
): Promise<{ response: Response; start: number; total: number | null }> {
  // Compressed once more on its way, the archive would lose its length, and pieces of it would not
  // fit.
  const headers: Record<string, string> = { "accept-encoding": "identity" };
  if (wanted > 0) headers["range"] = `bytes=${wanted}-`;
  const silent = new AbortController();
  const response = await inTime(fetch(url, { headers, signal: silent.signal }), patience).catch((cause: unknown) => {
    silent.abort();
    throw new PanError(`CIFAR-10: ${url} could not be reached: ${reason(cause)}. ${BY_HAND}`, { cause });
  });
  const { status } = response;
  const encoding = response.headers.get("content-encoding") ?? "identity";
  if (wanted > 0 && (status === 206 || status === 416)) {
    const [, first, total] = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(response.headers.get("content-range") ?? "") ?? [];
    if (status === 206 && Number(first) === wanted && encoding === "identity") {
      return { response, start: wanted, total: total === "*" ? null : Number(total) };
    }
    await response.body?.cancel();
    return request(url, 0, patience);
  }
  const page = response.headers.get("content-type")?.startsWith("text/html") ?? false;
  if (status !== 200 || page || encoding !== "identity") {
    await response.body?.cancel();
    const ok = page ? "a web page" : `the archive encoded as ${encoding}`;
    const came = status === 200 ? ok : `HTTP ${status} ${response.statusText}`.trim();
    const advice = adviceFor(status, page);
    throw new PanError(`CIFAR-10: expected the archive as it is from ${url}, but ${came} came. ${advice}`);
  }
  const length = response.headers.get("content-length");
  return { response, start: 0, total: length === null ? null : Number(length) };
}

const BY_HAND =
  "Check the network and run this again, or download the archive by other means (Node's fetch passes by the proxies that " +
  `the environment names) and unpack it, so that the folder has ${FOLDER} in it.`;

function adviceFor(status: number, page: boolean): string {
  if (status === 200 && page)
    return "Perhaps the network asks you to sign in first: open the address in a browser, then run this again.";
  if (status === 429 || status >= 500) return "The trouble is the server's: run this again later.";
  if (status === 404 || status === 410)
    return "Nothing is at that address: check it, or leave out `url` for the official one.";
  return BY_HAND;
}

/** `fetch` says only "fetch failed"; what has happened is in the cause. */
function reason(error: unknown): string {
  const { message, cause } = error as Error;
  if (!(cause instanceof Error)) return message;
  const code = "code" in cause ? String(cause.code) : "";
  return cause.message.includes(code) ? cause.message : `${cause.message} (${code})`.trim();
}

function lost(url: string, part: string, { received, total }: DownloadProgress, cause?: unknown): PanError {
  const why = cause === undefined ? "" : `: ${reason(cause)}`;
  return new PanError(
    `CIFAR-10: the connection to ${url} was lost after ${received} of ${total ?? "unknown"} bytes${why}. ` +
      `They are kept in ${part}: run this again to go on from there.`,
    { cause },
  );
}

/**
 * Unpacks into a folder beside the target, which then takes the target's name; into an existing
 * target go the files it lacks.
 */
async function unpack(archive: string, target: string): Promise<void> {
  const files = await readArchive(archive);
  const staging = `${target}.part`;
  await rm(staging, { recursive: true, force: true });
  try {
    await mkdir(staging);
    for (const [name, bytes] of files) await writeFileAtomic(join(staging, name), bytes);
    if (!(await exists(target))) return await rename(staging, target);
    for (const name of files.keys()) {
      if (!(await exists(join(target, name)))) await rename(join(staging, name), join(target, name));
    }
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
}

/** The plain files of the archive's folder, by their names in it. */
async function readArchive(path: string): Promise<Map<string, Uint8Array>> {
  const files = new Map<string, Uint8Array>();
  try {
    const tar = await unzip(path);
    for (const name of headerNames(new Uint8Array(tar))) refuseOutside(name);
    for (const { name, type, data, attrs } of parseTar(tar)) {
      // Names too long for their header come in a record before it.
      refuseOutside((attrs as { path?: string }).path ?? "");
      const inFolder = /^(?:\.\/)?([^/]+)\/([^/]+)$/.exec(name);
      if (type === "file" && inFolder?.[1] === FOLDER) files.set(inFolder[2]!, data ?? new Uint8Array(0));
    }
  } catch (cause) {
    if (cause instanceof PanError || (cause instanceof Error && "syscall" in cause)) throw cause;
    throw new FormatError(
      `CIFAR-10: expected a tar.gz archive, but what came cannot be unpacked (${(cause as Error).message}). Check the address.`,
      { cause },
    );
  }
  const missing = NEEDED.filter((name) => !files.has(name));
  if (missing.length > 0) {
    throw new FormatError(
      `CIFAR-10: expected the archive to have ${NEEDED.join(", ")} in ${FOLDER}; missing: ${missing.join(", ")}. Check the address.`,
    );
  }
  return files;
}

async function unzip(path: string): Promise<ArrayBuffer> {
  const file = createReadStream(path);
  const unzipped = createGunzip({ chunkSize: 1 << 20 });
  file.on("error", (error) => unzipped.destroy(error));
  try {
    return await collect(file.pipe(unzipped));
  } finally {
    file.destroy();
  }
}

/** What is unpacked, as long as it can be CIFAR-10. */
async function collect(source: AsyncIterable<Uint8Array>): Promise<ArrayBuffer> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of source) {
    size += chunk.length;
    if (size > MOST.unpacked)
      throw new FormatError(
        `CIFAR-10: expected ${Math.round(MOST.unpacked / 2e6)} MB in the archive, but it unpacks to more than twice that; nothing was unpacked. Do not trust this archive: check the address.`,
      );
    chunks.push(chunk);
  }
  const whole = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole.buffer;
}

/**
 * Names as the archive spells them: the parser would bend `../x` and `/x` into `x` without a word.
 */
function* headerNames(tar: Uint8Array): Generator<string> {
  const text = (at: number, length: number) => new TextDecoder().decode(tar.subarray(at, at + length)).split("\0")[0]!;
  for (let at = 0; at + 512 <= tar.length && tar[at] !== 0; ) {
    yield text(at, 100);
    const size = Number.parseInt(text(at + 124, 12), 8);
    if (!(size >= 0))
      throw new FormatError("CIFAR-10: expected a tar archive, found an entry without a size. Check the address.");
    at += 512 + Math.ceil(size / 512) * 512;
  }
}

function refuseOutside(name: string): void {
  if (!/^([/\\]|[a-z]:)/i.test(name) && !name.split(/[/\\]/).includes("..")) return;
  throw new FormatError(
    `CIFAR-10: expected paths inside the archive's folder, found ${JSON.stringify(name)}, which leads outside; ` +
      "nothing was unpacked. Do not trust this archive: check the address.",
  );
}
