import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import {
  MODELNET10_CLASSES,
  MODELNET40_CLASSES,
  normalizeUnitSphere,
  parseModelNetNames,
  parseModelNetPoints,
  parseModelNetShapes,
} from "../../src/data";
import { ArgumentError, FormatError, LimitError } from "../../src/errors";
import {
  loadMeshFolders,
  loadModelNet10,
  loadModelNet40,
  type ModelNetOptions,
  type ModelNetProgress,
} from "../../src/node/modelnet";
import { npyFile } from "../support/npy";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "pan-modelnet-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function put(files: Record<string, string | Uint8Array>): Promise<void> {
  for (const [path, contents] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), contents);
  }
}

/** Lines of a shape whose point p is (shape + p, 9 - p, p / 4). */
const lines = (shape: number, points: number) =>
  Array.from({ length: points }, (_, p) => `${shape + p},${9 - p},${p / 4},0.0,1.0,0.0\n`).join("");
const coordinates = (shape: number, points: number) =>
  Array.from({ length: points }, (_, p) => [shape + p, 9 - p, p / 4]).flat();

const TEXT = {
  "modelnet40_shape_names.txt": "airplane\nflower_pot\n",
  "modelnet40_train.txt": "flower_pot_0002\nairplane_0001\nflower_pot_0010\n",
  "modelnet40_test.txt": "airplane_0627\r\n",
  "flower_pot/flower_pot_0002.txt": lines(2, 8),
  "airplane/airplane_0001.txt": lines(1, 8),
  "flower_pot/flower_pot_0010.txt": lines(10, 5),
  "airplane/airplane_0627.txt": lines(627, 8).replaceAll("\n", "\r\n"),
};
const inFolder = (name: string, files: Record<string, string | Uint8Array>) =>
  Object.fromEntries(Object.entries(files).map(([path, contents]) => [`${name}/${path}`, contents]));
/** Skipped files are told to nobody unless a test listens. */
const quiet: ModelNetOptions = { points: 4, normalize: false, onSkip: () => {} };
const load = (options = {}) => loadModelNet40(folder, { ...quiet, ...options });

describe("loadModelNet40, text", () => {
  it.each(["", "modelnet40_normal_resampled/"])("reads the first points of each shape (in %j)", async (inside) => {
    await put(inside ? inFolder(inside.slice(0, -1), TEXT) : TEXT);
    const { train, test } = await load();
    expect(train.classes).toEqual(["airplane", "flower_pot"]);
    expect([...train.labels]).toEqual([1, 0, 1]);
    expect([...train.points]).toEqual([2, 1, 10].flatMap((shape) => coordinates(shape, 4)));
    expect(train.pointsPerCloud).toBe(4);
    expect([...test.labels]).toEqual([0]);
    expect([...test.points]).toEqual(coordinates(627, 4));
  });

  it("brings the points taken into the unit sphere unless told otherwise", async () => {
    await put(TEXT);
    const plain = await load();
    expect(await load({ normalize: true })).toEqual({
      train: normalizeUnitSphere(plain.train),
      test: normalizeUnitSphere(plain.test),
    });
    expect(await loadModelNet40(folder, { points: 4 })).toEqual(await load({ normalize: true }));
  });

  it("reads files larger than what is read at a time", async () => {
    const many = 20_000;
    await put({ ...TEXT, "flower_pot/flower_pot_0002.txt": lines(2, many) });
    await put({ "modelnet40_train.txt": "flower_pot_0002\n", "modelnet40_test.txt": "flower_pot_0002\n" });
    expect([...(await load({ points: many })).test.points]).toEqual(coordinates(2, many));
    await expect(load({ points: many + 1 })).rejects.toThrow(/line 20001: expected point 20001 of 20001/);
  });

  it("tells how far it is, shape by shape", async () => {
    await put(TEXT);
    const seen: ModelNetProgress[] = [];
    await load({ onProgress: (p: ModelNetProgress) => seen.push(p) });
    expect(seen.map(({ done, total }) => `${done}/${total}`)).toEqual(["1/4", "2/4", "3/4", "4/4"]);
    expect(seen[3]!.file).toBe(join(folder, "airplane", "airplane_0627.txt"));
  });

  it.each([
    [
      { "airplane/airplane_0001.txt": "1,2,3,4,5,6\n1,2,x,4,5,6\n" },
      /airplane_0001\.txt, line 2: .* got "1,2,x,4,5,6"/,
    ],
    [{ "airplane/airplane_0001.txt": "1,2,3\n" }, /airplane_0001\.txt, line 1: expected six numbers/],
    [{ "airplane/airplane_0001.txt": "1,2,,4,5,6\n" }, /airplane_0001\.txt, line 1: expected six numbers/],
    [
      { "airplane/airplane_0001.txt": lines(1, 3) },
      /airplane_0001\.txt, line 4: expected point 4 of 4, but the file ends/,
    ],
    [{ "modelnet40_test.txt": "airplane_0627\nsofa_0001\n" }, /modelnet40_test\.txt, line 2: .* 2 classes/],
    [{ "modelnet40_train.txt": "airplane_0001\n\nairplane_0001\n" }, /modelnet40_train\.txt, line 3: .* once/],
    [{ "modelnet40_train.txt": "airplane_9999\n" }, /cannot read .*airplane_9999\.txt: ENOENT/],
    [{ "modelnet40_shape_names.txt": "airplane\n../x\n" }, /shape_names\.txt, line 2: expected a name/],
    [{ "modelnet40_shape_names.txt": "\n" }, /shape_names\.txt, line 2: expected at least one name/],
  ])("refuses %j, naming file and line", async (files, message) => {
    await put({ ...TEXT, ...files });
    await expect(load()).rejects.toThrow(message);
    await expect(load()).rejects.toThrow(FormatError);
  });
});

describe("the parsers", () => {
  it("read strings", () => {
    expect(parseModelNetNames("b\r\na\n\n")).toEqual(["b", "a"]);
    expect(parseModelNetShapes("a_b_0001\na_2\n", ["a", "a_b"])).toEqual([
      { name: "a_b_0001", label: 1 },
      { name: "a_2", label: 0 },
    ]);
    expect([...parseModelNetPoints(lines(3, 5), 2)]).toEqual(coordinates(3, 2));
    // What follows the points asked for is not looked at.
    expect([...parseModelNetPoints(`${lines(3, 2)}1,2`, 2)]).toEqual(coordinates(3, 2));
    expect(() => parseModelNetPoints(lines(3, 2), 0)).toThrow(ArgumentError);
  });
});

describe("loadModelNet40, NPY", () => {
  const values = (clouds: number) => Float32Array.from({ length: clouds * 5 * 3 }, (_, i) => i / 8);
  const NPY = {
    "shape_names.txt": "airplane\nbathtub\nbed\n",
    "train_points.npy": npyFile({ descr: "<f4", shape: [3, 5, 3] }, values(3)),
    "train_labels.npy": npyFile({ descr: "|u1", shape: [3] }, Uint8Array.of(2, 0, 1)),
    "test_points.npy": npyFile({ descr: "<f8", shape: [2, 5, 3] }, Float64Array.from(values(2))),
    "test_labels.npy": npyFile({ descr: "<i8", shape: [2] }, BigInt64Array.of(1n, 2n)),
  };

  it("reads points of floats and labels of whole numbers", async () => {
    await put(inFolder("modelnet40", NPY));
    const seen: number[] = [];
    const { train, test } = await load({ points: 5, onProgress: ({ done }: ModelNetProgress) => seen.push(done) });
    expect(train.points).toEqual(values(3));
    expect([...train.labels]).toEqual([2, 0, 1]);
    expect(test.points).toEqual(values(2));
    expect([...test.labels]).toEqual([1, 2]);
    expect(test.classes).toEqual(["airplane", "bathtub", "bed"]);
    expect(seen).toEqual([3, 5]);
    const fewer = await load({ points: 2 });
    expect([...fewer.test.points]).toEqual([...values(2).slice(0, 6), ...values(2).slice(15, 21)]);
  });

  const f4 = (shape: number[], data = values(3)) => npyFile({ descr: "<f4", shape }, data);
  it.each<[string, Record<string, Uint8Array>, RegExp]>([
    [
      "another count",
      { "train_points.npy": f4([1, 15, 3]) },
      /train_points\.npy: field shape: expected \(3, points, 3\)/,
    ],
    ["no three axes", { "train_points.npy": f4([3, 15]) }, /train_points\.npy: field shape: .* got \(3, 15\)/],
    ["other dimensions", { "train_points.npy": f4([3, 3, 5]) }, /train_points\.npy: field shape/],
    [
      "no number",
      { "train_points.npy": f4([3, 5, 3], values(3).fill(Number.NaN, 20)) },
      /train_points\.npy: field data: .*cloud 1/,
    ],
    [
      "whole numbers as points",
      { "train_points.npy": npyFile({ descr: "<i4", shape: [3, 5, 3] }, new Int32Array(45)) },
      /train_points\.npy: field descr/,
    ],
    [
      "a label too high",
      { "test_labels.npy": npyFile({ descr: "|u1", shape: [2] }, Uint8Array.of(0, 3)) },
      /test_labels\.npy: field data: label 1 is 3, expected 0 to 2/,
    ],
    [
      "a label that wraps round",
      { "test_labels.npy": npyFile({ descr: "<i8", shape: [2] }, BigInt64Array.of(0n, 2n ** 32n)) },
      /test_labels\.npy: field data: label 1 is 4294967296/,
    ],
    [
      "labels in floats",
      { "test_labels.npy": npyFile({ descr: "<f4", shape: [2] }, new Float32Array(2)) },
      /test_labels\.npy: field descr/,
    ],
    [
      "labels in a table",
      { "test_labels.npy": npyFile({ descr: "|u1", shape: [2, 1] }, new Uint8Array(2)) },
      /test_labels\.npy: field shape/,
    ],
    [
      "truncated points",
      { "test_points.npy": NPY["test_points.npy"].subarray(0, -4) },
      /test_points\.npy: field data: .* truncated/,
    ],
  ])("refuses %s, naming file and field", async (_, files, message) => {
    await put({ ...NPY, ...files });
    await expect(load()).rejects.toThrow(message);
    await expect(load()).rejects.toThrow(FormatError);
  });

  it("refuses more points than there are, and a missing file", async () => {
    await put(NPY);
    await expect(load({ points: 6 })).rejects.toThrow(ArgumentError);
    await rm(join(folder, "test_labels.npy"));
    await expect(load()).rejects.toThrow(/cannot read .*test_labels\.npy: ENOENT/);
  });
});

describe("loadModelNet40, meshes", () => {
  /** A triangle of area ½ at height z. */
  const off = (z: number, head = "OFF\n3 1 0\n") => `${head}0 0 ${z}\n1 0 ${z}\n0 1 ${z}\n3 0 1 2\n`;
  const MESHES = {
    "README.txt": "not a class",
    "bed/train/bed_0001.off": off(1),
    "bed/test/bed_0002.off": off(2),
    "bed/test/.DS_Store": "",
    "airplane/train/airplane_0002.off": off(4),
    "airplane/train/airplane_0001.off": off(3, "OFF3 1 0\n"),
    "airplane/test/airplane_0003.off": off(5),
  };

  it("draws points from each surface, the same for the same seed", async () => {
    await put(inFolder("ModelNet40", MESHES));
    const { train, test } = await load({ points: 50 });
    expect(train.classes).toEqual(["airplane", "bed"]);
    expect([...train.labels]).toEqual([0, 0, 1]);
    expect([...test.labels]).toEqual([0, 1]);
    const heights = (set: typeof train) =>
      Array.from({ length: set.length }, (_, i) => [
        ...new Set(set.points.filter((_v, j) => j % 3 === 2 && Math.floor(j / 150) === i)),
      ]);
    expect(heights(train)).toEqual([[3], [4], [1]]);
    expect(heights(test)).toEqual([[5], [2]]);
    expect(await load({ points: 50 })).toEqual({ train, test });
    const other = await load({ points: 50, seed: 1 });
    expect(other.train.points).not.toEqual(train.points);
    // A shape's points do not depend on which other shapes there are.
    await rm(join(folder, "ModelNet40", "airplane", "train", "airplane_0001.off"));
    expect((await load({ points: 50 })).train.points).toEqual(train.points.slice(150));
  });

  it("passes over what is hidden or no mesh, with a word", async () => {
    await put({
      ...MESHES,
      "airplane/train/._airplane_0001.off": "\u0000\u0005\u0016",
      "airplane/train/notes.txt": "",
      "airplane/test/UPPER.OFF": off(6),
      ".git/train/x.off": "",
      "__MACOSX/airplane/train/._airplane_0001.off": "",
      "._bed": "",
    });
    const skipped = new Map<string, string>();
    const { train, test } = await load({
      onSkip: (path: string, why: string) => void skipped.set(relative(folder, path), why),
    });
    expect(train.classes).toEqual(["airplane", "bed"]);
    expect([...train.labels, ...test.labels]).toEqual([0, 0, 1, 0, 0, 1]);
    expect([...skipped].sort()).toEqual(
      [
        [".git", "hidden"],
        ["._bed", "hidden"],
        ["README.txt", "no folder of a class"],
        ["__MACOSX", "hidden"],
        [join("airplane", "train", "._airplane_0001.off"), "hidden"],
        [join("airplane", "train", "notes.txt"), "no mesh: its name does not end in .off"],
        [join("bed", "test", ".DS_Store"), "hidden"],
      ].sort(),
    );
    const warn = vi.spyOn(console, "warn").mockImplementation(() => {});
    try {
      await loadModelNet40(folder, { points: 4 });
      expect(warn.mock.calls).toEqual([[expect.stringMatching(/passed over .* and 6 more: hidden, or no meshes/)]]);
    } finally {
      warn.mockRestore();
    }
  });

  it("draws the same points whatever the case of the extension", async () => {
    await put({ ...MESHES, "bed/test/bed_0002.OFF": off(2) });
    await rm(join(folder, "bed", "test", "bed_0002.off"));
    const upper = await load();
    await put({ "bed/test/bed_0002.off": off(2) });
    await rm(join(folder, "bed", "test", "bed_0002.OFF"));
    expect(await load()).toEqual(upper);
  });

  it("reads ModelNet10, and any other folders of classes", async () => {
    const ten = { "bathtub/train/a.off": off(1), "bathtub/test/b.off": off(2), "toilet/train/c.off": off(3) };
    await put(inFolder("ModelNet10", { ...ten, "toilet/test/d.off": off(4) }));
    const { train, test } = await loadModelNet10(folder, quiet);
    expect(train.classes).toEqual(["bathtub", "toilet"]);
    expect([...train.labels, ...test.labels]).toEqual([0, 1, 0, 1]);
    expect(await loadMeshFolders(join(folder, "ModelNet10"), quiet)).toEqual({ train, test });
    expect(await loadModelNet40(join(folder, "ModelNet10"), quiet)).toEqual({ train, test });
    await put(inFolder("mine", { "cat/train/a.off": off(1), "cat/test/b.OFF": off(1) }));
    expect((await loadMeshFolders(join(folder, "mine"), quiet)).test.classes).toEqual(["cat"]);
    await expect(loadModelNet10(join(folder, "mine"), quiet)).rejects.toThrow(/classes among bathtub, .* got "cat"/);
  });

  it("refuses a split without meshes", async () => {
    await put({ "bed/train/a.off": off(1), "bed/test/a.obj": "" });
    await expect(load()).rejects.toThrow(/expected meshes in files \.off in <class>.test, got none/);
  });

  it("names the file and line of a damaged mesh, the file of one without area, and a folder that is missing", async () => {
    await put({ ...MESHES, "bed/test/bed_0002.off": off(2).replace("3 0 1 2", "3 0 1 7") });
    await expect(load()).rejects.toThrow(/bed_0002\.off, line 6: expected face 0/);
    await put({ "bed/test/bed_0002.off": off(2).replace("3 0 1 2", "3 0 1 1") });
    await expect(load()).rejects.toThrow(/bed_0002\.off: sampleSurface: expected a surface with an area/);
    await rm(join(folder, "bed", "test"), { recursive: true });
    await expect(load()).rejects.toThrow(/cannot read .*bed.test: ENOENT/);
  });
});

describe("ModelNet10 beside ModelNet40 in text", () => {
  it("has lists of its own in the same folder", async () => {
    await put({
      ...TEXT,
      "modelnet10_shape_names.txt": "\ufeffbed\r\n",
      "modelnet10_train.txt": "bed_0001\r\n",
      "modelnet10_test.txt": "bed_0002\n",
      "bed/bed_0001.txt": lines(1, 4),
      "bed/bed_0002.txt": lines(2, 4),
    });
    const { train, test } = await loadModelNet10(folder, quiet);
    expect(train.classes).toEqual(["bed"]);
    expect([...test.points]).toEqual(coordinates(2, 4));
    expect((await load()).train.classes).toEqual(["airplane", "flower_pot"]);
  });

  it("has the names of both", () => {
    expect([MODELNET10_CLASSES.length, MODELNET40_CLASSES.length]).toEqual([10, 40]);
    for (const names of [MODELNET10_CLASSES, MODELNET40_CLASSES]) {
      expect([...new Set(names)].sort()).toEqual(names);
    }
    for (const name of MODELNET10_CLASSES) expect(MODELNET40_CLASSES).toContain(name);
  });
});

describe("loadModelNet40", () => {
  it.each<[unknown]>([
    [{ seed: 0.5 }],
    [{ seed: "1" }],
    [{ normalize: 1 }],
    [{ points: "4" }],
    [{ points: null }],
    [{ onProgress: true }],
    [{ onSkip: "no" }],
    [{ normalise: false }],
    [null],
  ])("refuses the options %j", async (options) => {
    await put(TEXT);
    await expect(loadModelNet40(folder, options as never)).rejects.toThrow(ArgumentError);
    await expect(loadModelNet40(folder, options as never)).rejects.toThrow(/^loadModelNet40: /);
  });

  it("refuses what is no path, and more points than there is memory for", async () => {
    for (const path of [undefined, null, 5, "", "a\0b", Symbol("a")]) {
      await expect(loadModelNet40(path as never)).rejects.toThrow(ArgumentError);
    }
    await put({ "bed/train/a.off": "OFF 0 0 0", "bed/test/b.off": "OFF 0 0 0" });
    await expect(load({ points: 2 ** 52 })).rejects.toThrow(LimitError);
  });

  it("says what it looked for where there is nothing", async () => {
    await expect(load()).rejects.toThrow(FormatError);
    await expect(load()).rejects.toThrow(/modelnet40_shape_names\.txt .*train_points\.npy .*airplane.train/);
    await expect(loadModelNet40(join(folder, "none"))).rejects.toThrow(/ModelNet40\.zip/);
  });

  it("refuses a number of points that is none", async () => {
    for (const points of [0, -1, 1.5]) await expect(load({ points })).rejects.toThrow(ArgumentError);
  });
});
