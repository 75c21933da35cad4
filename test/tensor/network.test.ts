import { beforeAll, describe, expect, it } from "vitest";
import { type StateDict, toFloat32 } from "../../src/io/host-tensor";
import { BatchNorm, Conv2d, Flatten, GroupNorm, Linear, MaxPool2d, ReLU, Sequential } from "../../src/nn";
import { toTorch } from "../../src/nn/state";
import { SGD } from "../../src/optim/sgd";
import { crossEntropy } from "../../src/tensor/ops/loss";
import { Generator } from "../../src/tensor/random";
import { scope } from "../../src/tensor/storage";
import { Tensor } from "../../src/tensor/tensor";
import { Golden } from "../support/golden";
import { expectClose, gpu } from "../support/gpu";

const golden = new Golden("network");

/** The tensors under a prefix, as PyTorch's state dict. */
const dictOf = (prefix: string): StateDict =>
  new Map(
    [...golden.file.tensors].flatMap(([name, t]) => (name.startsWith(prefix) ? [[name.slice(prefix.length), t]] : [])),
  );

function build(random: Generator): Sequential {
  return new Sequential(
    new Conv2d(3, 6, 3, { padding: 1, random }),
    new BatchNorm(6),
    new ReLU(),
    new MaxPool2d(2),
    new Conv2d(6, 8, 3, { stride: 2, groups: 2, bias: false, random }),
    new GroupNorm(4, 8),
    new Flatten(),
    new Linear(8 * 3 * 2, 5, { random }),
  );
}

describe("a network against PyTorch", () => {
  beforeAll(gpu);

  it("has its names, its gradients, and its losses and weights after three steps of SGD", async () => {
    const net = build(new Generator(1));
    expect(net.loadStateDict(dictOf("start."))).toEqual({ missing: [], unexpected: [] });
    const sgd = new SGD(net.parameters(), { lr: 0.05, momentum: 0.9, weightDecay: 5e-4 });
    const losses: number[] = [];
    let x!: Tensor;
    for (let step = 0; step < 3; step++) {
      x = Tensor.from(golden.data(`x.${step}`), golden.shape(`x.${step}`));
      const labels = Tensor.from(Int32Array.from(golden.data(`labels.${step}`)), [7]);
      sgd.zeroGrad();
      const { loss, logits } = scope(() => {
        const logits = net.forward(x);
        const loss = crossEntropy(logits, labels);
        loss.backward();
        return { loss, logits };
      });
      if (step === 0) {
        expectClose(await logits.data(), golden.data("logits"), { what: "logits" });
        for (const [name, t, { kind, layout }] of net.namedTensors()) {
          if (kind !== "parameter") continue;
          const grad = toTorch(await t.grad!.data(), t.shape, layout);
          expect(grad.shape).toEqual(golden.shape(`grad.${name}`));
          expectClose(toFloat32(grad), golden.data(`grad.${name}`), { what: `gradient of ${name}` });
        }
      }
      sgd.step();
      losses.push(await loss.item());
    }
    expectClose(losses, golden.data("losses"), { what: "losses" });

    const end = dictOf("end.");
    const found = await net.stateDict();
    expect([...found.keys()].sort()).toEqual([...end.keys()].sort());
    for (const [name, expected] of end) {
      expect([name, found.get(name)!.dtype, found.get(name)!.shape]).toEqual([name, expected.dtype, expected.shape]);
      expectClose(toFloat32(found.get(name)!), toFloat32(expected), { what: name });
    }
    expectClose(await net.eval().forward(x).data(), golden.data("eval"), { what: "evaluation" });
    sgd.dispose();
    net.dispose();
  });
});
