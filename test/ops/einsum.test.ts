import { beforeAll, describe, expect, it } from "vitest";
import { ArgumentError, ShapeError } from "../../src/errors";
import { einsum } from "../../src/tensor/ops/products/einsum";
import { Generator } from "../../src/tensor/random";
import { type Shape, sizeOf, stridesOf } from "../../src/tensor/shape";
import { memory, scope } from "../../src/tensor/storage";
import { Tensor } from "../../src/tensor/tensor";
import { Golden } from "../support/golden";
import { expectClose, gpu, gradcheck, randomData, randomTensor } from "../support/gpu";

/**
 * Walks all values of all letters: y and the gradients by each operand, in double precision. No
 * ellipsis, and an explicit output.
 */
function oracle(equation: string, shapes: readonly Shape[], data: readonly Float32Array[], g?: Float32Array) {
  const [left, output] = equation.split("->") as [string, string];
  const terms = left.split(",");
  const letters = [...new Set(left.replaceAll(",", ""))];
  const size = (l: string) =>
    Math.max(...terms.flatMap((t, k) => [...t].flatMap((m, d) => (m === l ? [shapes[k]![d]!] : []))));
  const shape = [...output].map(size);
  const y = new Float64Array(sizeOf(shape));
  const grads = data.map((x) => new Float64Array(x.length));
  const place = (term: string, own: Shape, at: ReadonlyMap<string, number>) => {
    const strides = stridesOf(own);
    return [...term].reduce((sum, l, d) => sum + (own[d] === 1 ? 0 : at.get(l)! * strides[d]!), 0);
  };
  const all = letters.map(size);
  for (let index = 0; index < sizeOf(all); index++) {
    const strides = stridesOf(all);
    const at = new Map(letters.map((l, d) => [l, Math.floor(index / strides[d]!) % all[d]!]));
    const places = terms.map((t, k) => place(t, shapes[k]!, at));
    const to = place(output, shape, at);
    y[to]! += places.reduce((p, i, k) => p * data[k]![i]!, 1);
    if (g)
      places.forEach(
        (i, k) => (grads[k]![i]! += g[to]! * places.reduce((p, j, m) => (m === k ? p : p * data[m]![j]!), 1)),
      );
  }
  return { y, grads, shape };
}

/** Equations of one to three operands over five letters, diagonals and sizes of 1 among them. */
function randomCase(seed: number): { equation: string; shapes: number[][] } {
  const r = new Generator(seed);
  const sizes = new Map([..."abcde"].map((l) => [l, 1 + r.integer(4)]));
  const terms = Array.from({ length: 1 + r.integer(3) }, () =>
    Array.from({ length: 1 + r.integer(4) }, () => "abcde"[r.integer(5)]!),
  );
  const there = [...new Set(terms.flat())];
  const output = Array.from(r.permutation(there.length), (i) => there[i]!);
  const few = output.slice(0, r.integer(there.length + 1));
  const shapes = terms.map((term) => {
    // All of a letter's dimensions in one operand are 1, or none is.
    const ones = new Set(term.filter(() => r.integer(8) === 0));
    return term.map((l) => (ones.has(l) ? 1 : sizes.get(l)!));
  });
  return { equation: `${terms.map((t) => t.join("")).join(",")}->${few.join("")}`, shapes };
}

async function run(equation: string, shapes: readonly Shape[], data: readonly Float32Array[], seed: number) {
  const xs = data.map((d, i) => Tensor.from(d, shapes[i]!));
  for (const x of xs) x.requiresGrad = true;
  const y = einsum(equation, ...xs);
  const g = randomData(y.shape, seed);
  y.backward(Tensor.from(g, y.shape));
  const dxs = await Promise.all(xs.map((x) => x.grad!.data()));
  return { y: await y.data(), shape: y.shape, g, dxs };
}

beforeAll(async () => {
  await gpu();
});

describe("einsum", () => {
  it("agrees with a loop over all letters, gradients included", async () => {
    for (let i = 0; i < 80; i++) {
      const { equation, shapes } = randomCase(i);
      const data = shapes.map((s, k) => randomData(s, 10 * i + k));
      const got = await run(equation, shapes, data, 7);
      const want = oracle(equation, shapes, data, got.g);
      const what = `${equation} of ${JSON.stringify(shapes)}`;
      expect(got.shape, what).toEqual(want.shape);
      expectClose(got.y, want.y, { what });
      got.dxs.forEach((dx, k) => {
        expectClose(dx, want.grads[k]!, { what: `gradient ${k} of ${what}` });
      });
    }
  });

  it("agrees with PyTorch, implicit outputs and ellipses included", async () => {
    const golden = new Golden("einsum");
    for (const [i, { equation, operands }] of golden.meta("cases").entries()) {
      const xs = Array.from({ length: operands }, (_, k) =>
        Tensor.from(golden.data(`${i}.x${k}`), golden.shape(`${i}.x${k}`)),
      );
      for (const x of xs) x.requiresGrad = true;
      const y = einsum(equation, ...xs);
      expect(y.shape, equation).toEqual(golden.shape(`${i}.y`));
      y.backward(Tensor.from(golden.data(`${i}.g`), y.shape));
      expectClose(await y.data(), golden.data(`${i}.y`), { what: equation });
      for (const [k, x] of xs.entries())
        expectClose(await x.grad!.data(), golden.data(`${i}.dx${k}`), { what: `gradient ${k} of ${equation}` });
    }
  });

  it("has finite differences for gradients", async () => {
    const inputs = [[2, 3], [3, 2, 2], [2]].map((shape, i) => ({ shape, data: randomData(shape, i) }));
    await gradcheck((a, b, c) => einsum("ij,jkk,k->ik", a!, b!, c!), inputs);
  });

  it("is one product where the operands lie as it takes them, and moves what does not", async () => {
    const d = await gpu();
    const launches = (equation: string, ...shapes: Shape[]) =>
      scope(() => {
        const xs = shapes.map((s, i) => randomTensor(s, i));
        const before = d.counters.dispatches;
        einsum(equation, ...xs);
        return d.counters.dispatches - before;
      });
    for (const equation of ["bik,bkj->bij", "bki,bkj->bij", "bik,bjk->bij", "bki,bjk->bij"]) {
      const shapes = equation
        .slice(0, 7)
        .split(",")
        .map((t) => [...t].map((l) => ({ b: 2, i: 3, j: 5, k: 4 })[l]!));
      expect(launches(equation, ...shapes), equation).toBe(1);
    }
    expect(launches("ij,jk->ik", [3, 4], [4, 5])).toBe(1);
    expect(launches("ij,jk->ki", [3, 4], [4, 5])).toBe(2);
    expect(launches("ijab,abk->ijk", [2, 3, 4, 2], [4, 2, 5])).toBe(1);
    expect(launches("ij,ij->ij", [3, 4], [3, 4])).toBe(1);
    expect(launches("ij,ij->", [3, 4], [3, 4])).toBe(2);
    expect(launches("ij->ij", [3, 4])).toBe(0);
  });

  it("sums nothing to 0, and gives a tensor of its own where there is nothing to do", async () => {
    expect([...(await einsum("ij,jk->ik", Tensor.empty([2, 0]), Tensor.empty([0, 2])).data())]).toEqual([0, 0, 0, 0]);
    expect(einsum("ij,jk->ik", Tensor.empty([0, 3]), Tensor.full([3, 2], 1)).shape).toEqual([0, 2]);
    expect([...(await einsum("i,i->", Tensor.empty([0]), Tensor.empty([0])).data())]).toEqual([0]);
    const x = Tensor.from(Float32Array.of(1, 2), [2]);
    const y = einsum("i->i", x);
    x.dispose();
    expect([...(await y.data())]).toEqual([1, 2]);
  });

  it("refuses what is no equation, and operands that do not fit, in the words of the mistake", () => {
    const x = Tensor.full([2, 3], 1);
    const error = (equation: string, ...xs: Tensor[]) => {
      try {
        einsum(equation, ...xs);
      } catch (e) {
        return e as Error;
      }
      return new Error("nothing was refused");
    };
    for (const [e, kind, message] of [
      [error("ij,jk", x), ArgumentError, /^einsum: "ij,jk" is of 2 operands, found 1$/],
      [error("i1", x), ArgumentError, /letters, with "\.\.\." at most once.*not "i1"/],
      [error("ij->ijj", x), ArgumentError, /"j" is there twice/],
      [error("ij->k", x), ArgumentError, /letters of the operands alone.*"k"/],
      [error("ijk", x), ShapeError, /^einsum: "ijk" is of 3 dimensions, operand 0 has 2: \[2, 3\]$/],
      [error("ijk...", x), ShapeError, /3 dimensions or more/],
      [error("ii", x), ShapeError, /"i" has sizes 2 and 3 in operand 0/],
      [error("ij,ik", x, Tensor.full([3, 3], 1)), ShapeError, /"i" has size 3 in operand 1 \[3, 3\], and 2 before/],
      [error("...,...", x, Tensor.full([4, 3], 1)), ShapeError, /dimension of the ellipsis has size 4/],
      [error("ij", Tensor.full([2, 3], 1, "i32")), ShapeError, /operand 0 is a tensor of f32/],
    ] as const) {
      expect(e.message).toMatch(message);
      expect(e).toBeInstanceOf(kind);
    }
  });

  it("leaves nothing behind", () => {
    const shapes = [[2, 3, 3], [3, 4], [4]];
    const before = memory();
    const xs = shapes.map((s, i) => randomTensor(s, i));
    for (const x of xs) x.requiresGrad = true;
    const y = einsum("ijj,jk,k->i", ...xs);
    const seed = Tensor.full([2], 1);
    y.backward(seed);
    for (const t of [...xs, y, seed]) t.dispose();
    const after = memory();
    expect([after.tensors, after.storages]).toEqual([before.tensors, before.storages]);
  });
});
