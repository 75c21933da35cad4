import { describe, expect, it } from "vitest";
import {
  CIFAR_MEAN,
  CIFAR_STD,
  cifarTransform,
  type GeometryTransform,
  type ImageSet,
  type ImageTransform,
  ImageWriter,
  imageSet,
  normalize,
  type PixelTransform,
  randomCrop,
  randomHorizontalFlip,
} from "../../src/data";
import { ArgumentError, ShapeError } from "../../src/errors";
import { Generator } from "../../src/tensor/random";

function randomSet(n: number, channels: number, height: number, width: number): ImageSet {
  const random = new Generator(99);
  const images = Uint8Array.from({ length: n * channels * height * width }, () => random.integer(256));
  return imageSet({ images, labels: new Uint8Array(n), channels, height, width, classes: ["only"] });
}

function write(set: ImageSet, index: number, transforms: readonly ImageTransform[], random = new Generator(0)) {
  const writer = new ImageWriter(set, transforms, new Generator(0));
  const [h, w, c] = writer.shape;
  // A border of sentinels shows writes outside of the picture.
  const out = new Float32Array(h * w * c + 4).fill(77);
  writer.write(set, index, out, 2, random);
  expect([out[0], out[1], out[out.length - 2], out[out.length - 1]]).toEqual([77, 77, 77, 77]);
  return { shape: writer.shape, pixels: out.slice(2, -2) };
}

/**
 * A picture as nested arrays [channel][row][column], for the oracle that does one plain step after
 * another.
 */
type Planes = number[][][];

function planesOf(set: ImageSet, index: number): Planes {
  return Array.from({ length: set.channels }, (_, c) =>
    Array.from({ length: set.height }, (_, y) =>
      Array.from(
        { length: set.width },
        (_, x) => set.images[((index * set.channels + c) * set.height + y) * set.width + x]!,
      ),
    ),
  );
}
const pad = (planes: Planes, p: number): Planes =>
  planes.map((plane) => {
    const width = plane[0]!.length + 2 * p;
    const black = () => Array.from({ length: p }, () => new Array<number>(width).fill(0));
    const side = new Array<number>(p).fill(0);
    return [...black(), ...plane.map((row) => [...side, ...row, ...side]), ...black()];
  });
const cut = (planes: Planes, top: number, left: number, size: [number, number]): Planes =>
  planes.map((plane) => plane.slice(top, top + size[0]).map((row) => row.slice(left, left + size[1])));
const mirror = (planes: Planes): Planes => planes.map((plane) => plane.map((row) => [...row].reverse()));
const channelsLast = (planes: Planes): number[] =>
  planes[0]!.flatMap((row, y) => row.flatMap((_, x) => planes.map((plane) => plane[y]![x]!)));
const scaled = (planes: Planes): Planes => planes.map((p) => p.map((row) => row.map((v) => Math.fround(v / 255))));

const reverseRows: GeometryTransform = { kind: "geometry", place: (rows) => rows.reverse() };

describe("ImageWriter", () => {
  it("brings planes to channels last and bytes to 0 … 1", () => {
    const set = randomSet(3, 3, 4, 5);
    const { shape, pixels } = write(set, 1, []);
    expect(shape).toEqual([4, 5, 3]);
    expect([...pixels]).toEqual(channelsLast(scaled(planesOf(set, 1))));
  });

  it("equals pad, crop, flip, scale, normalise done one after the other", () => {
    const set = randomSet(4, 3, 6, 7);
    const transforms = [randomCrop({ padding: 3 }), randomHorizontalFlip(0.5), normalize(CIFAR_MEAN, CIFAR_STD)];
    const seen = new Set<string>();
    for (let seed = 0; seed < 60; seed++) {
      // The draws, in the order that the transforms promise.
      const draws = new Generator(seed);
      const top = draws.integer(7);
      const left = draws.integer(7);
      const flip = draws.uniform() < 0.5;
      seen.add(`${top < 3}${left < 3}${flip}`);
      let planes = cut(pad(planesOf(set, seed % 4), 3), top, left, [6, 7]);
      if (flip) planes = mirror(planes);
      const normal = scaled(planes).map((plane, c) => {
        const [mean, std] = [Math.fround(CIFAR_MEAN[c]!), Math.fround(CIFAR_STD[c]!)];
        return plane.map((row) => row.map((v) => Math.fround(Math.fround(v - mean) / std)));
      });
      const { pixels } = write(set, seed % 4, transforms, new Generator(seed));
      expect([...pixels], `seed ${seed}`).toEqual(channelsLast(normal));
    }
    expect(seen.size).toBe(8);
  });

  it("composes any chain of crops and flips", () => {
    const set = randomSet(1, 2, 6, 6);
    for (let seed = 0; seed < 40; seed++) {
      const draws = new Generator(seed);
      draws.uniform(); // a flip draws even if it is certain
      let planes = mirror(planesOf(set, 0));
      planes = cut(planes, draws.integer(4), draws.integer(4), [3, 3]);
      planes = planes.map((plane) => [...plane].reverse());
      if (draws.uniform() < 0.5) planes = mirror(planes);
      // What the first crop cut away must come back black.
      planes = cut(pad(planes, 2), draws.integer(3), draws.integer(3), [5, 5]);
      planes = mirror(planes);
      const { shape, pixels } = write(
        set,
        0,
        [
          randomHorizontalFlip(1),
          randomCrop({ size: 3 }),
          reverseRows,
          randomHorizontalFlip(),
          randomCrop({ padding: 2, size: 5 }),
          randomHorizontalFlip(1),
        ],
        new Generator(seed),
      );
      expect(shape).toEqual([5, 5, 2]);
      expect([...pixels], `seed ${seed}`).toEqual(channelsLast(scaled(planes)));
    }
  });

  it("shows nothing but black when the window misses the image", () => {
    const away: GeometryTransform = { kind: "geometry", place: (rows) => rows.window(100, 4) };
    const set = randomSet(1, 3, 4, 4);
    const { pixels } = write(set, 0, [away, normalize([0.5, 0.25, 0], [1, 1, 1])]);
    expect([...pixels.slice(0, 3)]).toEqual([-0.5, -0.25, 0]);
    expect(new Set(pixels)).toEqual(new Set([-0.5, -0.25, 0]));
  });

  it("has PyTorch's bits: uint8 / 255, minus mean, divided by std in float32", () => {
    // torch 1.13: x.float().div(255).sub_(mean).div_(std), viewed as int32.
    const bytes = [0, 1, 2, 3, 77, 128, 200, 254, 255];
    const torch = [
      [-1071942192, -1072023498, -1072104804, -1072186110, -1083197008, 1029034895, 1069110622, 1075816759, 1075898065],
      [-1071987536, -1072070025, -1072152514, -1072235002, -1083742592, 1036711340, 1069674306, 1076162457, 1076244944],
      [-1072813234, -1072895067, -1072976899, -1073058731, -1086843143, 1049445879, 1071063050, 1076821370, 1076903202],
    ];
    const images = Uint8Array.from([...bytes, ...bytes, ...bytes]);
    const set = imageSet({ images, labels: new Uint8Array(1), channels: 3, height: 1, width: 9, classes: ["only"] });
    const bits = new Int32Array(write(set, 0, cifarTransform("test")).pixels.buffer);
    expect([...bits]).toEqual(bytes.flatMap((_, x) => torch.map((plane) => plane[x]!)));
  });

  it("lets a custom transform work on the finished pixels", () => {
    const erase: PixelTransform = {
      kind: "pixels",
      apply(pixels, [h, w, c], random) {
        expect(pixels).toHaveLength(h * w * c);
        pixels.fill(9, 0, random.integer(3) + c);
      },
    };
    const set = randomSet(1, 3, 4, 4);
    const plain = write(set, 0, []).pixels;
    const { pixels } = write(set, 0, [erase], new Generator(1));
    const erased = new Generator(1).integer(3) + 3;
    expect([...pixels]).toEqual([...plain].map((v, i) => (i < erased ? 9 : v)));
  });

  it("refuses lists it would have to misread", () => {
    const set = randomSet(1, 3, 4, 4);
    expect(() => write(set, 0, [normalize([0], [1])])).toThrow(ShapeError);
    expect(() => write(set, 0, [normalize([0, 0, 0], [1, 1, 1]), randomCrop({ padding: 1 })])).toThrow(
      /number 1 is "geometry" after "value"/,
    );
    expect(() => write(set, 0, [{ kind: "other" } as never])).toThrow(ArgumentError);
    expect(() => write(set, 0, [randomCrop({ size: 7, padding: 1 })])).toThrow(/at most 6/);
    const growing: GeometryTransform = {
      kind: "geometry",
      place: (rows, _, r) => rows.window(0, 1 + r.state().counter),
    };
    expect(() => write(set, 0, [growing, randomHorizontalFlip()], Generator.from({ key: [0, 0], counter: 2 }))).toThrow(
      /expected every picture to be 1x4 as the first, got 3x4/,
    );
  });

  it("refuses options that make no sense", () => {
    expect(() => randomCrop({ padding: -1 })).toThrow(ArgumentError);
    expect(() => randomCrop({ size: 0 })).toThrow(ArgumentError);
    expect(() => randomHorizontalFlip(1.5)).toThrow(ArgumentError);
    expect(() => normalize([0, 0], [1])).toThrow(ArgumentError);
    expect(() => normalize([0], [0])).toThrow(ArgumentError);
  });
});
