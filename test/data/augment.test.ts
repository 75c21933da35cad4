/** Resampling, colours and holes: against plain oracles, PyTorch and Python's colorsys. */
import { describe, expect, it } from "vitest";
import {
  type ColorTransform,
  centerCrop,
  colorJitter,
  cutout,
  type ImageSet,
  type ImageTransform,
  ImageWriter,
  imageSet,
  normalize,
  type PictureWindow,
  type Pixels,
  randomCrop,
  randomHorizontalFlip,
  randomResizedCrop,
} from "../../src/data";
import { ArgumentError, FormatError, ShapeError } from "../../src/errors";
import { Generator } from "../../src/tensor/random";
import { Golden } from "../support/golden";

const golden = new Golden("augment");

function randomSet(n: number, channels: number, height: number, width: number): ImageSet {
  const random = new Generator(99);
  const images = Uint8Array.from({ length: n * channels * height * width }, () => random.integer(256));
  return imageSet({ images, labels: new Uint8Array(n), channels, height, width, classes: ["only"] });
}

function write(set: ImageSet<Pixels>, transforms: readonly ImageTransform[], seed = 0, index = 0) {
  const writer = new ImageWriter(set, transforms, new Generator(0));
  const out = new Float32Array(writer.shape.reduce((a, b) => a * b));
  writer.write(set, index, out, 0, new Generator(seed));
  return { shape: writer.shape, pixels: out };
}

function expectNear(actual: ArrayLike<number>, expected: ArrayLike<number>, what = ""): void {
  expect(actual.length).toBe(expected.length);
  for (let i = 0; i < actual.length; i++)
    expect(Math.abs(actual[i]! - expected[i]!), `${what} at ${i}`).toBeLessThan(1e-6);
}

const inWindow = (window: PictureWindow, size: readonly [number, number]): ImageTransform => ({
  kind: "resample",
  size,
  window: () => window,
});

describe("resampling", () => {
  const cases = golden.meta("resampled") as {
    name: string;
    window: [number, number, number, number];
    size: [number, number];
  }[];
  const setOf = (name: string): ImageSet => {
    const [channels, height, width] = golden.shape(`${name}.x`) as [number, number, number];
    const images = Uint8Array.from(golden.data(`${name}.x`));
    return imageSet({ images, labels: [0], channels, height, width, classes: ["only"] });
  };

  it.each(cases)("$name is PyTorch's antialiased bilinear interpolation", ({ name, window, size }) => {
    const [top, left, height, width] = window;
    const { shape, pixels } = write(setOf(name), [inWindow({ top, left, height, width }, size)]);
    expect(shape.slice(0, 2)).toEqual(size);
    expectNear(pixels, golden.data(`${name}.y`));
  });

  it("gives the same of floats as of the bytes they stand for, through flips and value maps", () => {
    const bytes = randomSet(2, 3, 7, 9);
    const floats = imageSet({ ...bytes, images: Float32Array.from(bytes.images, (b) => b / 255) });
    const list = [
      randomResizedCrop({ size: [6, 5] }),
      randomCrop({ padding: 1 }),
      randomHorizontalFlip(),
      normalize([0.5, 0.4, 0.3], [0.2, 0.2, 0.1]),
    ];
    for (let seed = 0; seed < 20; seed++) {
      const [a, b] = [write(bytes, list, seed, 1), write(floats, list, seed, 1)];
      expect(a.shape).toEqual([6, 5, 3]);
      for (let i = 0; i < a.pixels.length; i++) expect(Math.abs(a.pixels[i]! - b.pixels[i]!)).toBeLessThan(1e-5);
    }
  });

  it("of the whole picture in its own size changes nothing", () => {
    const set = randomSet(1, 3, 6, 5);
    const whole = inWindow({ top: 0, left: 0, height: 6, width: 5 }, [6, 5]);
    expect(write(set, [whole]).pixels).toEqual(write(set, []).pixels);
  });

  it("refuses windows that are none, two resamplings, and one behind a crop", () => {
    const set = randomSet(1, 3, 6, 5);
    for (const window of [
      { top: 0, left: 0, height: 7, width: 5 },
      { top: -1, left: 0, height: 2, width: 2 },
      { top: 0, left: 0.5, height: 2, width: 2 },
      { top: 0, left: 0, height: 0, width: 2 },
      null,
    ]) {
      expect(() => write(set, [inWindow(window as never, [3, 3])])).toThrow(/window inside of 6x5/);
    }
    const crop = randomResizedCrop({ size: 3 });
    expect(() => write(set, [crop, crop])).toThrow(/at most one of kind resample/);
    expect(() => write(set, [randomHorizontalFlip(), crop])).toThrow(/number 1 is "resample" after "geometry"/);
    const nan = imageSet({ ...set, images: new Float32Array(90) });
    nan.images[3] = Number.NaN;
    expect(() => write(nan, [inWindow({ top: 0, left: 0, height: 6, width: 5 }, [2, 2])])).toThrow(FormatError);
  });
});

describe("randomResizedCrop", () => {
  /** The draws that it promises. */
  function expected(height: number, width: number, scale: [number, number], ratio: [number, number], draws: Generator) {
    for (let i = 0; i < 10; i++) {
      const area = draws.uniform(scale[0], scale[1]) * height * width;
      const shape = Math.exp(draws.uniform(Math.log(ratio[0]), Math.log(ratio[1])));
      const [w, h] = [Math.round(Math.sqrt(area * shape)), Math.round(Math.sqrt(area / shape))];
      if (w > 0 && w <= width && h > 0 && h <= height) {
        const top = draws.integer(height - h + 1);
        return { top, left: draws.integer(width - w + 1), height: h, width: w };
      }
    }
    return undefined;
  }

  it("draws windows as torchvision does", () => {
    const crop = randomResizedCrop({ size: 4 });
    const shares: number[] = [];
    for (let seed = 0; seed < 500; seed++) {
      const window = crop.window(60, 90, new Generator(seed));
      expect(window).toEqual(expected(60, 90, [0.08, 1], [3 / 4, 4 / 3], new Generator(seed)) ?? window);
      expect(window.top + window.height).toBeLessThanOrEqual(60);
      expect(window.left + window.width).toBeLessThanOrEqual(90);
      const share = (window.height * window.width) / 5400;
      shares.push(share);
      const shape = window.width / window.height;
      expect(shape > 0.7 && shape < 1.4).toBe(true);
    }
    expect(Math.min(...shares)).toBeLessThan(0.11);
    expect(Math.max(...shares)).toBeGreaterThan(0.75);
  });

  it("takes the largest allowed window in the middle where none fits", () => {
    // A square never fits into 100 × 10 with more than a tenth of its area.
    const wide = randomResizedCrop({ size: 4, scale: [0.5, 1], ratio: [1, 1] });
    expect(wide.window(10, 100, new Generator(1))).toEqual({ top: 0, left: 45, height: 10, width: 10 });
    expect(wide.window(100, 10, new Generator(1))).toEqual({ top: 45, left: 0, height: 10, width: 10 });
  });

  it.each([
    [{ size: 0 }, /size/],
    [{ size: [4] }, /\[height, width\]/],
    [{ size: 4, scale: [0, 1] }, /0 < low/],
    [{ size: 4, scale: [0.5, 2] }, /scale\[1\]/],
    [{ size: 4, ratio: [2, 1] }, /0 < low <= high/],
    [{ size: 4, ratio: 2 }, /\[low, high\]/],
    [{ size: 4, area: 2 }, /no option "area"/],
  ])("refuses %j", (options, message) => {
    expect(() => randomResizedCrop(options as never)).toThrow(ArgumentError);
    expect(() => randomResizedCrop(options as never)).toThrow(message);
  });
});

describe("centerCrop", () => {
  it("is torchvision's: the middle, the odd pixel to the even side, black beside small pictures", () => {
    const positions = (size: number, wanted: number) => {
      const set = imageSet({
        images: Uint8Array.from({ length: size }, (_, i) => i + 1),
        labels: [0],
        channels: 1,
        height: 1,
        width: size,
        classes: ["only"],
      });
      return [...write(set, [centerCrop([1, wanted])]).pixels].map((v) => Math.round(v * 255));
    };
    // torchvision: int(round((size − wanted) / 2)), Python's round.
    expect(positions(8, 4)).toEqual([3, 4, 5, 6]);
    expect(positions(5, 4)).toEqual([1, 2, 3, 4]);
    expect(positions(7, 4)).toEqual([3, 4, 5, 6]);
    expect(positions(9, 4)).toEqual([3, 4, 5, 6]);
    expect(positions(2, 5)).toEqual([0, 1, 2, 0, 0]);
    expect(positions(3, 3)).toEqual([1, 2, 3]);
  });
});

describe("colorJitter", () => {
  const grey = (r: number, g: number, b: number) => 0.2989 * r + 0.587 * g + 0.114 * b;
  const clamp = (x: number) => Math.min(1, Math.max(0, x));
  const apply = (transform: ColorTransform, pixels: ArrayLike<number>, seed = 0, channels = 3) => {
    const out = Float32Array.from(pixels);
    transform.apply(out, [1, out.length / channels, channels], new Generator(seed));
    return out;
  };
  const picture = Float32Array.from({ length: 60 }, (_, i) => ((i * 37) % 61) / 60);
  const triples = (pixels: ArrayLike<number>) =>
    Array.from(
      { length: pixels.length / 3 },
      (_, i) => [pixels[3 * i]!, pixels[3 * i + 1]!, pixels[3 * i + 2]!] as const,
    );

  const CHANGES = {
    brightness: (p: number[], f: number) => p.map((v) => clamp(f * v)),
    contrast: (p: number[], f: number) => {
      const all = triples(p).map((t) => grey(...t));
      const mean = all.reduce((a, b) => a + b) / all.length;
      return p.map((v) => clamp(f * v + (1 - f) * mean));
    },
    saturation: (p: number[], f: number) =>
      triples(p).flatMap((t) => t.map((v) => clamp(f * v + (1 - f) * grey(...t)))),
  };

  it.each(Object.keys(CHANGES) as (keyof typeof CHANGES)[])("%s", (part) => {
    for (const factor of [0, 0.4, 1, 1.7]) {
      expectNear(apply(colorJitter({ [part]: [factor, factor] }), picture), CHANGES[part]([...picture], factor), part);
    }
  });

  it("hue is Python's colorsys", () => {
    for (const [i, turn] of (golden.meta("turns") as number[]).entries()) {
      expectNear(
        apply(colorJitter({ hue: [turn, turn] }), golden.data("hue.x")),
        golden.data(`hue.${i}`),
        `turn ${turn}`,
      );
    }
  });

  it("draws the order, then a factor for each that is given, and composes them", () => {
    const jitter = colorJitter({ brightness: 0.4, contrast: [0.5, 2], saturation: 3 });
    const orders = new Set<string>();
    for (let seed = 0; seed < 40; seed++) {
      const draws = new Generator(seed);
      const order = draws.permutation(4);
      const factors = [draws.uniform(0.6, 1.4), draws.uniform(0.5, 2), draws.uniform(0, 4)];
      let expected = [...picture];
      for (const number of order) {
        const change = Object.values(CHANGES)[number];
        if (change) expected = change(expected, factors[number]!);
      }
      orders.add([...order].filter((n) => n < 3).join());
      expectNear(apply(jitter, picture, seed), expected, `seed ${seed}`);
    }
    expect(orders.size).toBe(6);
  });

  it("leaves saturation and hue of grey pictures, and refuses other channels", () => {
    const jitter = colorJitter({ saturation: [0, 0], hue: 0.5 });
    expect(apply(jitter, picture, 1, 1)).toEqual(picture);
    const dark = apply(colorJitter({ contrast: [0, 0] }), [0, 1, 0.5, 0.5], 0, 1);
    expect([...dark]).toEqual([0.5, 0.5, 0.5, 0.5]);
    expect(() => apply(jitter, picture, 1, 2)).toThrow(ShapeError);
  });

  it("comes before the value maps, whatever bytes are", () => {
    const set = randomSet(1, 3, 4, 5);
    const list = [
      randomHorizontalFlip(1),
      colorJitter({ brightness: [0.5, 0.5] }),
      normalize([0.1, 0.2, 0.3], [2, 3, 4]),
    ];
    const { pixels } = write(set, list);
    const plain = write(set, [randomHorizontalFlip(1)]).pixels;
    const [mean, std] = [
      [0.1, 0.2, 0.3],
      [2, 3, 4],
    ];
    expectNear(
      pixels,
      plain.map((v, i) => (0.5 * v - mean[i % 3]!) / std[i % 3]!),
    );
  });

  it.each([
    [{}, /one or more of brightness/],
    [{ hue: 0.6 }, /hue .* to 0.5/],
    [{ hue: [-0.6, 0] }, /hue\[0\]/],
    [{ brightness: -1 }, /brightness/],
    [{ contrast: [2, 1] }, /in this order/],
    [{ saturation: "1" }, /saturation/],
    [{ gamma: 1 }, /no option "gamma"/],
  ])("refuses %j", (options, message) => {
    expect(() => colorJitter(options as never)).toThrow(ArgumentError);
    expect(() => colorJitter(options as never)).toThrow(message);
  });
});

describe("cutout", () => {
  it("erases squares about drawn centres, cut off at the borders, behind normalize", () => {
    const set = randomSet(1, 3, 7, 6);
    const values = normalize([0.5, 0.5, 0.5], [0.1, 0.1, 0.1]);
    const whole = write(set, [values]).pixels;
    for (const [size, holes, fill] of [
      [3, 1, 0],
      [4, 2, 0.25],
      [1, 3, -1],
      [50, 1, 0],
    ] as const) {
      for (let seed = 0; seed < 20; seed++) {
        const draws = new Generator(seed);
        const erased = new Set<number>();
        for (let hole = 0; hole < holes; hole++) {
          const top = draws.integer(7) - Math.floor(size / 2);
          const left = draws.integer(6) - Math.floor(size / 2);
          for (let y = top; y < top + size; y++)
            for (let x = left; x < left + size; x++) if (y >= 0 && y < 7 && x >= 0 && x < 6) erased.add(y * 6 + x);
        }
        const expected = whole.map((v, i) => (erased.has(Math.floor(i / 3)) ? fill : v));
        expect(write(set, [values, cutout({ size, holes, fill })], seed).pixels, `${size}, seed ${seed}`).toEqual(
          expected,
        );
      }
    }
  });

  it.each([
    { size: 0 },
    { size: 2.5 },
    { size: 2, holes: 0 },
    { size: 2, fill: Number.NaN },
    {},
    { size: 2, length: 3 },
  ])("refuses %j", (options) => {
    expect(() => cutout(options as never)).toThrow(ArgumentError);
  });
});
