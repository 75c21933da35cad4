/** General data sets: arrays of any number and shape, from memory, functions and streams. */
import { beforeAll, describe, expect, expectTypeOf, it } from "vitest";
import {
  type AnySet,
  arrays,
  asDataset,
  type Batch,
  type BatchArray,
  DataLoader,
  type Dataset,
  dataset,
  type ImageStream,
  imageSet,
  imageStream,
  normalize,
  pointSet,
  randomCrop,
  randomHorizontalFlip,
  sampleShape,
  selectSamples,
  subset,
  toTensors,
  trainTestSplit,
  withoutClasses,
} from "../../src/data";
import { ArgumentError, FormatError, PanError, ShapeError } from "../../src/errors";
import { scope } from "../../src/tensor/storage";
import { Tensor } from "../../src/tensor/tensor";
import { gpu } from "../support/gpu";

const copied = (part: unknown): unknown => {
  if (ArrayBuffer.isView(part)) return [...(part as Float32Array)];
  if (typeof part !== "object" || part === null) return part;
  return Array.isArray(part)
    ? part.map(copied)
    : Object.fromEntries(Object.entries(part).map(([key, value]) => [key, copied(value)]));
};
async function collect(batches: AsyncIterable<unknown>): Promise<unknown[]> {
  const all: unknown[] = [];
  for await (const batch of batches) all.push(copied(batch));
  return all;
}
const turn = (ms = 0) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** Windows of 3 numbers of a sequence, and the number that follows. */
const sequence = (length: number, wait?: (index: number) => number) =>
  dataset({
    length,
    inputs: { shape: [3], dtype: "i32" },
    targets: { next: { shape: [], dtype: "i32" }, noise: { shape: [2] } },
    fill(index, { inputs, targets, random }) {
      const write = () => {
        inputs.set([index, index + 1, index + 2]);
        targets.next[0] = index + 3;
        targets.noise[1] = random.uniform();
      };
      return wait ? turn(wait(index)).then(write) : write();
    },
  });

describe("a Dataset of one's own", () => {
  it("fills batches of its fields, in types that follow from them", async () => {
    const loader = new DataLoader(sequence(5), { batchSize: 2 });
    for await (const batch of loader.epoch(0)) {
      expectTypeOf(batch.inputs).toEqualTypeOf<BatchArray<Int32Array<ArrayBuffer>>>();
      expectTypeOf(batch.targets.noise).toEqualTypeOf<BatchArray<Float32Array<ArrayBuffer>>>();
      const first = batch.index * 2;
      expect(batch.size).toBe(batch.index === 2 ? 1 : 2);
      expect(batch.inputs.shape).toEqual([batch.size, 3]);
      expect([...batch.inputs.data.subarray(0, 3)]).toEqual([first, first + 1, first + 2]);
      expect(batch.targets.next.shape).toEqual([batch.size]);
      expect(batch.targets.next.data[0]).toBe(first + 3);
      expect(batch.targets.noise.shape).toEqual([batch.size, 2]);
      expect("images" in batch).toBe(false);
    }
    expect(loader.imageShape).toEqual([3]);
  });

  it("comes in the same order with the same draws, filled at once or later, whatever ran before", async () => {
    const options = { batchSize: 3, shuffle: true, seed: 5 };
    const whole = await collect(new DataLoader(sequence(20), { ...options, prefetch: 0 }).epoch(2));
    // Later samples arrive first.
    for (const set of [sequence(20), sequence(20, (i) => (20 - i) % 4)]) {
      for (const prefetch of [0, 1, 3]) {
        const loader = new DataLoader(set, { ...options, prefetch });
        await collect(loader.epoch(0));
        expect(await collect(loader.epoch(2))).toEqual(whole);
        expect(await collect(loader.epoch(2, 4))).toEqual(whole.slice(4));
      }
    }
  });

  it("finds zeros where it writes nothing, however often the memory was used", async () => {
    const set = dataset({
      length: 12,
      inputs: { shape: [2] },
      targets: {},
      fill(index, { inputs }) {
        if (index % 3 === 0) inputs.fill(index + 1);
      },
    });
    const loader = new DataLoader(set, { batchSize: 2 });
    await collect(loader.epoch(0));
    const seen: number[] = [];
    for await (const { inputs, targets } of loader.epoch(1)) {
      seen.push(...inputs.data);
      expect(targets).toEqual({});
    }
    expect(seen).toEqual(Array.from({ length: 24 }, (_, i) => ((i >> 1) % 3 === 0 ? (i >> 1) + 1 : 0)));
  });

  it.each([
    0, 1, 3,
  ])("its failure reaches who asks for that batch, with prefetch %i, at once or later", async (prefetch) => {
    for (const late of [false, true]) {
      for (const bad of [0, 5, 7]) {
        const set = dataset({
          length: 8,
          inputs: { shape: [] },
          targets: {},
          fill(index) {
            const check = () => {
              if (index === bad) throw new FormatError(`sample ${index} is broken`);
            };
            return late ? turn().then(check) : check();
          },
        });
        const loader = new DataLoader(set, { batchSize: 2, prefetch });
        const taken: number[] = [];
        const run = async () => {
          for await (const batch of loader.epoch(0)) {
            taken.push(batch.index);
            await turn(2);
          }
        };
        await expect(run()).rejects.toThrow(`sample ${bad} is broken`);
        expect(taken).toEqual(Array.from({ length: bad >> 1 }, (_, i) => i));
      }
    }
  });

  it("that is left early is done with its memory before the next epoch gets it", async () => {
    const set = sequence(12, () => 3);
    const loader = new DataLoader(set, { batchSize: 2, prefetch: 2 });
    for (let round = 0; round < 3; round++) {
      for await (const batch of loader.epoch(0)) if (batch.index === round) break;
      expect(await collect(loader.epoch(1))).toEqual(
        await collect(new DataLoader(sequence(12), { batchSize: 2 }).epoch(1)),
      );
    }
  });

  it.each<[string, Partial<Record<keyof Dataset, unknown>>, RegExp]>([
    ["length", { length: -1 }, /length/],
    ["inputs", { inputs: undefined }, /inputs is \{ shape, dtype\? \}/],
    ["inputs", { inputs: { shape: [0] } }, /whole numbers from 1/],
    ["inputs", { inputs: { shape: [2], type: "f32" } }, /type/],
    ["inputs", { inputs: { a: { shape: [1] }, b: 3 } }, /found 3\.b/],
    ["targets", { targets: [{ shape: [1] }, null] }, /found null\[1\]/],
    ["targets", { targets: { shape: [], dtype: "f16" } }, /dtype/],
    ["fill", { fill: 3 }, /fill/],
  ])("is refused for its %s: %j", (_, wrong, message) => {
    const set = { ...sequence(4), ...wrong } as never;
    for (const make of [() => dataset(set), () => new DataLoader(set, { batchSize: 1 })]) {
      expect(make).toThrow(ArgumentError);
      expect(make).toThrow(message);
    }
  });

  it("has no transforms of images, and says so", () => {
    const options = { batchSize: 1, transform: [randomHorizontalFlip()] };
    expect(() => new DataLoader(sequence(4), options)).toThrow(/in its fill/);
    expect(() => new DataLoader(sequence(4), { batchSize: 5, dropLast: true })).toThrow(/of the 4 samples/);
  });
});

describe("arrays", () => {
  it("gives rows of tables, masks and numbers, of the types that arrays have", async () => {
    const set = arrays({
      inputs: { data: Float32Array.from({ length: 12 }, (_, i) => i), shape: [3, 2, 2] },
      targets: {
        label: { data: Int32Array.of(7, 8, 9) },
        mask: { data: Uint8Array.of(0, 1, 1, 0, 1, 1), shape: [3, 2] },
        weight: { data: [0.5, 1.5, 2.5] as never, dtype: "f32" },
      },
    } as const);
    expect(set.length).toBe(3);
    expect(set.inputs).toEqual({ shape: [2, 2], dtype: "f32" });
    const [first, second] = await collect(new DataLoader(set, { batchSize: 2 }).epoch(0));
    expect(first).toEqual({
      inputs: { data: [0, 1, 2, 3, 4, 5, 6, 7], shape: [2, 2, 2] },
      targets: {
        label: { data: [7, 8], shape: [2] },
        mask: { data: [0, 1, 1, 0], shape: [2, 2] },
        weight: { data: [0.5, 1.5], shape: [2] },
      },
      size: 2,
      index: 0,
    });
    expect((second as { targets: { weight: unknown } }).targets.weight).toEqual({ data: [2.5], shape: [1] });
  });

  it("takes lists of arrays, tensors of files, and no targets", async () => {
    const set = arrays({
      inputs: [
        { dtype: "F16", shape: [2, 1], data: Uint16Array.of(0x3c00, 0x4000) },
        { dtype: "I64", shape: [2], data: BigInt64Array.of(5n, -6n) },
      ],
    });
    const [batch] = await collect(new DataLoader(set, { batchSize: 2 }).epoch(0));
    expect(batch).toEqual({
      inputs: [
        { data: [1, 2], shape: [2, 1] },
        { data: [5, -6], shape: [2] },
      ],
      targets: {},
      size: 2,
      index: 0,
    });
  });

  it("is a view of what needs no conversion", async () => {
    const data = Float32Array.of(1, 2);
    const loader = new DataLoader(arrays({ inputs: { data } }), { batchSize: 2 });
    data[1] = 5;
    const { value } = await loader.epoch(0).next();
    expect([...value!.inputs.data]).toEqual([1, 5]);
  });

  it.each<[unknown, new (m: string) => PanError, RegExp]>([
    [
      { inputs: { data: new Float32Array(3) }, targets: { data: new Float32Array(2) } },
      ShapeError,
      /3 in inputs and 2 in targets/,
    ],
    [{ inputs: { data: new Float32Array(3), shape: [2, 2] } }, ShapeError, /inputs.*holds 4 elements, the data has 3/],
    [{ inputs: { data: new Float32Array(1), shape: [] } }, ShapeError, /\[samples, …\]/],
    [{ inputs: { data: "abc" } }, ArgumentError, /inputs/],
    [{ inputs: { a: { data: Float32Array.of(0.5), dtype: "i32" } } }, ArgumentError, /inputs\.a: element 0 is 0\.5/],
    [{ inputs: null }, ArgumentError, /inputs/],
    [{}, ArgumentError, /inputs/],
    [null, ArgumentError, /\{ inputs, targets \}/],
  ])("refuses %j", (parts, kind, message) => {
    expect(() => arrays(parts as never)).toThrow(kind);
    expect(() => arrays(parts as never)).toThrow(message);
  });
});

const pictures = (n: number) =>
  imageSet({
    images: Uint8Array.from({ length: n * 3 * 4 * 5 }, (_, i) => (i * 31) % 256),
    labels: Uint8Array.from({ length: n }, (_, i) => i % 3),
    channels: 3,
    height: 4,
    width: 5,
    classes: ["a", "b", "c"],
  });
const clouds = (n: number) =>
  pointSet({
    points: Float32Array.from({ length: n * 12 }, (_, i) => i / 7),
    labels: Uint8Array.from({ length: n }, (_, i) => i % 2),
    classes: ["a", "b"],
    pointsPerCloud: 4,
  });
/** The same pictures, read when they are wanted. */
const streamed = (n: number, late = false): ImageStream => {
  const { images, ...parts } = pictures(n);
  const read = (index: number, out: Uint8Array) => {
    const copy = () => out.set(images.subarray(index * 60, (index + 1) * 60));
    return late ? turn(index % 3).then(copy) : copy();
  };
  return imageStream({ ...parts, read });
};

describe("images and clouds as data sets", () => {
  it("give inputs and targets beside images and labels, the same arrays", async () => {
    for (const set of [pictures(5), clouds(5), streamed(5)]) {
      for await (const batch of new DataLoader(set, { batchSize: 2 }).epoch(0)) {
        expectTypeOf(batch).toEqualTypeOf<Batch>();
        expect(batch.inputs.data).toBe(batch.images);
        expect(batch.inputs.shape).toEqual(batch.shape);
        expect(batch.targets.data).toBe(batch.labels);
        expect(batch.targets.shape).toEqual([batch.size]);
      }
    }
  });

  it("are the same data set by asDataset", async () => {
    const transform = [normalize([0.1, 0.2, 0.3], [1, 2, 3])];
    const set = asDataset(pictures(5), transform);
    expect([set.length, set.inputs, set.targets]).toEqual([5, { shape: [4, 5, 3] }, { shape: [], dtype: "i32" }]);
    const general = await collect(new DataLoader(set, { batchSize: 2, shuffle: true }).epoch(1));
    const own = (await collect(
      new DataLoader(pictures(5), { batchSize: 2, shuffle: true, transform }).epoch(1),
    )) as Batch[];
    expect(general).toEqual(own.map(({ inputs, targets, size, index }) => ({ inputs, targets, size, index })));
    // A set of one's own around it: pictures with masks.
    const masked = dataset({
      length: set.length,
      inputs: set.inputs,
      targets: { mask: { shape: [2], dtype: "i32" } },
      fill(index, { inputs, targets, random }) {
        targets.mask.fill(index);
        return set.fill(index, { inputs, targets: new Int32Array(1), random });
      },
    });
    const [batch] = (await collect(new DataLoader(masked, { batchSize: 5 }).epoch(0))) as [Record<string, unknown>];
    expect(batch["targets"]).toEqual({ mask: { data: [0, 0, 1, 1, 2, 2, 3, 3, 4, 4], shape: [5, 2] } });
  });

  it("read when they are wanted are those in memory, through transforms, parts and choices", async () => {
    const transform = [randomCrop({ padding: 2 }), randomHorizontalFlip()];
    const options = { batchSize: 3, shuffle: true, seed: 4, transform };
    const of = (set: AnySet) => collect(new DataLoader(set, options).epoch(1));
    for (const late of [false, true]) {
      const [stream, set] = [streamed(10, late), pictures(10)];
      expect(sampleShape(stream)).toEqual([4, 5, 3]);
      expect(await of(stream)).toEqual(await of(set));
      expect(await of(subset(stream, 2, 9))).toEqual(await of(subset(set, 2, 9)));
      expect(await of(selectSamples(stream, [7, 0, 7]))).toEqual(await of(selectSamples(set, [7, 0, 7])));
      expect(await of(withoutClasses(stream, ["b"]))).toEqual(await of(withoutClasses(set, ["b"])));
      const twice = subset(selectSamples(stream, [9, 4, 2]), 1, 3);
      expect(await of(twice)).toEqual(await of(selectSamples(set, [4, 2])));
    }
  });

  it("streams whose parts do not agree are refused", () => {
    const stream = streamed(3);
    expect(() => imageStream({ ...stream, read: 3 as never })).toThrow(ArgumentError);
    expect(() => imageStream({ ...stream, height: 0 })).toThrow(/height/);
    expect(() => imageStream({ ...stream, labels: [0, 3] as never })).toThrow(FormatError);
    expect(() => subset(stream, 1, 4)).toThrow(/<= 3/);
  });
});

describe("trainTestSplit", () => {
  it("takes a share of each class, by the seed alone, in the order of the set", async () => {
    const set = pictures(31); // 11, 10, 10 of the classes
    const { train, test } = trainTestSplit(set, { test: 0.3, seed: 2 });
    const count = ({ labels }: { labels: ArrayLike<number> }) =>
      [0, 1, 2].map((c) => Array.from(labels).filter((l) => l === c).length);
    expect(count(test)).toEqual([3, 3, 3]);
    expect(count(train)).toEqual([8, 7, 7]);
    const first = ({ images, length }: typeof set) =>
      Array.from({ length }, (_, i) => images.subarray(i * 60, i * 60 + 60).join());
    const [all, left, right] = [first(set), first(train), first(test)];
    expect([...left, ...right].sort()).toEqual([...all].sort());
    for (const part of [left, right]) {
      const places = part.map((picture) => all.indexOf(picture));
      expect(places).toEqual([...places].sort((a, b) => a - b));
    }
    expect(first(trainTestSplit(set, { test: 0.3, seed: 2 }).test)).toEqual(right);
    expect(first(trainTestSplit(set, { test: 0.3, seed: 3 }).test)).not.toEqual(right);
    const stream = trainTestSplit(streamed(31), { test: 0.3, seed: 2 });
    const options = { batchSize: 40 };
    expect(await collect(new DataLoader(stream.test, options).epoch(0))).toEqual(
      await collect(new DataLoader(test, options).epoch(0)),
    );
  });

  it("splits a general set as one, and leaves each class something to learn from", async () => {
    const { train, test } = trainTestSplit(sequence(10), { test: 0.25 });
    expect([train.length, test.length]).toEqual([7, 3]);
    const starts = async (set: AnySet) =>
      ((await collect(new DataLoader(set, { batchSize: 10 }).epoch(0))) as { inputs: { data: number[] } }[]).flatMap(
        ({ inputs }) => inputs.data.filter((_, i) => i % 3 === 0),
      );
    const both = [...(await starts(train)), ...(await starts(test))];
    expect(both.sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect([...trainTestSplit(pictures(4), { test: 0.9 }).train.labels]).toEqual([0, 1, 2].slice(0, 3).sort());
  });

  it.each([{ test: 0 }, { test: 1.1 }, { test: "0.2" }, { seed: -1 }, { fraction: 0.2 }])("refuses %j", (options) => {
    expect(() => trainTestSplit(pictures(9), options as never)).toThrow(ArgumentError);
  });
});

describe("toTensors", () => {
  beforeAll(() => gpu());

  it("uploads each array in its type, put together as it was", async () => {
    for await (const batch of new DataLoader(sequence(4), { batchSize: 4 }).epoch(0)) {
      const { inputs, targets, size, index } = toTensors(batch);
      expectTypeOf(inputs).toEqualTypeOf<Tensor>();
      expectTypeOf(targets.next).toEqualTypeOf<Tensor>();
      expect([size, index]).toEqual([4, 0]);
      expect([inputs.dtype, inputs.shape]).toEqual(["i32", [4, 3]]);
      expect([...(await inputs.data())]).toEqual([0, 1, 2, 1, 2, 3, 2, 3, 4, 3, 4, 5]);
      expect([targets.noise.dtype, targets.noise.shape]).toEqual(["f32", [4, 2]]);
      expect([...(await targets.next.data())]).toEqual([3, 4, 5, 6]);
      for (const t of [inputs, targets.next, targets.noise]) t.dispose();
    }
    for await (const batch of new DataLoader(pictures(2), { batchSize: 2 }).epoch(0)) {
      scope(() => {
        const { inputs, targets } = toTensors(batch);
        expect([inputs.shape, targets.shape, targets.dtype]).toEqual([[2, 4, 5, 3], [2], "i32"]);
      });
    }
  });

  it("refuses what is no batch", () => {
    for (const wrong of [null, 3, {}, { inputs: 3, targets: {} }]) {
      expect(() => toTensors(wrong as never)).toThrow(PanError);
    }
    expect(Tensor).toBeDefined();
  });
});
