import { describe, expect, it } from "vitest";
import { ArgumentError, ShapeError, StateDictError } from "../../src/errors";
import type { StateDict } from "../../src/io/host-tensor";
import { LayerNorm, Linear, Module, MultiheadAttention, Sequential } from "../../src/nn";
import { SGD } from "../../src/optim";
import { mean } from "../../src/tensor/ops/reduce";
import { Generator } from "../../src/tensor/random";
import { recordStep } from "../../src/tensor/recorded";
import { keep, scope } from "../../src/tensor/storage";
import { Tensor } from "../../src/tensor/tensor";
import { Golden } from "../support/golden";
import { expectClose, gpu, gradcheck, randomData, randomTensor } from "../support/gpu";

const device = await gpu();
const random = new Generator(3);

interface Case {
  width: number;
  heads: number;
  bias?: boolean;
  kdim?: number;
  vdim?: number;
  causal?: boolean;
  padded?: boolean;
}

describe("MultiheadAttention against PyTorch", () => {
  const golden = new Golden("attention");
  const cases = golden.meta("multihead") as Case[];
  it.each(cases.map((options, i) => ({ i, options })))("case $i: $options", async ({ i, options }) => {
    const { width, heads, causal = false, padded, ...own } = options;
    const name = (part: string) => `multihead.${i}.${part}`;
    const of = (part: string) => {
      const t = Tensor.from(golden.data(name(part)), golden.shape(name(part)));
      t.requiresGrad = true;
      return t;
    };
    /** A state dict of PyTorch's, or its gradients, as they are. */
    const stateOf = (kind: string): StateDict =>
      new Map(
        [...golden.file.tensors].flatMap(([key, t]) =>
          key.startsWith(name(`${kind}.`)) ? [[key.slice(name(`${kind}.`).length), t] as const] : [],
        ),
      );
    const module = new MultiheadAttention(width, heads, { ...own, random });
    module.loadStateDict(stateOf("state"));
    const [q, k, v] = ["q", "k", "v"].map((part) => (golden.has(name(part)) ? of(part) : undefined));
    const keyPadding = padded
      ? Tensor.from(Int32Array.from(golden.data(name("padding"))), golden.shape(name("padding")))
      : null;
    const y = module.forward(q!, k, v, { causal, keyPadding });
    expectClose(await y.data(), golden.data(name("y")));
    y.backward(of("g"));
    for (const [part, x] of Object.entries({ q, k, v }))
      if (x) expectClose(await x.grad!.data(), golden.data(name(`d${part}`)), { what: `d${part}` });
    // Gradients in the places of their parameters are a state dict in PyTorch's order.
    const gradients = await Promise.all(module.parameters().map((p) => p.grad!.data()));
    for (const [j, p] of module.parameters().entries()) p.write(gradients[j]!);
    const want = stateOf("grad");
    const found = await module.stateDict();
    expect([...found.keys()].sort()).toEqual([...want.keys()].sort());
    for (const [key, { data, shape }] of found) {
      expect(shape, key).toEqual(want.get(key)!.shape);
      expectClose(data as Float32Array, want.get(key)!.data as Float32Array, { what: `gradient of ${key}` });
    }
  });
});

describe("MultiheadAttention", () => {
  it("agrees with finite differences, to the input too", () => {
    const module = new MultiheadAttention(8, 1, { random });
    return gradcheck(
      (x) => module.forward(x, x, x, { causal: true }),
      [{ shape: [1, 4, 8], data: randomData([1, 4, 8], 1) }],
    );
  });

  it("has projections that are linear maps, under PyTorch's names", () => {
    const net = new Sequential(new LayerNorm(8), new MultiheadAttention(8, 2, { random }));
    expect(net.find(Linear).map(([name, map]) => [name, map.inFeatures, map.outFeatures])).toEqual([
      ["1.in_proj", 8, 24],
      ["1.out_proj", 8, 8],
    ]);
    const names = ["0.weight", "0.bias", "1.in_proj_weight", "1.in_proj_bias", "1.out_proj.weight", "1.out_proj.bias"];
    expect(net.namedTensors().map(([name]) => name)).toEqual(names);
    const apart = new MultiheadAttention(8, 2, { kdim: 4, random });
    expect(apart.find(Linear).map(([name]) => name)).toEqual(["q_proj", "k_proj", "v_proj", "out_proj"]);
    expect(net.freeze("*.in_proj_*").parameterCount({ trainable: true })).toBe(16 + 8 * 8 + 8);
    expect(String(net)).toContain("(in_proj): Linear(8 → 24)");
  });

  it("begins as PyTorch's: Xavier uniform, biases of 0", async () => {
    const state = await new MultiheadAttention(64, 4, { random }).stateDict();
    const largest = (name: string) =>
      (state.get(name)!.data as Float32Array).reduce((m, x) => Math.max(m, Math.abs(x)), 0);
    for (const [name, bound] of Object.entries({ in_proj_weight: Math.sqrt(6 / 256), "out_proj.weight": 1 / 8 })) {
      expect(largest(name)).toBeLessThanOrEqual(Math.fround(bound));
      expect(largest(name)).toBeGreaterThan(0.98 * bound);
    }
    expect([largest("in_proj_bias"), largest("out_proj.bias")]).toEqual([0, 0]);
  });

  it("gives the same whether queries, keys and values come from one map or three passes", async () => {
    const module = new MultiheadAttention(8, 2, { random });
    const x = randomTensor([2, 5, 8], 1);
    const want = await module.forward(x).data();
    expectClose(await module.forward(x, x.detach()).data(), want);
    // A map of somebody's own in the place of ours is asked as a whole.
    class Doubled extends Module {
      constructor(readonly inner: Linear) {
        super();
      }
      forward(t: Tensor): Tensor {
        return this.inner.forward(t);
      }
    }
    (module as unknown as { inProj: Module }).inProj = new Doubled(module.inProj!);
    expectClose(await module.forward(x).data(), want);
    expectClose(await module.forward(x, x.detach()).data(), want);
  });

  it("is replayed as it is run", async () => {
    const run = async (replayed: boolean) => {
      const module = new MultiheadAttention(8, 2, { random: new Generator(1) });
      const optimizer = new SGD(module, { lr: 0.1 });
      const x = keep(randomTensor([2, 5, 8], 1));
      const padding = keep(Tensor.from(Int32Array.of(0, 0, 0, 0, 1, 0, 0, 0, 1, 1), [2, 5]));
      optimizer.prepare();
      const body = () => {
        optimizer.zeroGrad();
        const loss = mean(module.forward(x, x, x, { causal: true, keyPadding: padding }));
        loss.backward();
        optimizer.step();
        return loss;
      };
      const step = recordStep(body, device);
      for (let i = 0; i < 3; i++) replayed ? step.replay() : scope(body);
      return [...(await module.inProj!.weight.data())];
    };
    expect(await run(true)).toEqual(await run(false));
  });

  it("refuses what does not fit", () => {
    expect(() => new MultiheadAttention(10, 3, { random })).toThrow(
      /numHeads is a divisor of embedDim, which is 10, found 3/,
    );
    expect(() => new MultiheadAttention(8, 2, { dropout: 0.1 } as never)).toThrow(ArgumentError);
    const module = new MultiheadAttention(8, 2, { random });
    const x = Tensor.full([2, 3, 8], 0);
    expect(() => module.forward(Tensor.full([2, 8], 0))).toThrow(/q \[N, T, 8\].*found \[2, 8\]/);
    expect(() => module.forward(x, Tensor.full([1, 3, 8], 0))).toThrow(ShapeError);
    expect(() => module.forward(x, Tensor.full([2, 4, 8], 0), x)).toThrow(ShapeError);
    expect(() => module.forward(x, x, x, { mask: x } as never)).toThrow(/causal, keyPadding/);
    expect(() => module.loadStateDict(new Map())).toThrow(StateDictError);
  });
});
