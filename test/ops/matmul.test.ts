/** Matrix products three ways: a plain loop, PyTorch's numbers, finite differences. */
import { beforeAll, describe, expect, it } from "vitest";
import { ShapeError } from "../../src/errors";
import { linear, matmul } from "../../src/tensor/ops/products/matmul";
import { Generator } from "../../src/tensor/random";
import { Tensor } from "../../src/tensor/tensor";
import { Golden } from "../support/golden";
import { expectClose, gpu, gradcheck, randomData, randomTensor } from "../support/gpu";

beforeAll(async () => void (await gpu()));

/** op(a)·op(b) of one pair of matrices, float64. */
function product(
  a: Float32Array,
  b: Float32Array,
  m: number,
  n: number,
  k: number,
  ta: boolean,
  tb: boolean,
): Float64Array {
  const y = new Float64Array(m * n);
  for (let i = 0; i < m; i++)
    for (let j = 0; j < n; j++)
      for (let l = 0; l < k; l++) y[i * n + j]! += a[ta ? l * m + i : i * k + l]! * b[tb ? j * k + l : l * n + j]!;
  return y;
}

function leaf(data: Float32Array, shape: number[]): Tensor {
  const t = Tensor.from(data, shape);
  t.requiresGrad = true;
  return t;
}

describe("matmul", () => {
  const r = new Generator(3);
  const size = () => [1, 2, 3, 4, 5, 7, 8, 16, 33, 70][r.integer(10)]!;
  for (const ta of [false, true])
    for (const tb of [false, true])
      it(`equals a triple loop${ta ? ", a transposed" : ""}${tb ? ", b transposed" : ""}`, async () => {
        for (let t = 0; t < 6; t++) {
          const [m, n, k, batch] = [size(), size(), size(), t % 3];
          const [as, bs] = [ta ? [k, m] : [m, k], tb ? [n, k] : [k, n]];
          const lead = batch ? [batch] : [];
          const [ad, bd] = [randomData([...lead, ...as], t), randomData([...lead, ...bs], t + 50)];
          const y = await matmul(Tensor.from(ad, [...lead, ...as]), Tensor.from(bd, [...lead, ...bs]), {
            transposeA: ta,
            transposeB: tb,
          }).data();
          for (let q = 0; q < Math.max(batch, 1); q++) {
            const want = product(
              ad.subarray(q * m * k, (q + 1) * m * k),
              bd.subarray(q * n * k, (q + 1) * n * k),
              m,
              n,
              k,
              ta,
              tb,
            );
            expectClose(y.subarray(q * m * n, (q + 1) * m * n), want, { what: `${m}×${k} · ${k}×${n}, matrix ${q}` });
          }
        }
      });

  it("has PyTorch's output and gradients", async () => {
    const golden = new Golden("conv");
    const of = (name: string) => leaf(golden.data(name), golden.shape(name));
    const [a, b] = [of("matmul.a"), of("matmul.b")];
    const y = matmul(a, b);
    y.backward(of("matmul.g"));
    expectClose(await y.data(), golden.data("matmul.y"));
    expectClose(await a.grad!.data(), golden.data("matmul.da"));
    expectClose(await b.grad!.data(), golden.data("matmul.db"));
    const [x, w, bias] = [of("linear.x"), of("linear.w"), of("linear.b")];
    const z = linear(x, w, bias);
    z.backward(of("linear.g"));
    expectClose(await z.data(), golden.data("linear.y"));
    expectClose(await x.grad!.data(), golden.data("linear.dx"));
    expectClose(await w.grad!.data(), golden.data("linear.dw"));
    expectClose(await bias.grad!.data(), golden.data("linear.db"));
  });

  for (const ta of [false, true])
    for (const tb of [false, true])
      it(`agrees with finite differences${ta ? ", a transposed" : ""}${tb ? ", b transposed" : ""}`, () =>
        gradcheck(
          (a, b) => matmul(a, b, { transposeA: ta, transposeB: tb }),
          [
            { shape: ta ? [2, 3, 4] : [2, 4, 3], data: randomData([24], 1) },
            { shape: tb ? [5, 3] : [3, 5], data: randomData([15], 2) },
          ],
        ));

  it("sums over nothing to zero, and multiplies empty matrices", async () => {
    expect([
      ...(await matmul(Tensor.from(new Float32Array(0), [2, 0]), Tensor.from(new Float32Array(0), [0, 3])).data()),
    ]).toEqual([0, 0, 0, 0, 0, 0]);
    expect(matmul(Tensor.from(new Float32Array(0), [0, 4]), randomTensor([4, 3], 1)).shape).toEqual([0, 3]);
  });

  it("gives the bias alone where there is no input", async () => {
    const empty = Tensor.from(new Float32Array(0), [2, 0]);
    const y = linear(empty, Tensor.from(new Float32Array(0), [0, 3]), Tensor.from(Float32Array.of(1, 2, 3), [3]));
    expect([...(await y.data())]).toEqual([1, 2, 3, 1, 2, 3]);
  });

  it("refuses sizes that do not meet, with both shapes", () => {
    expect(() => matmul(randomTensor([2, 3], 1), randomTensor([4, 5], 2))).toThrow(/\[2, 3\].*\[4, 5\].*3 and 4/s);
    expect(() => matmul(randomTensor([2, 2, 3], 1), randomTensor([3, 3, 5], 2))).toThrow(ShapeError);
    expect(() => linear(randomTensor([2, 3], 1), randomTensor([4, 5], 2))).toThrow(ShapeError);
  });
});

describe("long sums", () => {
  it.each([1e6, 100_003, 4097])("of %i terms lose no digits", async (k) => {
    const y = await matmul(Tensor.full([2, k], 0.1), Tensor.full([k, 5], 1)).data();
    for (const v of y) expect(Math.abs(v / (k * Math.fround(0.1)) - 1)).toBeLessThan(1.5e-5);
  });

  it("are those of a plain loop, however k is cut", async () => {
    for (const k of [1024, 1027, 2051, 2056]) {
      const [a, b] = [randomData([3, k], 1), randomData([k, 6], 2)];
      const y = await matmul(Tensor.from(a, [3, k]), Tensor.from(b, [k, 6])).data();
      expectClose(y, product(a, b, 3, 6, k, false, false), { rtol: 1e-4, atol: 1e-3 });
    }
  });
});

describe("what is not finite", () => {
  it.each([1, 2, 3, 4, 5, 7, 8, 9])("in the last of %i rows is no NaN", async (k) => {
    const b = new Float32Array(k * 8).fill(0, 0).fill(Infinity, (k - 1) * 8);
    const y = await matmul(Tensor.full([3, k], 1), Tensor.from(b, [k, 8])).data();
    expect(y).toEqual(new Float32Array(24).fill(Infinity));
    const other = await linear(Tensor.full([3, k], 1), Tensor.from(b, [k, 8])).data();
    expect(other).toEqual(y);
  });
});
