/**
 * Every export of `src/data`, with arguments of every wrong kind: it works right or throws a
 * PanError.
 */
import { beforeAll, describe, expect, it } from "vitest";
import { attackTriggerSet, forgeTriggers } from "../../src/attacks";
import * as data from "../../src/data";
import { type Batch, DataLoader, imageSet, pointSet } from "../../src/data";
import { ArgumentError, FormatError, PanError, ShapeError } from "../../src/errors";
import { Generator } from "../../src/tensor/random";
import { scope } from "../../src/tensor/storage";
import { gpu } from "../support/gpu";
import { npyFile } from "../support/npy";

const ARRAYS = [
  Int8Array,
  Uint8Array,
  Uint8ClampedArray,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  Float32Array,
  Float64Array,
  BigInt64Array,
  BigUint64Array,
] as const;

/** A typed array of some whole numbers. */
const arrayOf = (type: (typeof ARRAYS)[number], ...values: number[]): Uint8Array =>
  type.name.startsWith("Big")
    ? ((type as BigInt64ArrayConstructor).from(values.map(BigInt)) as never)
    : (type as Uint8ArrayConstructor).from(values);

/**
 * Values that no argument here is meant to be. Typed arrays come in every class, empty and of two
 * ones.
 */
const GARBAGE: readonly unknown[] = [
  ...ARRAYS.flatMap((type) => [arrayOf(type), arrayOf(type, 1, 1)]),
  ...[undefined, null, true, false, "", "64", "x".repeat(100_000), Symbol("s"), 5n, 2n ** 200n, () => 1],
  ...[Number.NaN, Number.POSITIVE_INFINITY, -1, -0, 0, 0.5, 1, 2 ** 53 - 1, 2 ** 53, 1e300],
  ...[
    [],
    [0.5],
    ["a"],
    [null],
    new Array(3),
    {},
    { length: 3 },
    { length: -1 },
    { length: 2 ** 53 - 1 },
    Object.create(null),
  ],
  ...[new Date(0), new Map(), new DataView(new ArrayBuffer(4)), new ArrayBuffer(8), new Generator(1)],
];

const images = () =>
  imageSet({
    images: Uint8Array.from({ length: 24 }, (_, i) => i * 10),
    labels: Uint8Array.of(0, 1, 1),
    channels: 2,
    height: 2,
    width: 2,
    classes: ["a", "b"],
  });
const clouds = () =>
  pointSet({
    points: Float32Array.from({ length: 36 }, (_, i) => i),
    labels: Uint8Array.of(0, 1, 1),
    classes: ["a", "b"],
    pointsPerCloud: 4,
  });
const random = () => new Generator(1);
const own = () =>
  data.dataset({ length: 4, inputs: { shape: [2] }, targets: { label: { shape: [], dtype: "i32" } }, fill() {} });
const stream = () => data.imageStream({ ...images(), read() {} });
const batch = () => ({
  inputs: { data: new Float32Array(4), shape: [2, 2] },
  targets: { data: new Int32Array(2), shape: [2] },
  size: 2,
  index: 0,
});
const mesh = () => data.parseOff("OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n");
const record = () => new Uint8Array(3073);
const shapes = "a_1\nb_2\n";

interface Row {
  /** Arguments that work. */
  args: () => unknown[];
  call: (...args: never[]) => unknown;
}
const row = (call: (...args: never[]) => unknown, args: () => unknown[]): Row => ({ call, args });
const apply = (t: data.PointTransform) => row(t.apply, () => [new Float32Array(6), random()]);

/**
 * One row for each way in. A constant has none; a function of another export's name is a way into
 * what that one made.
 */
const ROWS: Record<string, Row | Row[] | "constant"> = {
  Axis: [
    row(
      (size: number) => new data.Axis().reset(size),
      () => [3],
    ),
    row(
      (start: number, size: number) => new data.Axis().window(start, size),
      () => [0, 3],
    ),
  ],
  CIFAR10_CLASSES: "constant",
  CIFAR100_CLASSES: "constant",
  CIFAR100_COARSE_CLASSES: "constant",
  CIFAR_MEAN: "constant",
  CIFAR_STD: "constant",
  DataLoader: [
    row(
      (set: data.SampleSet, options: data.DataLoaderOptions) => new DataLoader(set, options),
      () => [images(), { batchSize: 2, shuffle: true, seed: 1, dropLast: true, transform: [], prefetch: 1, epoch: 0 }],
    ),
    row(
      (set: data.SampleSet, options: data.DataLoaderOptions) => new DataLoader(set, options),
      () => [clouds(), { batchSize: 2, transform: data.pointTransform("train") }],
    ),
    row(
      (set: data.Dataset, options: data.DataLoaderOptions) => new DataLoader(set, options),
      () => [own(), { batchSize: 2, batchTransform: data.mixup() }],
    ),
    row(
      (set: data.ImageStream, options: data.DataLoaderOptions) => new DataLoader(set, options),
      () => [stream(), { batchSize: 2 }],
    ),
    row(
      (epoch: number, start: number) => new DataLoader(images(), { batchSize: 2 }).epoch(epoch, start),
      () => [0, 1],
    ),
  ],
  ImageWriter: [
    row(
      (size: data.ImageSet, list: data.ImageTransform[], draws: Generator) => new data.ImageWriter(size, list, draws),
      () => [images(), [data.randomCrop({ padding: 1 })], random()],
    ),
    row(
      (set: data.ImageSet, index: number, out: Float32Array, offset: number, draws: Generator) =>
        new data.ImageWriter(images(), [], random()).write(set, index, out, offset, draws),
      () => [images(), 0, new Float32Array(9), 1, random()],
    ),
  ],
  MODELNET10_CLASSES: "constant",
  MODELNET40_CLASSES: "constant",
  PointWriter: [
    row(
      (set: data.PointSet, list: data.PointTransform[]) => new data.PointWriter(set, list),
      () => [clouds(), []],
    ),
    row(
      (index: number, out: Float32Array, offset: number, draws: Generator) =>
        new data.PointWriter(clouds(), []).write(index, out, offset, draws),
      () => [0, new Float32Array(13), 1, random()],
    ),
  ],
  arrays: row(
    (parts: { inputs: data.ArrayParts; targets: data.ArrayParts }) => data.arrays(parts),
    () => [{ inputs: { data: new Float32Array(4), shape: [2, 2] }, targets: [{ data: new Int32Array(2) }] }],
  ),
  asDataset: row(
    (set: data.SampleSet, list: data.SampleTransform[]) => data.asDataset(set, list),
    () => [clouds(), []],
  ),
  centerCrop: row(data.centerCrop, () => [2]),
  cifarTransform: row(data.cifarTransform, () => ["train"]),
  colorJitter: row(data.colorJitter, () => [{ brightness: 0.5, contrast: [0, 1], saturation: 1, hue: 0.1 }]),
  concatImages: row(
    (sets: data.ImageSet[]) => data.concatImages(sets),
    () => [[images(), images()]],
  ),
  cutout: row(data.cutout, () => [{ size: 2, holes: 1, fill: 0 }]),
  dataset: row(
    (set: data.Dataset) => data.dataset(set),
    () => [own()],
  ),
  decodeNpy: row(data.decodeNpy, () => [npyFile({ descr: "<f4", shape: [2] }, new Float32Array(2)), "a.npy"]),
  imageSet: row(data.imageSet as (parts: data.ImageParts<data.Pixels>) => data.ImageSet<data.Pixels>, () => [images()]),
  imageStream: row(data.imageStream, () => [stream()]),
  isDataset: row(data.isDataset, () => [own()]),
  isImageStream: row(data.isImageStream, () => [images()]),
  isPointSet: row(data.isPointSet, () => [images()]),
  mixup: [
    row(data.mixup, () => [{ alpha: 1, classes: 3 }]),
    row(data.mixup({ classes: 3 }), () => [batch(), random()]),
  ],
  normalize: row(data.normalize, () => [
    [0.5, 0.5],
    [1, 2],
  ]),
  normalizeUnitSphere: row(data.normalizeUnitSphere, () => [clouds()]),
  parseCifar10: row(data.parseCifar10, () => [record(), { classes: ["a"], source: "a.bin" }]),
  parseCifar100: row(data.parseCifar100, () => [new Uint8Array(3074), { labels: "fine", source: "a.bin" }]),
  parseModelNetNames: row(data.parseModelNetNames, () => ["a\nb\n", "names"]),
  parseModelNetPoints: row(data.parseModelNetPoints, () => ["1,2,3,4,5,6\n", 1, "cloud"]),
  parseModelNetShapes: row(data.parseModelNetShapes, () => [shapes, ["a", "b"], "shapes"]),
  parseOff: row(data.parseOff, () => ["OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n", "m.off"]),
  pointSet: row(data.pointSet, () => [clouds()]),
  pointTransform: row(data.pointTransform, () => ["train"]),
  randomCloudRotation: [row(data.randomCloudRotation, () => [{ axis: "z" }]), apply(data.randomCloudRotation())],
  randomCloudScale: [row(data.randomCloudScale, () => [{ low: 1, high: 2 }]), apply(data.randomCloudScale())],
  randomCloudShift: [row(data.randomCloudShift, () => [{ range: 1 }]), apply(data.randomCloudShift())],
  randomCrop: row(data.randomCrop, () => [{ padding: 1, size: 2 }]),
  randomHorizontalFlip: row(data.randomHorizontalFlip, () => [0.5]),
  randomPointDropout: [row(data.randomPointDropout, () => [{ maxRatio: 0.5 }]), apply(data.randomPointDropout())],
  randomPointJitter: [row(data.randomPointJitter, () => [{ std: 1, clip: 2 }]), apply(data.randomPointJitter())],
  randomResizedCrop: row(data.randomResizedCrop, () => [{ size: 2, scale: [0.5, 1], ratio: [1, 2] }]),
  sampleShape: row(data.sampleShape, () => [images()]),
  sampleSurface: row(data.sampleSurface, () => [mesh(), 4, random()]),
  selectSamples: row(
    (set: data.SampleSet, indices: number[]) => data.selectSamples(set, indices),
    () => [images(), [2, 0]],
  ),
  subset: row(
    (set: data.SampleSet, start: number, end: number) => data.subset(set, start, end),
    () => [clouds(), 1, 2],
  ),
  takePoints: row(data.takePoints, () => [clouds(), 2, { seed: 1 }]),
  toTensors: row(
    (given: data.HostBatch) => scope(() => void data.toTensors(given)),
    () => [batch()],
  ),
  trainTestSplit: row(
    (set: data.SampleSet, options: data.SplitOptions) => data.trainTestSplit(set, options),
    () => [images(), { test: 0.5, seed: 1 }],
  ),
  triggerClouds: row(data.triggerClouds, () => [clouds(), ["b"], { count: 1, seed: 1, points: 2 }]),
  withoutClasses: row(
    (set: data.SampleSet, names: string[]) => data.withoutClasses(set, names),
    () => [images(), ["a"]],
  ),
};

/** Right, or refused by an error of ours in a message of bounded length. */
function rightOrRefused(what: string, run: () => unknown): void {
  try {
    check(run());
  } catch (error) {
    if (!(error instanceof PanError)) throw new Error(`${what} threw ${String(error)}`, { cause: error });
    expect(error.message.length, what).toBeLessThan(1000);
  }
}

/** What came back agrees in itself. */
function check(result: unknown): void {
  if (typeof result !== "object" || result === null || !("classes" in result)) return;
  const { classes, labels } = result as data.SampleSet;
  expect(labels instanceof Uint8Array || labels instanceof Int32Array).toBe(true);
  for (const label of labels) expect(classes[label]).toBeTypeOf("string");
  if ("images" in result) {
    const { images, channels, height, width } = result as data.ImageSet;
    expect(images.length).toBe(labels.length * channels * height * width);
    expect(images.every((v) => v >= 0 && v <= 255)).toBe(true);
  }
}

const isPlain = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype;

describe("every export of src/data", () => {
  beforeAll(() => gpu());

  it("has a row here", () => {
    expect(Object.keys(ROWS).sort()).toEqual(Object.keys(data).sort());
    for (const [name, found] of Object.entries(data)) {
      expect(ROWS[name] === "constant", name).toBe(typeof found !== "function");
    }
  });

  it.each(
    Object.entries(ROWS).filter(([, row]) => row !== "constant"),
  )("%s takes nothing else in silence", (name, rows) => {
    for (const { call, args } of [rows].flat() as Row[]) {
      const run = (changed: unknown[]) => (call as (...all: unknown[]) => unknown)(...changed);
      expect(() => run(args()), name).not.toThrow();
      for (const [i, arg] of args().entries()) {
        for (const [g, garbage] of GARBAGE.entries()) {
          rightOrRefused(`${name}, argument ${i}, value ${g}`, () => run(args().with(i, garbage)));
          if (!isPlain(arg)) continue;
          for (const field of Object.keys(arg)) {
            rightOrRefused(`${name}, argument ${i}.${field}, value ${g}`, () =>
              run(args().with(i, { ...arg, [field]: garbage })),
            );
          }
        }
      }
      rightOrRefused(`${name} without arguments`, () => run([]));
    }
  });
});

describe("imageSet", () => {
  const parts = { labels: [0, 1], channels: 1, height: 1, width: 2, classes: ["a", "b"] };
  const batch = async (set: data.SampleSet, transform: data.SampleTransform[] = []): Promise<Batch> =>
    (await new DataLoader(set, { batchSize: 4, transform }).epoch(0).next()).value as Batch;

  it("takes bytes, clamped bytes and floats 0 … 1, and no other array", async () => {
    const bytes = [0, 255, 51, 204];
    const floats = bytes.map((b) => Math.fround(b / 255));
    const given = {
      Uint8Array: Uint8Array.from(bytes),
      Uint8ClampedArray: Uint8ClampedArray.from(bytes),
      Float32Array: Float32Array.from(floats),
      Float64Array: Float64Array.from(bytes, (b) => b / 255),
    };
    for (const images of Object.values(given)) {
      expect([...(await batch(imageSet({ ...parts, images } as never))).images]).toEqual(floats);
    }
    for (const type of ARRAYS.filter(({ name }) => !(name in given))) {
      expect(() => imageSet({ ...parts, images: new type(4) as never }), type.name).toThrow(type.name);
    }
    expect(() => imageSet({ ...parts, images: floats as never })).toThrow(/images to be .* got \[0,1,0\.2/);
  });

  it.each([
    -0.001,
    1.5,
    255,
    Number.NaN,
    Number.POSITIVE_INFINITY,
  ])("refuses the float pixel %s by its index", (bad) => {
    const images = Float32Array.of(0, 1, 0.5, bad);
    expect(() => imageSet({ ...parts, images })).toThrow(FormatError);
    expect(() => imageSet({ ...parts, images })).toThrow(/images\[3\], in image 1, is .* divide by 255/);
    expect(() => imageSet({ ...parts, images: Float64Array.from(images) })).toThrow(/images\[3\]/);
  });

  it("takes whole labels in any array, and refuses others by their index", () => {
    const images = new Uint8Array(4);
    for (const type of ARRAYS) {
      const { labels } = imageSet({ ...parts, images, labels: arrayOf(type, 0, 1) });
      expect([...labels], type.name).toEqual([0, 1]);
    }
    for (const bad of [0.5, Number.NaN, -1, 2, 256, 2n ** 32n, "1", true, null, undefined, Symbol("1")]) {
      expect(() => imageSet({ ...parts, images, labels: [0, bad] as never })).toThrow(/image 1 has/);
      expect(() => imageSet({ ...parts, images, labels: [0, bad] as never })).toThrow(PanError);
    }
    expect(() => imageSet({ ...parts, images, labels: Float32Array.of(0, 0.5) })).toThrow(/image 1 has label 0.5/);
    expect(() => imageSet({ ...parts, images, labels: "01" as never })).toThrow(ArgumentError);
  });

  it.each(["channels", "height", "width"])("refuses a %s that is no whole number from 1, or does not fit", (name) => {
    for (const bad of [0, -1, 0.5, Number.NaN, "2", 2n, 2 ** 53]) {
      expect(() => imageSet({ ...parts, images: new Uint8Array(4), [name]: bad })).toThrow(ArgumentError);
    }
    for (const bad of [3, 2 ** 53 - 1]) {
      expect(() => imageSet({ ...parts, images: new Uint8Array(4), [name]: bad })).toThrow(ShapeError);
    }
  });

  it("keeps floats as floats through every transform, as the bytes they stand for", async () => {
    const bytes = Uint8Array.from({ length: 2 * 2 * 16 }, (_, i) => (i * 37) % 256);
    const of = { labels: [0, 1], channels: 2, height: 4, width: 4, classes: ["a", "b"] };
    const transform = [
      data.randomCrop({ padding: 1 }),
      data.randomHorizontalFlip(),
      data.normalize([0.4, 0.5], [0.2, 0.3]),
    ];
    const fromBytes = await batch(imageSet({ ...of, images: bytes }), transform);
    const floats = imageSet({ ...of, images: Float32Array.from(bytes, (b) => b / 255) });
    expect([...(await batch(floats, transform)).images]).toEqual([...fromBytes.images]);
    // Between two bytes there are floats.
    const fine = imageSet({ ...parts, images: Float32Array.of(0.1234, 0.1235, 0, 1) });
    expect((await batch(fine)).images).toEqual(fine.images);
    for (const set of [
      data.subset(floats, 1, 2),
      data.selectSamples(floats, [1]),
      data.concatImages([data.subset(floats, 1, 2)]),
    ]) {
      expect(set.images).toEqual(floats.images.slice(32));
    }
    expect(() => data.concatImages([floats, imageSet({ ...of, images: bytes })] as never)).toThrow(/bytes/);
  });

  it("of floats is refused where bytes are worked on", async () => {
    const base = imageSet({ ...parts, images: new Float32Array(4) }) as never;
    await expect(forgeTriggers({} as never, { base })).rejects.toThrow(/forgeTriggers: expected images of bytes/);
    await expect(attackTriggerSet({} as never, base, {} as never)).rejects.toThrow(
      /attackTriggerSet: .* images of floats/,
    );
  });

  it("is a view: what is overwritten shows, and is refused where it is no longer right", async () => {
    const images = Float32Array.of(0, 1, 0.5, 0);
    const labels = Uint8Array.of(0, 1);
    const loader = new DataLoader(imageSet({ ...parts, images, labels }), { batchSize: 2 });
    const next = async () => (await loader.epoch(0).next()).value as Batch;
    images[0] = 0.25;
    expect((await next()).images[0]).toBe(0.25);
    images[3] = Number.NaN;
    await expect(next()).rejects.toThrow(/images\[3\]/);
    images[3] = 0;
    labels[1] = 2;
    await expect(next()).rejects.toThrow(/sample 1 now has label 2/);
  });
});

describe("options", () => {
  const set = images();
  it.each<[Record<string, unknown>, RegExp]>([
    [{ batchSize: 0 }, /batchSize/],
    [{ batchSize: 0.5 }, /batchSize/],
    [{ batchSize: Number.NaN }, /batchSize/],
    [{ batchSize: "64" }, /batchSize .* found "64"/],
    [{ batchSize: 2n }, /batchSize/],
    [{ seed: 0.5 }, /seed/],
    [{ seed: "1" }, /seed/],
    [{ shuffle: 1 }, /shuffle/],
    [{ dropLast: "no" }, /dropLast/],
    [{ dropLast: true, batchSize: 4 }, /leaves no batch/],
    [{ transform: data.randomHorizontalFlip() }, /array of transforms/],
    [{ transform: [null] }, /number 0 is null/],
    [{ transform: [{ kind: "value" }] }, /number 0, of kind "value", to have a function map/],
    [{ transform: [{ kind: "value", map: () => Number.NaN }] }, /finite numbers, got NaN/],
    [{ transform: [{ kind: "geometry", place: (rows: data.Axis) => void (rows.origin = 0.5) }] }, /whole positions/],
    [{ prefetch: 0.5 }, /prefetch/],
    [{ epoch: -1 }, /epoch/],
    [{ batchsize: 2 }, /no option "batchsize"; its options are batchSize, /],
  ])("DataLoader refuses %s", (options, message) => {
    expect(() => new DataLoader(set, { batchSize: 2, ...options })).toThrow(message);
    expect(() => new DataLoader(set, { batchSize: 2, ...options })).toThrow(PanError);
  });

  it("a batch size or prefetch beyond the set asks for no more memory than the set needs", async () => {
    const loader = new DataLoader(set, { batchSize: 2 ** 53 - 1, prefetch: 2 ** 53 - 1 });
    const { value } = await loader.epoch(0).next();
    expect([value!.size, value!.images.buffer.byteLength]).toEqual([3, 4 * 24]);
  });

  it.each<[string, () => unknown]>([
    ["padding -1", () => data.randomCrop({ padding: -1 })],
    ["padding 0.5", () => data.randomCrop({ padding: 0.5 })],
    ["a misspelt padding", () => data.randomCrop({ pading: 4 } as never)],
    ["no options", () => data.randomCrop(undefined as never)],
    ["probability 2", () => data.randomHorizontalFlip(2)],
    ["probability '0.5'", () => data.randomHorizontalFlip("0.5" as never)],
    ["means of another number", () => data.normalize([0, 0], [1])],
    ["no means", () => data.normalize([], [])],
    ["std 0", () => data.normalize([0], [0])],
    ["std below float32", () => data.normalize([0], [1e-50])],
    ["std that divides beyond float32", () => data.normalize([0.5], [1e-44])],
    ["mean NaN", () => data.normalize([Number.NaN], [1])],
    ["mean '0.5'", () => data.normalize(["0.5"] as never, [1])],
    ["ratio 2", () => data.randomPointDropout({ maxRatio: 2 })],
    ["low above high", () => data.randomCloudScale({ low: 2, high: 1 })],
    ["range NaN", () => data.randomCloudShift({ range: Number.NaN })],
    ["axis w", () => data.randomCloudRotation({ axis: "w" as never })],
    ["std -1", () => data.randomPointJitter({ std: -1 })],
    ["a use that is none", () => data.cifarTransform("tset" as never)],
    ["a use that is none, of clouds", () => data.pointTransform("eval" as never)],
  ])("transforms refuse %s when they are made", (_, make) => {
    expect(make).toThrow(ArgumentError);
  });

  it("clouds put together by hand are looked at before they are reckoned with", () => {
    const set = { ...clouds(), points: new Float32Array(36).fill(Number.NaN, 20) };
    expect(() => data.normalizeUnitSphere(set)).toThrow(/cloud 1 has the coordinate NaN/);
    expect(() => new DataLoader(set, { batchSize: 1 })).toThrow(FormatError);
  });

  it("triggers that are taken out keep what they really are", () => {
    const triggers = data.triggerClouds(clouds(), ["a"], { count: 2 });
    const marked = { ...triggers, truths: ["first", "second"] };
    expect(data.subset(marked, 1, 2).truths).toEqual(["second"]);
    expect(data.selectSamples(marked, [1, 0]).truths).toEqual(["second", "first"]);
  });
});
