/** Files made to hurt: the readers refuse them, and their work grows no faster than the file. */
import { describe, expect, it } from "vitest";
import {
  parseCifar10,
  parseCifar100,
  parseModelNetNames,
  parseModelNetPoints,
  parseModelNetShapes,
} from "../../src/data";
import { FormatError } from "../../src/errors";
import { decodeNpy } from "../../src/io/npy";
import { parseOff } from "../../src/io/off";

/** An NPY file of version 2.0 with this header, however long. */
function npy(header: string, data = 2): Uint8Array {
  const text = new TextEncoder().encode(header);
  const file = new Uint8Array(12 + text.length + data);
  file.set([0x93, ...new TextEncoder().encode("NUMPY"), 2, 0]);
  new DataView(file.buffer).setUint32(8, text.length, true);
  file.set(text, 12);
  return file;
}

/** What is thrown: an error of the format, in a message that does not grow with the file. */
function refusal(run: () => unknown): FormatError {
  try {
    run();
  } catch (error) {
    expect(error).toBeInstanceOf(FormatError);
    expect((error as FormatError).message.length).toBeLessThan(1000);
    return error as FormatError;
  }
  throw new Error("nothing was refused");
}

/** Milliseconds, the best of three. */
function time(run: () => unknown): number {
  return Math.min(
    ...Array.from({ length: 3 }, () => {
      const start = performance.now();
      run();
      return performance.now() - start;
    }),
  );
}

const ENTRIES = "'descr': '|u1', 'fortran_order': False, ";
const quad = "0 0 0\n".repeat(4);

/**
 * Texts of about n characters each that a careless reader takes n² steps for, or n times the
 * memory.
 */
const GROWING: Record<string, (n: number) => () => unknown> = {
  "NPY, shapes that never end": (n) => () => decodeNpy(npy("'shape':(".repeat(n / 9))),
  "NPY, shapes in braces": (n) => () => decodeNpy(npy(`{${"'shape':(".repeat(n / 9)}}`)),
  "NPY, shapes behind the other entries": (n) => () => decodeNpy(npy(`{${ENTRIES}${"'shape':(".repeat(n / 9)}`)),
  "NPY, shapes, closed by one brace": (n) => () => decodeNpy(npy(`{${ENTRIES}${"'shape':(".repeat(n / 9)}}`)),
  "NPY, spaces behind a name": (n) => () => decodeNpy(npy(`{'shape'${" ".repeat(n)}}`)),
  "NPY, types in brackets": (n) => () => decodeNpy(npy(`{'descr': ${"[".repeat(n)}}`)),
  "NPY, commas": (n) => () => decodeNpy(npy(`{${",".repeat(n)}}`)),
  "NPY, dimensions": (n) => () => decodeNpy(npy(`{${ENTRIES}'shape': (${"1,".repeat(n / 2)})}`)),
  "NPY, digits": (n) => () => decodeNpy(npy(`{${ENTRIES}'shape': (${"9".repeat(n)},)}`)),
  "OFF, letters before the head": (n) => () => parseOff("C".repeat(n)),
  "OFF, spaces before counts": (n) => () => parseOff(`OFF 1${" ".repeat(n)}x`),
  "OFF, digits of counts": (n) => () => parseOff(`OFF\n1 ${"9".repeat(n)}x`),
  "OFF, a long comment": (n) => () => parseOff(`#${"#".repeat(n)}`),
  "OFF, empty lines": (n) => () => parseOff("\n".repeat(n)),
  "OFF, a vertex of many words": (n) => () => parseOff(`OFF\n4 1 0\n${"1 ".repeat(n / 2)}`),
  "OFF, a face short of many corners": (n) => () => parseOff(`OFF\n4 1 0\n${quad}${n} ${"1 ".repeat(n / 2)}`),
  "ModelNet, a point of many numbers": (n) => () => parseModelNetPoints("1,".repeat(n / 2), 1),
  "ModelNet, a name of many numbers": (n) => () => parseModelNetShapes("_1".repeat(n / 2), ["a"]),
  "ModelNet, a long name that is none": (n) => () => parseModelNetNames(`${"a".repeat(n)}!`),
};

describe.each(Object.entries(GROWING))("%s", (_, make) => {
  it("is refused, twice as much in about twice the time", () => {
    const [small, large] = [make(30_000), make(60_000)];
    refusal(small);
    // Quadratic work on so much takes seconds; on a busy machine short times say little.
    const [before, after] = [time(() => refusal(small)), time(() => refusal(large))];
    expect(after).toBeLessThan(Math.max(3.2 * before, 60));
  });
});

describe("counts and sizes beyond the file", () => {
  it.each([
    ["OFF 1000000000 1000000000 0\n0 0 0\n", /line 1: expected counts/],
    [`OFF\n${"9".repeat(400)} 1 0\n`, /line 2: expected counts/],
    ["OFF\n4 1 0\n0 0 0\n0 0 0\n0 0 0\n0 0 0\n1000000000 0 1 2\n", /line 7: expected face 0/],
    ["OFF\n4 1 0\n0 0 0\n0 0 0\n0 0 0\n0 0 0\n3 0 1 4000000000\n", /line 7: expected face 0/],
    ["OFF\n4 1 0\n0 0 0\n0 0 0\n0 0 0\n0 0 0\n1e400 0 1 2\n", /line 7: expected face 0/],
    ["OFF\n4 -1 0\n", /line 2: expected counts/],
  ])("%j is refused", (text, message) => {
    expect(refusal(() => parseOff(text)).message).toMatch(message);
  });

  it("NPY asks for memory only after the file was found to have it", () => {
    for (const shape of [`(${2 ** 49},)`, `(${2 ** 40}, 2)`, `(${2 ** 53 - 1},)`, `(0, ${2 ** 53 - 1}, 8)`]) {
      expect(refusal(() => decodeNpy(npy(`{${ENTRIES}'shape': ${shape}}`))).message).toMatch(/field (data|shape)/);
    }
    expect(refusal(() => decodeNpy(npy(" ".repeat(70_000)))).message).toMatch(/header length: expected at most 65535/);
  });

  it("CIFAR names the first record that is wrong", () => {
    for (const parse of [parseCifar10, parseCifar100]) {
      refusal(() => parse(new Uint8Array(3072)));
      refusal(() => parse(new Uint8Array(3075 * 2)));
      refusal(() => parse(new Uint8Array(3073 * 3074).fill(255)));
    }
  });

  it("a face of as many corners as the file is long becomes its triangles", () => {
    const corners = 500_000;
    const { triangles } = parseOff(`OFF\n4 1 0\n${quad}${corners} ${"0 1 2 3 ".repeat(corners / 4)}`);
    expect(triangles.length).toBe(3 * (corners - 2));
    expect([...triangles.subarray(-3)]).toEqual([0, 2, 3]);
  });
});
