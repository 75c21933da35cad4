/** A folder of pictures that is chosen in a real browser. */
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type * as pan from "@pan/core/data";
import { loadImageFolder } from "@pan/core/node";
import { type Browser, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { picture, pixelAt, writeTree } from "../support/pictures";
import { buildBundle, type Site, serve } from "./serve";

const executablePath = process.env["CHROMIUM"] ?? "/usr/bin/chromium";

/** What comes back of the set that the page made. */
interface Found {
  error?: string;
  name?: string;
  images: number[];
  labels: number[];
  classes: string[];
  channels: number;
  height: number;
  width: number;
  files: string[];
  skipped: { file: string; why: string }[];
}

const slope = (x: number, y: number) => [x * 4, y * 6, 70];

describe.skipIf(!existsSync(executablePath))("imagesFromFiles in Chromium", () => {
  let built: Awaited<ReturnType<typeof buildBundle>>;
  let site: Site;
  let browser: Browser;
  let page: Page;
  let root: string;

  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), "pan-files-"));
    await writeTree(join(root, "photos"), {
      "b/grey.png": await picture(8, 8, () => [90])
        .toColourspace("b-w")
        .png()
        .toBuffer(),
      "b/small/clear.webp": await picture(8, 8, (x) => [255, 0, 100, x < 4 ? 0 : 255])
        .webp({ lossless: true })
        .toBuffer(),
      "a/slope.png": await picture(60, 40, slope).png().toBuffer(),
      "a/turned.jpg": await picture(32, 16, (x) => (x < 16 ? [250, 0, 0] : [0, 0, 250]))
        .withMetadata({ orientation: 6 })
        .jpeg({ quality: 100, chromaSubsampling: "4:4:4" })
        .toBuffer(),
      "a/cmyk.jpg": await picture(16, 16, () => [200, 60, 40])
        .toColourspace("cmyk")
        .jpeg({ quality: 100 })
        .toBuffer(),
      "a/broken.png": "hello",
      "a/empty.jpg": "",
      "a/notes.txt": "x",
      "lonely.png": await picture(2, 2, () => [1, 2, 3])
        .png()
        .toBuffer(),
    });
    built = await buildBundle();
    site = await serve(built.folder);
    browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
    page = await browser.newPage();
    await page.goto(`${site.url}index.js`);
    await page.setContent('<input id="folder" type="file" webkitdirectory><input id="files" type="file" multiple>');
    // As a text, which the test runner leaves as it is.
    await page.evaluate('import("/data.js").then((pan) => void (window.pan = pan))');
  });
  afterAll(async () => {
    await browser?.close();
    await site?.close();
    await built?.remove();
    await rm(root, { recursive: true });
  });

  const load = (
    input: "folder" | "files",
    options: Parameters<typeof pan.imagesFromFiles>[1],
    byName = false,
  ): Promise<Found> =>
    page.evaluate(
      async ([id, given, named]) => {
        const { imagesFromFiles } = Reflect.get(globalThis, "pan") as typeof pan;
        const { files } = document.getElementById(id) as HTMLInputElement;
        const labelOf = (file: File) => (file.name === "grey.png" ? null : file.name.slice(0, 1));
        try {
          const { set, ...rest } = await imagesFromFiles(files!, { ...given, ...(named && { labelOf }) });
          const { images, labels, classes, channels, height, width } = set;
          return {
            images: [...images],
            labels: [...labels],
            classes: [...classes],
            channels,
            height,
            width,
            ...rest,
          } as never;
        } catch (error) {
          return { error: (error as Error).message, name: (error as Error).name } as never;
        }
      },
      [input, options, byName] as const,
    );
  const near = (found: number[], wanted: readonly number[], by: number) => {
    for (const [c, v] of wanted.entries()) expect(Math.abs(found[c]! - v), `${found} for ${wanted}`).toBeLessThan(by);
  };
  const setOf = (found: Found) => ({ ...found, images: Uint8Array.from(found.images) });

  it("reads what Node reads, but for a little in pixels", async () => {
    await page.setInputFiles("#folder", join(root, "photos"));
    const options = { size: 20, unreadable: "skip" } as const;
    const found = await load("folder", options);
    const node = await loadImageFolder(join(root, "photos"), options);
    expect(found.error).toBeUndefined();
    expect(found.classes).toEqual(["a", "b"]);
    expect(found.files).toEqual(["a/cmyk.jpg", "a/slope.png", "a/turned.jpg", "b/grey.png", "b/small/clear.webp"]);
    expect(found.files).toEqual(node.files);
    expect(found.labels).toEqual([...node.set.labels]);
    expect(found.skipped.map(({ file }) => file).sort()).toEqual([
      "a/broken.png",
      "a/empty.jpg",
      "a/notes.txt",
      "lonely.png",
    ]);
    const images = setOf(found);
    // A browser knows nothing of inks, and reckons this red from CMYK as 215, 26, 9.
    near(pixelAt(images, 0, 9, 9), [215, 26, 9], 4);
    for (const [x, y] of [
      [1, 1],
      [10, 10],
      [18, 18],
    ] as const) {
      near(pixelAt(images, 1, x, y), [(2 * (x + 5) + 0.5) * 4, (2 * y + 0.5) * 6, 70], 4);
    }
    near(pixelAt(images, 2, 10, 2), [250, 0, 0], 12);
    near(pixelAt(images, 2, 10, 17), [0, 0, 250], 12);
    near(pixelAt(images, 3, 5, 5), [90, 90, 90], 2);
    near(pixelAt(images, 4, 2, 9), [0, 0, 0], 2);
    near(pixelAt(images, 4, 17, 9), [255, 0, 100], 2);
    const [rest, own] = [images.images, node.set.images].map((all) => all.subarray(3 * 400)) as [
      Uint8Array,
      Uint8Array,
    ];
    const apart = rest.reduce((sum, v, i) => sum + Math.abs(v - own[i]!), 0) / rest.length;
    console.log(
      `Chromium ${browser.version()}: pixels differ from Node's by ${apart.toFixed(2)} of 255 on average, CMYK aside`,
    );
    expect(apart).toBeLessThan(3);
  });

  it("in the options that are asked for", async () => {
    const grey = await load("folder", {
      size: [6, 4],
      channels: 1,
      fit: "stretch",
      unreadable: "skip",
      classes: ["b", "a"],
    });
    expect([grey.channels, grey.height, grey.width, grey.images.length]).toEqual([1, 6, 4, 5 * 24]);
    expect(grey.labels).toEqual([1, 1, 1, 0, 0]);
    near(pixelAt(setOf(grey), 3, 2, 2), [90], 2);
    const white = await load("folder", { size: 8, background: [255, 255, 255], unreadable: "skip" });
    near(pixelAt(setOf(white), 4, 0, 0), [255, 255, 255], 2);
  });

  it("refuses what cannot be read by its name, and classes that are not asked for", async () => {
    const broken = await load("folder", { size: 4 });
    expect([broken.name, broken.error]).toEqual([
      "FormatError",
      expect.stringMatching(/cannot read a\/(broken\.png|empty\.jpg): /),
    ]);
    const classes = await load("folder", { size: 4, classes: ["a"] });
    expect([classes.name, classes.error]).toEqual(["ArgumentError", expect.stringMatching(/b is not among/)]);
  });

  it("takes files without a folder with labelOf, and says so without", async () => {
    await page.setInputFiles(
      "#files",
      ["b/grey.png", "a/slope.png", "a/turned.jpg"].map((f) => join(root, "photos", f)),
    );
    const found = await load("files", { size: 4 }, true);
    expect([found.classes, found.files]).toEqual([
      ["s", "t"],
      ["slope.png", "turned.jpg"],
    ]);
    expect(found.skipped).toEqual([{ file: "grey.png", why: "of no class" }]);
    const without = await load("files", { size: 4 });
    expect([without.name, without.error]).toEqual(["ArgumentError", expect.stringMatching(/in no folder.*labelOf/s)]);
  });
});
