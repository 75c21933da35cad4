import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { createTar, createTarGzip } from "nanotar";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type DownloadOptions, type DownloadProgress, downloadCifar10 } from "../../examples/cifar10/download";
import { ArgumentError, FormatError, PanError } from "../../src/errors";
import { loadCifar10 } from "../../src/node/cifar";

const FOLDER = "cifar-10-batches-bin";
const NAMES = [...[1, 2, 3, 4, 5].map((i) => `data_batch_${i}.bin`), "test_batch.bin"];

/**
 * Three records whose pixels no compressor shortens, so that the archive has a middle worth
 * cutting.
 */
function batch(seed: number): Uint8Array {
  let state = seed + 1;
  return Uint8Array.from({ length: 3 * 3073 }, (_, at) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return at % 3073 === 0 ? seed : state >>> 24;
  });
}

const digest = (bytes: Uint8Array, algorithm = "sha256") => createHash(algorithm).update(bytes).digest("hex");
const batches = NAMES.map((name, i) => ({ name: `${FOLDER}/${name}`, data: batch(i) }));
let archive: Uint8Array;

/** What the server does with the next requests, and what it was asked. */
let answer: (request: IncomingMessage, response: ServerResponse) => void;
let requests: { range: string | undefined }[];
/** Bytes of the archive in the last answer of {@link serve}. */
let sent: number;
let server: Server;
let url: string;

beforeAll(async () => {
  archive = await createTarGzip([
    { name: `${FOLDER}/` },
    ...batches,
    { name: `${FOLDER}/readme.html`, data: "read me" },
  ]);
  server = createServer((request, response) => {
    requests.push({ range: request.headers.range });
    answer(request, response);
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/cifar.tar.gz`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

let folder: string;
let part: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "pan-download-"));
  part = join(folder, "cifar-10-binary.tar.gz.part");
  requests = [];
  answer = serve();
});
afterEach(() => rm(folder, { recursive: true }));

/** Serves bytes as files are served, with ranges. */
const serve =
  (bytes: Uint8Array = archive) =>
  (request: IncomingMessage, response: ServerResponse) => {
    const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? 0);
    const size = bytes.length;
    if (from >= size) return response.writeHead(416, { "content-range": `bytes */${size}` }).end();
    const range = from > 0 ? { "content-range": `bytes ${from}-${size - 1}/${size}` } : {};
    sent = size - from;
    response.writeHead(from > 0 ? 206 : 200, { "content-length": sent, ...range }).end(bytes.subarray(from));
  };

/** Serves all bytes whatever is asked. */
const serveWhole = (_: IncomingMessage, response: ServerResponse) =>
  response.writeHead(200, { "content-length": archive.length }).end(archive);

const download = (options: DownloadOptions = {}, directory = folder) =>
  downloadCifar10(directory, { url, sha: digest(archive), ...options });

async function failure(options: DownloadOptions = {}, directory = folder): Promise<PanError> {
  const error = await download(options, directory).catch((e: unknown) => e);
  expect(error).toBeInstanceOf(PanError);
  return error as PanError;
}

async function expectWhole(): Promise<void> {
  expect(await readdir(folder)).toEqual([FOLDER]);
  const { train, test } = await loadCifar10(folder);
  expect([...train.labels]).toEqual([0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4]);
  expect([...test.labels]).toEqual([5, 5, 5]);
  expect(test.images[3071]).toBe(batch(5)[3072]);
}

/**
 * Begins a download whose connection breaks after about half of the archive; says how much of it is
 * kept.
 */
async function cutHalfway(): Promise<{ kept: number; error: PanError }> {
  const half = archive.length >> 1;
  let connection: ServerResponse;
  answer = (_, response) => {
    connection = response.writeHead(200, { "content-length": archive.length });
    connection.write(archive.subarray(0, half));
  };
  // Only when the half has arrived: an earlier break could overtake it.
  const error = await failure({ onProgress: ({ received }) => received === half && connection.destroy() });
  return { kept: half, error };
}

describe("downloadCifar10", () => {
  it("downloads, unpacks and leaves nothing else behind", async () => {
    expect(await download()).toBe(join(folder, FOLDER));
    await expectWhole();
    expect((await readdir(join(folder, FOLDER))).sort()).toEqual([...NAMES, "readme.html"].sort());
    expect(requests).toEqual([{ range: undefined }]);
  });

  it("makes the folder, and takes an MD5 in capitals", async () => {
    const inside = join(folder, "a", "b");
    await download({ sha: digest(archive, "md5").toUpperCase() }, inside);
    expect(await readdir(inside)).toEqual([FOLDER]);
  });

  it("expects the official archive unless told otherwise", async () => {
    const error = await downloadCifar10(folder, { url }).catch((e: unknown) => e);
    expect((error as Error).message).toContain("MD5 checksum c32a1d4ab5d03f1284b67883e8d87530");
  });

  it("tells its progress, rising to the total", async () => {
    const told: DownloadProgress[] = [];
    await download({ onProgress: (progress) => told.push(progress) });
    const received = told.map((progress) => progress.received);
    expect(received[0]).toBe(0);
    expect(received.at(-1)).toBe(archive.length);
    expect(received).toEqual([...received].sort((a, b) => a - b));
    expect(new Set(told.map((progress) => progress.total))).toEqual(new Set([archive.length]));
  });

  it("does without a length", async () => {
    answer = (_, response) => response.writeHead(200).end(archive);
    const told: DownloadProgress[] = [];
    await download({ onProgress: (progress) => told.push(progress) });
    await expectWhole();
    expect(told.at(-1)).toEqual({ received: archive.length, total: null });
  });

  it.each([
    ["in the archive's folder", FOLDER],
    ["in the directory itself", "."],
  ])("asks for nothing when the files are there, %s", async (_, place) => {
    await mkdir(join(folder, place), { recursive: true });
    for (const name of NAMES) await writeFile(join(folder, place, name), batch(0));
    expect(await download()).toBe(join(folder, place));
    expect(requests).toEqual([]);
  });

  it("adds what a folder lacks and leaves the rest of it alone", async () => {
    const target = join(folder, FOLDER);
    await mkdir(target);
    await writeFile(join(target, "data_batch_2.bin"), batch(9));
    await writeFile(join(target, "notes.txt"), "mine");
    await download();
    expect((await readdir(target)).sort()).toEqual([...NAMES, "notes.txt", "readme.html"].sort());
    expect(await readFile(join(target, "notes.txt"), "utf8")).toBe("mine");
    expect((await loadCifar10(folder)).train.labels.slice(2, 7)).toEqual(Uint8Array.of(0, 9, 9, 9, 2));
    expect(await readdir(folder)).toEqual([FOLDER]);
  });

  it("clears away what an interrupted unpacking left", async () => {
    await mkdir(join(folder, `${FOLDER}.part`));
    await writeFile(join(folder, `${FOLDER}.part`, "data_batch_1.bin"), "cut");
    await download();
    await expectWhole();
  });

  it.each([
    [{ url: "cifar.tar.gz" }, /`url`.*"cifar\.tar\.gz"/],
    [{ url: "file:///cifar.tar.gz" }, /http or https/],
    [{ sha: "abc" }, /64 digits for SHA-256 or 32 for MD5, found "abc"/],
    [{ sha: "g".repeat(64) }, /hexadecimal/],
  ])("refuses %o", async (options, message) => {
    const error = await failure(options);
    expect(error).toBeInstanceOf(ArgumentError);
    expect(error.message).toMatch(message);
    expect(requests).toEqual([]);
  });
});

describe("downloadCifar10 after an interruption", () => {
  it("keeps what came before the connection broke, and asks only for the rest", async () => {
    const { kept, error } = await cutHalfway();
    expect(error.message).toContain(`lost after ${kept} of ${archive.length} bytes`);
    expect(error.message).toContain(part);
    expect(error.message).toMatch(/run this again to go on/);
    expect(Buffer.compare(await readFile(part), archive.subarray(0, kept))).toBe(0);

    answer = serve();
    const told: DownloadProgress[] = [];
    await download({ onProgress: (progress) => told.push(progress) });
    await expectWhole();
    expect(requests.at(-1)).toEqual({ range: `bytes=${kept}-` });
    expect(sent).toBe(archive.length - kept);
    expect(told[0]).toEqual({ received: kept, total: archive.length });
    expect(told.at(-1)).toEqual({ received: archive.length, total: archive.length });
  });

  it("begins anew where the server knows no ranges", async () => {
    await cutHalfway();
    answer = serveWhole;
    const told: DownloadProgress[] = [];
    await download({ onProgress: (progress) => told.push(progress) });
    await expectWhole();
    expect(told[0]!.received).toBe(0);
  });

  it("begins anew where the server goes on at another place", async () => {
    const { kept } = await cutHalfway();
    answer = (request, response) => {
      if (request.headers.range === undefined) return serveWhole(request, response);
      const range = `bytes ${kept - 1}-${archive.length - 1}/${archive.length}`;
      response.writeHead(206, { "content-range": range }).end(archive.subarray(kept - 1));
    };
    await download();
    await expectWhole();
    expect(requests.slice(-2)).toEqual([{ range: `bytes=${kept}-` }, { range: undefined }]);
  });

  it("begins anew when the part is longer than the archive", async () => {
    await writeFile(part, new Uint8Array(archive.length + 5));
    await download();
    await expectWhole();
    expect(requests).toEqual([{ range: `bytes=${archive.length + 5}-` }, { range: undefined }]);
  });

  it("notices a piece that ends before the total", async () => {
    const { kept } = await cutHalfway();
    answer = (_, response) => {
      const range = `bytes ${kept}-${kept + 99}/${archive.length}`;
      response.writeHead(206, { "content-range": range }).end(archive.subarray(kept, kept + 100));
    };
    expect((await failure()).message).toContain(`lost after ${kept + 100} of ${archive.length} bytes`);
    expect((await stat(part)).size).toBe(kept + 100);
  });

  it("asks for nothing when the archive is whole and only not unpacked", async () => {
    await writeFile(part, archive);
    const told: DownloadProgress[] = [];
    await download({ onProgress: (progress) => told.push(progress) });
    await expectWhole();
    expect(requests).toEqual([]);
    expect(told).toEqual([{ received: archive.length, total: archive.length }]);
  });

  it("passes on what the caller's function throws, and keeps what came", async () => {
    const stop = new Error("stop");
    const onProgress = ({ received }: DownloadProgress) => {
      if (received > 0) throw stop;
    };
    await expect(download({ onProgress })).rejects.toBe(stop);
    expect((await stat(part)).size).toBeGreaterThan(0);
    await download();
    await expectWhole();
  });
});

describe("downloadCifar10 in trouble", () => {
  it("deletes an archive of another checksum before anything is unpacked", async () => {
    const sha = "0".repeat(64);
    const error = await failure({ sha });
    expect(error).toBeInstanceOf(FormatError);
    expect(error.message).toContain(sha);
    expect(error.message).toContain(digest(archive));
    expect(error.message).toMatch(/has been deleted\. Run this again/);
    expect(await readdir(folder)).toEqual([]);
  });

  it.each([
    [404, /HTTP 404.*check it/],
    [403, /HTTP 403.*by other means/],
    [503, /HTTP 503.*later/],
  ])("keeps the part through an HTTP %i", async (status, message) => {
    await writeFile(part, archive.subarray(0, 1000));
    answer = (_, response) => response.writeHead(status).end("no");
    expect((await failure()).message).toMatch(message);
    expect((await stat(part)).size).toBe(1000);
  });

  it.each([
    [{ "content-type": "text/html; charset=utf-8" }, /a web page came.*sign in/],
    [{ "content-encoding": "br" }, /encoded as br came.*by other means/],
  ])("keeps the part when %o comes instead", async (headers, message) => {
    await writeFile(part, archive.subarray(0, 1000));
    answer = (_, response) => response.writeHead(200, headers).end("<p>Welcome");
    expect((await failure()).message).toMatch(message);
    expect((await stat(part)).size).toBe(1000);
  });

  it("says when nobody answers", async () => {
    const closed = createServer();
    await once(closed.listen(0, "127.0.0.1"), "listening");
    const { port } = closed.address() as AddressInfo;
    await new Promise((done) => closed.close(done));
    await writeFile(part, archive.subarray(0, 1000));
    const error = await failure({ url: `http://127.0.0.1:${port}/x` });
    expect(error.message).toMatch(/could not be reached: .*ECONNREFUSED.*Check the network/);
    expect(error.cause).toBeInstanceOf(Error);
    expect((await stat(part)).size).toBe(1000);
  });

  it("says when the place is no folder", async () => {
    const file = join(folder, "file");
    await writeFile(file, "kept");
    const error = await failure({}, file);
    expect(error.message).toMatch(/the disk refuses: .*a folder you may write to/);
    expect(await readFile(file, "utf8")).toBe("kept");
  });

  it("keeps the archive when the disk refuses to unpack it", async () => {
    await writeFile(join(folder, FOLDER), "a file where the folder should be");
    await failure();
    expect((await readdir(folder)).sort()).toEqual([FOLDER, "cifar-10-binary.tar.gz.part"]);
    expect(digest(await readFile(part))).toBe(digest(archive));
  });
});

describe("downloadCifar10 with a wrong archive", () => {
  const fetchOther = async (bytes: Uint8Array) => {
    answer = serve(bytes);
    const error = await failure({ sha: digest(bytes) });
    expect(error).toBeInstanceOf(FormatError);
    expect(await readdir(folder)).toEqual([]);
    return error.message;
  };

  it.each([
    "../evil.bin",
    "/evil.bin",
    `${FOLDER}/../../evil.bin`,
    "..\\evil.bin",
    "C:\\evil.bin",
  ])("refuses the path %s", async (name) => {
    const message = await fetchOther(await createTarGzip([...batches, { name, data: "evil" }]));
    expect(message).toContain(JSON.stringify(name));
    expect(message).toMatch(/leads outside; nothing was unpacked/);
  });

  it("refuses such a path in a record for long names", async () => {
    const tar = createTar([
      { name: "././@LongLink", data: "../evil.bin\0" },
      { name: "evil.bin", data: "evil" },
      ...batches,
    ]);
    tar[156] = "L".charCodeAt(0);
    expect(await fetchOther(gzipSync(tar))).toContain('"../evil.bin"');
  });

  it("names the files that it lacks", async () => {
    const message = await fetchOther(await createTarGzip(batches.slice(1)));
    expect(message).toMatch(/missing: data_batch_1\.bin\./);
  });

  it("says when it is no archive, or a cut one", async () => {
    expect(await fetchOther(new TextEncoder().encode("hello"))).toMatch(/expected a tar\.gz archive.*incorrect header/);
    expect(await fetchOther(archive.subarray(0, 20_000))).toMatch(/expected a tar\.gz archive.*unexpected end/);
    expect(await fetchOther(gzipSync(createTar(batches).subarray(0, 5000)))).toMatch(/expected a tar\.gz archive/);
  });
});

describe("downloadCifar10 is bounded", () => {
  it("ends when the server falls silent, before its answer or in it", async () => {
    answer = () => {};
    expect((await failure({ patience: 200 })).message).toMatch(/could not be reached.*nothing came for 0.2 s/);
    answer = (_, response) =>
      void response.writeHead(200, { "content-length": archive.length }).write(archive.subarray(0, 99));
    expect((await failure({ patience: 200 })).message).toMatch(/lost after 99 .*nothing came for 0.2 s/);
    for (const patience of [0, -1, Number.NaN, Infinity])
      expect(await failure({ patience })).toBeInstanceOf(ArgumentError);
  });

  it("refuses an archive that unpacks to far more than the data set, and leaves nothing", async () => {
    const bomb = gzipSync(new Uint8Array(400_000_000));
    answer = (_, response) => response.writeHead(200, { "content-length": bomb.length }).end(bomb);
    const error = await failure({ sha: digest(bomb) });
    expect(error).toBeInstanceOf(FormatError);
    expect(error.message).toMatch(/more than twice/);
    expect(await readdir(folder)).toEqual([]);
  }, 20_000);

  it("refuses an archive whose entries have negative sizes", async () => {
    const tar = createTar(batches.map((b) => ({ ...b })));
    tar.set(new TextEncoder().encode("-0000000512\0"), 124);
    const file = gzipSync(tar);
    answer = (_, response) => response.writeHead(200, { "content-length": file.length }).end(file);
    expect((await failure({ sha: digest(file) })).message).toMatch(/without a size/);
  });
});
