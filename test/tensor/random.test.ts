import { describe, expect, it } from "vitest";
import { ArgumentError } from "../../src/errors";
import { Generator, threefry2x32 } from "../../src/tensor/random";

const words = (g: Generator, n: number) => Array.from({ length: n }, () => g.uint32());

describe("threefry2x32", () => {
  // Known answers published with the Random123 library, threefry2x32 with 20 rounds.
  it.each([
    [0, 0, 0, 0, 0x6b200159, 0x99ba4efe],
    [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0x1cb996fc, 0xbb002be7],
    [0x13198a2e, 0x03707344, 0x243f6a88, 0x85a308d3, 0xc4923a9c, 0x483df7a0],
  ])("key %i %i counter %i %i", (k0, k1, c0, c1, x0, x1) => {
    const out = new Uint32Array(2);
    threefry2x32(k0, k1, c0, c1, out);
    expect([...out]).toEqual([x0, x1]);
  });
});

describe("Generator", () => {
  it("draws the cipher's blocks in order", () => {
    const out = new Uint32Array(2);
    const expected: number[] = [];
    for (let i = 0; i < 5; i++) {
      threefry2x32(123, 7, i, 0, out);
      expected.push(out[0]!, out[1]!);
    }
    expect(words(new Generator(7 * 2 ** 32 + 123), 10)).toEqual(expected);
  });

  it("resumes from any state, at odd counts and beyond 2^32 words", () => {
    const g = new Generator(5);
    const all = words(g, 12);
    for (const at of [0, 1, 4, 7]) {
      const h = new Generator(5);
      words(h, at);
      const state = JSON.parse(JSON.stringify(h.state()));
      expect(words(Generator.from(state), 12 - at)).toEqual(all.slice(at));
    }
    const far = Generator.from({ key: [1, 2], counter: 2 ** 33 + 3 });
    const out = new Uint32Array(2);
    threefry2x32(1, 2, 1, 1, out);
    expect(far.uint32()).toBe(out[1]);
    expect(far.state()).toEqual({ key: [1, 2], counter: 2 ** 33 + 4 });
  });

  it("is not disturbed by other generators drawing in between", () => {
    const expected = words(new Generator(1), 6);
    const a = new Generator(1);
    const b = new Generator(2);
    const mixed = expected.map(() => {
      const word = a.uint32();
      b.uint32();
      a.fork("x").uint32();
      return word;
    });
    expect(mixed).toEqual(expected);
  });

  it("forks by key and label alone, without drawing", () => {
    const g = new Generator(3);
    const before = words(g.fork("conv1"), 4);
    words(g, 9);
    expect(words(g.fork("conv1"), 4)).toEqual(before);
    expect(g.state().counter).toBe(9);
    const labels = [
      "",
      "a",
      "a\0",
      "b",
      "b\0",
      "ab",
      "abcd",
      "abcde",
      "abcd\0",
      "0",
      "1",
      0,
      1,
      2,
      2 ** 32,
      2 ** 32 + 1,
    ];
    const first = new Set(labels.map((label) => words(g.fork(label), 2).join()));
    first.add(words(new Generator(3), 2).join());
    first.add(words(new Generator(4).fork("a"), 2).join());
    expect(first.size).toBe(labels.length + 2);
  });

  it("keeps its bits: golden values of this implementation", () => {
    const g = new Generator(2024).fork("golden").fork(3);
    expect(words(g, 3).map((w) => w.toString(16))).toMatchInlineSnapshot(`
      [
        "993aabad",
        "949337f1",
        "3685e42",
      ]
    `);
  });

  it("uniform has 24-bit steps in [0, 1) and the right moments", () => {
    const g = new Generator(11);
    const values = g.fill(new Float64Array(20_000), "uniform");
    expect(values.every((v) => v >= 0 && v < 1 && Number.isInteger(v * 2 ** 24))).toBe(true);
    const mean = values.reduce((a, b) => a + b) / values.length;
    expect(Math.abs(mean - 0.5)).toBeLessThan(4 * Math.sqrt(1 / 12 / values.length));
    const range = new Generator(11).fill(new Float32Array(1000), "uniform", -1, 1);
    expect(Math.min(...range)).toBeLessThan(-0.98);
    expect(Math.max(...range)).toBeGreaterThan(0.98);
    expect(range[0]).toBe(Math.fround(2 * values[0]! - 1));
  });

  it("normal has the moments and the tails of a normal", () => {
    const n = 40_000;
    const values = new Generator(12).fill(new Float64Array(n), "normal", 3, 2);
    const z = values.map((v) => (v - 3) / 2);
    const moment = (k: number) => z.reduce((a, v) => a + v ** k, 0) / n;
    expect(Math.abs(moment(1))).toBeLessThan(4 / Math.sqrt(n));
    expect(Math.abs(moment(2) - 1)).toBeLessThan(4 * Math.sqrt(2 / n));
    expect(Math.abs(moment(3))).toBeLessThan(4 * Math.sqrt(15 / n));
    expect(Math.abs(moment(4) - 3)).toBeLessThan(4 * Math.sqrt(96 / n));
    const beyond = z.filter((v) => Math.abs(v) > 1.959964).length / n;
    expect(Math.abs(beyond - 0.05)).toBeLessThan(4 * Math.sqrt((0.05 * 0.95) / n));
    const g = new Generator(12);
    expect([g.normal(3, 2), g.normal(3, 2)]).toEqual([values[0], values[1]]);
  });

  it("integer is uniform and rejects what would bias it", () => {
    const g = new Generator(13);
    const counts = new Array<number>(6).fill(0);
    for (let i = 0; i < 12_000; i++) counts[g.integer(6)]!++;
    const chi2 = counts.reduce((sum, c) => sum + (c - 2000) ** 2 / 2000, 0);
    expect(chi2).toBeLessThan(20.5); // 5 degrees of freedom, p = 0.001
    // With n = 3·2^30, a quarter of the words must be rejected; taken modulo n the low third would
    // be twice as likely.
    const big = 3 * 2 ** 30;
    let low = 0;
    for (let i = 0; i < 6000; i++) if (g.integer(big) < 2 ** 30) low++;
    expect(Math.abs(low / 6000 - 1 / 3)).toBeLessThan(4 * Math.sqrt(2 / 9 / 6000));
    expect(new Generator(1).integer(1)).toBe(0);
    expect(new Generator(1).integer(2 ** 32)).toBe(new Generator(1).uint32());
  });

  it("permutation is a permutation, and every order of three comes up equally", () => {
    const g = new Generator(14);
    expect([...g.permutation(1000)].sort((a, b) => a - b)).toEqual(Array.from({ length: 1000 }, (_, i) => i));
    const counts = new Map<string, number>();
    for (let i = 0; i < 6000; i++) {
      const order = g.permutation(3).join("");
      counts.set(order, (counts.get(order) ?? 0) + 1);
    }
    expect(counts.size).toBe(6);
    const chi2 = [...counts.values()].reduce((sum, c) => sum + (c - 1000) ** 2 / 1000, 0);
    expect(chi2).toBeLessThan(20.5);
    expect(g.permutation(0)).toHaveLength(0);
  });

  it("shuffle works in place on any array", () => {
    const list = ["a", "b", "c", "d", "e", "f", "g", "h"];
    const shuffled = new Generator(15).shuffle(list);
    expect(shuffled).toBe(list);
    expect([...list].sort().join("")).toBe("abcdefgh");
    expect(list.join("")).not.toBe("abcdefgh");
  });

  it("bits come from the words, most significant first", () => {
    const [a, b] = words(new Generator(16), 2);
    const expected = (a!.toString(2).padStart(32, "0") + b!.toString(2).padStart(32, "0")).slice(0, 40);
    expect(new Generator(16).bits(40).join("")).toBe(expected);
    expect(new Generator(16).bits(0)).toHaveLength(0);
  });

  it("tells what it expected", () => {
    const g = new Generator(0);
    for (const seed of [-1, 0.5, Number.NaN, 2 ** 53]) expect(() => new Generator(seed)).toThrow(ArgumentError);
    for (const n of [0, -1, 1.5, 2 ** 32 + 1]) expect(() => g.integer(n)).toThrow(/whole number from 1 to 2\^32, got/);
    expect(() => g.permutation(-1)).toThrow(ArgumentError);
    expect(() => g.bits(1.5)).toThrow(ArgumentError);
    expect(() => g.fork(-1)).toThrow(ArgumentError);
    // @ts-expect-error a distribution that does not exist
    expect(() => g.fill(new Float32Array(1), "cauchy")).toThrow(/"cauchy"/);
    for (const state of [
      { key: [1], counter: 0 },
      { key: [1, -1], counter: 0 },
      { key: [1, 2], counter: -1 },
      { key: [1, 2 ** 32], counter: 0 },
    ]) {
      expect(() => Generator.from(state as never)).toThrow(ArgumentError);
    }
  });
});
