/** Folders of picture files of every kind, whole and broken. */
import { mkdir, mkdtemp, readFile, rm, stat, symlink, truncate, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ImageFolderOptions, loadImageFolder } from "@pan/core/node";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Batch, DataLoader, trainTestSplit } from "../../src/data";
import { ArgumentError, FormatError, PanError, UnavailableError } from "../../src/errors";
import { pictureDecoder } from "../../src/node/decode-picture";
import { picture, picture16, pixelAt, writeTree } from "../support/pictures";

let root: string;
let folder: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "pan-folder-"));
  folder = join(root, "photos");
  await mkdir(folder);
});
afterEach(() => rm(root, { recursive: true }));

const spots = (x: number, y: number) => [(x * 53 + y * 7) % 256, (x * 29 + y * 91) % 256, (x * 11 + y * 17) % 256];
const png = (width: number, height: number, pixel: (x: number, y: number) => readonly number[]) =>
  picture(width, height, pixel).png().toBuffer();

/** Loads one file, as the only one of its class. */
async function one(name: string, bytes: Uint8Array, options: Partial<ImageFolderOptions> = {}) {
  await writeTree(folder, { [`only/${name}`]: bytes });
  const { set, files } = await loadImageFolder(folder, { size: 4, ...options, stream: false });
  expect(files).toEqual([`only/${name}`]);
  return set;
}

describe("pictures in their own size come as they are", () => {
  const expectSpots = (set: Awaited<ReturnType<typeof one>>) => {
    for (let y = 0; y < 4; y++) for (let x = 0; x < 4; x++) expect(pixelAt(set, 0, x, y)).toEqual(spots(x, y));
  };

  it("PNG and WebP without loss", async () => {
    expectSpots(await one("a.png", await png(4, 4, spots)));
    await rm(join(folder, "only"), { recursive: true });
    expectSpots(await one("b.WEBP", await picture(4, 4, spots).webp({ lossless: true }).toBuffer()));
  });

  it("grey, with and without transparency, as three equal channels", async () => {
    const grey = (x: number, y: number) => [x * 60 + y];
    const set = await one("a.png", await picture(4, 4, grey).toColourspace("b-w").png().toBuffer());
    for (let x = 0; x < 4; x++) expect(pixelAt(set, 0, x, 1)).toEqual(new Array(3).fill(x * 60 + 1));
    await rm(join(folder, "only"), { recursive: true });
    const clear = await one("b.png", await png(4, 4, (x) => [200, x === 0 ? 0 : 255]));
    expect([pixelAt(clear, 0, 0, 0), pixelAt(clear, 0, 1, 0)]).toEqual([
      [0, 0, 0],
      [200, 200, 200],
    ]);
  });

  it("of 16 bits by their upper eight", async () => {
    const grey = await one(
      "a.png",
      await picture16(4, 4, (i) => i * 4112, 1)
        .png()
        .toBuffer(),
    );
    for (let x = 0; x < 4; x++) expect(pixelAt(grey, 0, x, 2)).toEqual(new Array(3).fill((8 + x) * 16));
    await rm(join(folder, "only"), { recursive: true });
    const colour = await one(
      "b.png",
      await picture16(4, 4, (i) => (i % 3) * 25700, 3)
        .png()
        .toBuffer(),
    );
    expect(pixelAt(colour, 0, 3, 3)).toEqual([0, 100, 200]);
  });

  it("over the background where they are transparent", async () => {
    const half = await png(4, 4, (x) => (x < 2 ? [255, 0, 100, 0] : [255, 0, 100, 128]));
    const black = await one("a.png", half);
    expect([pixelAt(black, 0, 0, 0), pixelAt(black, 0, 3, 0)]).toEqual([
      [0, 0, 0],
      [128, 0, 50],
    ]);
    const white = await one("a.png", half, { background: [255, 255, 255] });
    expect(pixelAt(white, 0, 0, 0)).toEqual([255, 255, 255]);
    const [r, g, b] = pixelAt(white, 0, 3, 0) as [number, number, number];
    expect([r, Math.abs(g - 127) <= 1, Math.abs(b - 177) <= 1]).toEqual([255, true, true]);
  });

  it("in grey by Pillow's luma, on request", async () => {
    const set = await one("a.png", await png(4, 4, spots), { channels: 1 });
    expect(set.channels).toBe(1);
    for (let y = 0; y < 4; y++) {
      for (let x = 0; x < 4; x++) {
        const [r, g, b] = spots(x, y) as [number, number, number];
        expect(Math.abs(pixelAt(set, 0, x, y)[0]! - (0.299 * r + 0.587 * g + 0.114 * b))).toBeLessThan(0.51);
      }
    }
  });

  it("JPEG in CMYK as the colours that they show", async () => {
    const bytes = await picture(16, 16, () => [200, 60, 40])
      .toColourspace("cmyk")
      .jpeg({ quality: 100 })
      .toBuffer();
    const found = pixelAt(await one("a.jpg", bytes), 0, 1, 2);
    for (const [c, v] of [200, 60, 40].entries()) expect(Math.abs(found[c]! - v)).toBeLessThan(16);
  });

  it("turned as EXIF says", async () => {
    // Taken with the camera on its side: what is left in the file is above in the picture.
    const bytes = await picture(32, 16, (x) => (x < 16 ? [250, 0, 0] : [0, 0, 250]))
      .withMetadata({ orientation: 6 })
      .jpeg({ quality: 100, chromaSubsampling: "4:4:4" })
      .toBuffer();
    const set = await one("a.jpeg", bytes, { size: [32, 16] });
    const near = (found: number[], wanted: number[]) =>
      found.every((v, c) => Math.abs(v - wanted[c]!) < 8) || expect(found).toEqual(wanted);
    for (const x of [0, 8, 15]) {
      near(pixelAt(set, 0, x, 2), [250, 0, 0]);
      near(pixelAt(set, 0, x, 29), [0, 0, 250]);
    }
  });
});

describe("pictures of other sizes", () => {
  // Colours that tell the place: red grows to the right, green downwards.
  const slope = (x: number, y: number) => [x * 4, y * 6, 7];
  const expectPlace = (set: Awaited<ReturnType<typeof one>>, x: number, y: number, fromX: number, fromY: number) => {
    const [r, g, b] = pixelAt(set, 0, x, y) as [number, number, number];
    expect([Math.abs(r - fromX * 4) < 2.6, Math.abs(g - fromY * 6) < 2.6, b], `${r}, ${g} at ${x}, ${y}`).toEqual([
      true,
      true,
      7,
    ]);
  };

  it("are resized to cover the size, and cut in the middle", async () => {
    const set = await one("a.png", await png(60, 40, slope), { size: 20 });
    // 60 × 40 becomes 30 × 20, of which columns 5 … 24 stay; pixel x is around 2 (x + 5) + ½.
    for (const [x, y] of [
      [1, 1],
      [10, 10],
      [18, 18],
    ] as const)
      expectPlace(set, x, y, 2 * (x + 5) + 0.5, 2 * y + 0.5);
  });

  it("in the same way whatever their format", async () => {
    const detailed = picture(120, 90, spots);
    const set = await one("a.png", await detailed.clone().png().toBuffer(), { size: 12 });
    await rm(join(folder, "only"), { recursive: true });
    const webp = await one("a.webp", await detailed.webp({ lossless: true }).toBuffer(), { size: 12 });
    expect(webp.images).toEqual(set.images);
  });

  it("by way of a larger side, on request", async () => {
    const set = await one("a.png", await png(60, 40, slope), { size: [10, 20], resize: 20 });
    for (const [x, y] of [
      [1, 1],
      [10, 5],
      [18, 8],
    ] as const)
      expectPlace(set, x, y, 2 * (x + 5) + 0.5, 2 * (y + 5) + 0.5);
  });

  it("or stretched", async () => {
    const set = await one("a.png", await png(60, 40, slope), { size: [20, 20], fit: "stretch" });
    for (const [x, y] of [
      [1, 1],
      [10, 5],
      [18, 18],
    ] as const)
      expectPlace(set, x, y, 3 * x + 1, 2 * y + 0.5);
  });

  it.each([
    [1, 1],
    [1, 50],
    [37, 3],
    [5, 4],
    [4, 5],
  ])("%i × %i gets a size like any other", async (width, height) => {
    const set = await one("a.png", await png(width, height, () => [9, 8, 7]), { size: [6, 4] });
    expect(set.images.length).toBe(72);
    for (const [x, y] of [
      [0, 0],
      [3, 5],
    ] as const)
      expect(pixelAt(set, 0, x, y)).toEqual([9, 8, 7]);
  });
});

describe("a folder", () => {
  const dot = (v: number) => png(3, 3, () => [v, v, v]);

  it("has its classes by name, whatever folders are in them, and names what it passes over", async () => {
    await writeTree(folder, {
      "dog/2.png": await dot(2),
      "dog/10.png": await dot(10),
      "Cat/old/deep/5.png": await dot(5),
      "Cat/1.png": await dot(1),
      "Cat/Thumbs.db": "x",
      "Cat/.hidden.png": await dot(0),
      "__MACOSX/dog/1.png": await dot(0),
      "lonely.png": await dot(0),
      "notes.txt": "x",
    });
    await symlink(join(folder, "dog", "2.png"), join(folder, "dog", "a-link.png"));
    await symlink(folder, join(folder, "Cat", "round"));
    await symlink(join(folder, "nothing"), join(folder, "dog", "broken.png"));
    const progress: [number, number, string][] = [];
    const { set, files, skipped } = await loadImageFolder(folder, {
      size: 2,
      onProgress: ({ done, total, file }) => progress.push([done, total, file]),
    });
    expect(set.classes).toEqual(["Cat", "dog"]);
    expect(files).toEqual(["Cat/1.png", "Cat/old/deep/5.png", "dog/10.png", "dog/2.png", "dog/a-link.png"]);
    expect([...set.labels]).toEqual([0, 0, 1, 1, 1]);
    expect(Array.from({ length: 5 }, (_, i) => pixelAt(set, i, 1, 1)[0])).toEqual([1, 5, 10, 2, 2]);
    expect(new Map(skipped.map(({ file, why }) => [file, why]))).toEqual(
      new Map([
        ["Cat/.hidden.png", "hidden"],
        ["Cat/Thumbs.db", "no picture by its name"],
        ["Cat/round", "a link that leads back to a folder around it"],
        ["__MACOSX", "hidden"],
        ["dog/broken.png", "a link to nothing"],
        ["lonely.png", "in no folder of a class"],
        ["notes.txt", "no picture by its name"],
      ]),
    );
    expect(progress).toEqual(files.map((file, i) => [i + 1, 5, file]));
  });

  it("takes the classes of another, in their order", async () => {
    await writeTree(folder, { "b/1.png": await dot(1), "a/1.png": await dot(2) });
    const { set } = await loadImageFolder(folder, { size: 1, classes: ["b", "missing", "a"] });
    expect([...set.labels]).toEqual([2, 0]);
    expect(set.classes).toEqual(["b", "missing", "a"]);
    await expect(loadImageFolder(folder, { size: 1, classes: ["b"] })).rejects.toThrow(/a is not among the 1 classes/);
  });

  const broken = async (): Promise<Record<string, Uint8Array | string>> => {
    const jpeg = await picture(64, 64, spots).jpeg().toBuffer();
    const whole = await png(64, 64, spots);
    const damaged = Uint8Array.from(whole);
    damaged.fill(0, 200, 260);
    return {
      "x/1-empty.jpg": "",
      "x/2-text.png": "hello",
      "x/3-cut.jpg": jpeg.subarray(0, jpeg.length / 2),
      "x/4-cut.png": whole.subarray(0, whole.length / 2),
      "x/5-damaged.png": damaged,
      "x/6-drawing.png": '<svg xmlns="http://www.w3.org/2000/svg" width="8" height="4"/>',
      "x/7-good.png": await dot(77),
    };
  };

  it("leaves out what cannot be read, and says which and why", async () => {
    await writeTree(folder, await broken());
    const { set, files, skipped } = await loadImageFolder(folder, { size: 2, unreadable: "skip" });
    expect(files).toEqual(["x/7-good.png"]);
    expect([set.length, pixelAt(set, 0, 0, 0)]).toEqual([1, [77, 77, 77]]);
    expect(skipped.map(({ file }) => file)).toEqual(Object.keys(await broken()).slice(0, 6));
    expect(skipped[0]!.why).toBe("the file is empty");
    expect(skipped[5]!.why).toMatch(/svg/);
    for (const { why } of skipped) expect(why.length).toBeGreaterThan(8);
  });

  it("or refuses it by its name", async () => {
    for (const [name, bytes] of Object.entries(await broken()).slice(0, 6)) {
      await rm(join(folder, "x"), { recursive: true, force: true });
      await writeTree(folder, { "x/0.png": await dot(0), [name]: bytes });
      const loading = loadImageFolder(folder, { size: 2 });
      await expect(loading).rejects.toThrow(FormatError);
      await expect(loading).rejects.toThrow(`cannot read ${name}: `);
    }
  });

  it("without a class, or with a class without a picture, is refused", async () => {
    await expect(loadImageFolder(folder, { size: 2 })).rejects.toThrow(/at least one folder of pictures/);
    await expect(loadImageFolder(join(folder, "no"), { size: 2 })).rejects.toThrow(/cannot read .*no: ENOENT/);
    await writeTree(folder, { "a/1.png": await dot(1), "b/1.png": "broken", "c/readme": "" });
    await expect(loadImageFolder(folder, { size: 2, unreadable: "skip" })).rejects.toThrow(/can be read of c/);
    await rm(join(folder, "c"), { recursive: true });
    await expect(loadImageFolder(folder, { size: 2, unreadable: "skip" })).rejects.toThrow(/can be read of b/);
  });

  it.each<[unknown, RegExp]>([
    [undefined, /options/],
    [{}, /size/],
    [{ size: 0 }, /size/],
    [{ size: [4, 4, 3] }, /\[height, width\]/],
    [{ size: 4, fit: "cover" }, /"crop" or "stretch"/],
    [{ size: 4, resize: 3 }, /at least 4/],
    [{ size: 4, resize: 8, fit: "stretch" }, /with fit "crop"/],
    [{ size: 4, channels: 4 }, /1 or 3/],
    [{ size: 4, background: [0, 0, 256] }, /background/],
    [{ size: 4, background: "white" }, /background/],
    [{ size: 4, unreadable: "ignore" }, /"refuse" or "skip"/],
    [{ size: 4, classes: ["a", "a"] }, /its own name/],
    [{ size: 4, onProgress: 3 }, /onProgress/],
    [{ size: 4, stream: true }, /as cache/],
    [{ size: 4, cache: 3 }, /cache/],
    [{ size: 4, workers: 3 }, /no option "workers"/],
  ])("refuses the options %j", async (options, message) => {
    const loading = loadImageFolder(folder, options as never);
    await expect(loading).rejects.toThrow(ArgumentError);
    await expect(loading).rejects.toThrow(message);
  });
});

describe("the cache", () => {
  let cache: string;
  let decoded: string[];
  beforeEach(async () => {
    cache = join(root, "photos.cache");
    const files: Record<string, Uint8Array> = {};
    for (let i = 0; i < 6; i++)
      files[`${i % 2 ? "odd" : "even"}/${i}.png`] = await png(5, 5, (x, y) => [i, x * 9, y * 9]);
    await writeTree(folder, files);
  });
  const load = (options: Partial<ImageFolderOptions> = {}) => {
    decoded = [];
    const onProgress: ImageFolderOptions["onProgress"] = ({ file }) => decoded.push(file);
    return loadImageFolder(folder, { size: 5, cache, onProgress, ...options, stream: false });
  };

  it("gives the same pictures without decoding them again", async () => {
    const plain = await load({ cache: undefined as never });
    const first = await load();
    expect(decoded.length).toBe(6);
    const second = await load();
    expect(decoded).toEqual([]);
    for (const found of [first, second]) expect(found).toEqual(plain);
  });

  it("is made anew when a file, the options or the list of files changed", async () => {
    await load();
    const made = async (options?: Partial<ImageFolderOptions>) => {
      const { set } = await load(options);
      return [decoded.length, set.length];
    };
    expect(await made()).toEqual([0, 6]);
    await utimes(join(folder, "odd", "1.png"), new Date(), new Date(Date.now() + 5000));
    expect(await made()).toEqual([6, 6]);
    await writeFile(join(folder, "odd", "3.png"), await png(6, 6, () => [200, 0, 0]));
    expect(await made()).toEqual([6, 6]);
    await rm(join(folder, "odd", "5.png"));
    expect(await made()).toEqual([5, 5]);
    for (const options of [
      { size: 4 },
      { channels: 1 },
      { fit: "stretch" },
      { background: [1, 2, 3] },
      { resize: 7 },
    ] as const) {
      expect(await made(options), JSON.stringify(options)).toEqual([5, 5]);
      expect(await made(options)).toEqual([0, 5]);
    }
    // Names of classes are not in it.
    expect(await made({ resize: 7, classes: ["odd", "even"] })).toEqual([0, 5]);
  });

  it("that is damaged, cut short or something else is made anew", async () => {
    const { set } = await load();
    const whole = await readFile(cache);
    const spoilt = (at: number) => {
      const bytes = Uint8Array.from(whole);
      bytes[at]! ^= 1;
      return bytes;
    };
    for (const bytes of [
      spoilt(3),
      spoilt(whole.length - 1),
      spoilt(whole.length - 11),
      spoilt(whole.length - 20),
      whole.subarray(0, whole.length - 5),
      whole.subarray(60),
      new Uint8Array(0),
      new TextEncoder().encode("something else"),
    ]) {
      await writeFile(cache, bytes);
      expect((await load()).set).toEqual(set);
      expect(decoded.length).toBe(6);
      expect(Buffer.compare(await readFile(cache), whole)).toBe(0);
    }
  });

  it("remembers what was skipped, and does not hide it from who refuses it", async () => {
    await writeTree(folder, { "odd/9.jpg": "broken" });
    const { skipped } = await load({ unreadable: "skip" });
    expect(skipped.map(({ file }) => file)).toEqual(["odd/9.jpg"]);
    const before = await readFile(cache);
    expect((await load({ unreadable: "skip" })).skipped).toEqual(skipped);
    expect(decoded).toEqual([]);
    await expect(load()).rejects.toThrow("cannot read odd/9.jpg");
    // The failure left what was there.
    expect(Buffer.compare(await readFile(cache), before)).toBe(0);
    await rm(join(folder, "odd", "9.jpg"));
    expect((await load()).skipped).toEqual([]);
  });

  it("that cannot be written is told of", async () => {
    await expect(load({ cache: join(root, "no", "such") })).rejects.toThrow(/folder does not exist/);
    await expect(load({ cache: root })).rejects.toThrow(PanError);
  });
});

describe("a stream", () => {
  it("gives the pictures of the cache when batches want them", async () => {
    const cache = join(root, "photos.cache");
    const files: Record<string, Uint8Array> = {};
    for (let i = 0; i < 20; i++)
      files[`${"abc"[i % 3]}/${10 + i}.png`] = await png(4, 4, (x, y) => [i * 9, x * 50, y * 50]);
    files["a/bad.png"] = new Uint8Array(5);
    await writeTree(folder, files);
    const options = { size: 4, unreadable: "skip", cache } as const;
    const { set, files: names } = await loadImageFolder(folder, { size: 4, unreadable: "skip" });
    const streamed = await loadImageFolder(folder, { ...options, stream: true });
    expect(streamed.files).toEqual(names);
    expect([...streamed.set.labels]).toEqual([...set.labels]);
    expect("images" in streamed.set).toBe(false);
    const collect = async (data: ConstructorParameters<typeof DataLoader>[0]) => {
      const all: number[][] = [];
      for await (const { images, labels } of new DataLoader(data as typeof set, { batchSize: 6, shuffle: true }).epoch(
        3,
      ))
        all.push([...images, ...labels]);
      return all;
    };
    expect(await collect(streamed.set)).toEqual(await collect(set));
    const [a, b] = [trainTestSplit(streamed.set, { seed: 1 }), trainTestSplit(set, { seed: 1 })];
    expect(await collect(a.test)).toEqual(await collect(b.test));
    // One that is replaced by another's is still the one that was opened.
    await writeTree(folder, { "a/10.png": await png(9, 9, () => [1, 1, 1]) });
    const other = await loadImageFolder(folder, { ...options, stream: true });
    expect(await collect(streamed.set)).toEqual(await collect(set));
    expect(await collect(other.set)).not.toEqual(await collect(set));
  });

  it("whose file was cut short after it was opened says so", async () => {
    const cache = join(root, "photos.cache");
    await writeTree(folder, { "a/1.png": await png(4, 4, spots), "a/2.png": await png(4, 4, spots) });
    const { set } = await loadImageFolder(folder, { size: 4, cache, stream: true });
    await truncate(cache, 60);
    const loader = new DataLoader(set, { batchSize: 2 });
    await expect(loader.epoch(0).next() as Promise<IteratorResult<Batch>>).rejects.toThrow(
      /ends in picture 1; remove it/,
    );
    expect((await stat(cache)).size).toBe(60);
  });
});

describe("without sharp", () => {
  const failing = (error: unknown) => pictureDecoder("loadImageFolder", () => Promise.reject(error));

  it("the error has the command that installs it", async () => {
    const missing = Object.assign(new Error("Cannot find package 'sharp'"), { code: "ERR_MODULE_NOT_FOUND" });
    await expect(failing(missing)).rejects.toThrow(UnavailableError);
    await expect(failing(missing)).rejects.toThrow(/not installed: run npm install sharp/);
    const required = Object.assign(new Error("Cannot find module 'sharp'"), { code: "MODULE_NOT_FOUND" });
    await expect(failing(required)).rejects.toThrow(/run npm install sharp/);
    await expect(failing(new Error("libvips is missing"))).rejects.toThrow(
      /does not load here \(Error: libvips is missing\)/,
    );
  });
});
