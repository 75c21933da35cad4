/** Whole networks as ONNX models: what ONNX Runtime computes with real pictures is what they do. */
import { beforeAll, describe, expect, it } from "vitest";
import { AlexNet, loadDeployed, PointNet, ResNet9, ResNet18 } from "../../src/models";
import { Embedding, LayerNorm, Linear, Module, MultiheadAttention } from "../../src/nn";
import { exportOnnx } from "../../src/onnx/export";
import { protect } from "../../src/passport";
import type { Network } from "../../src/passport/trace";
import { gelu } from "../../src/tensor/ops/activations";
import { add } from "../../src/tensor/ops/elementwise";
import { narrow } from "../../src/tensor/ops/movement";
import { matmul } from "../../src/tensor/ops/products/matmul";
import { Tensor } from "../../src/tensor/tensor";
import { scattered } from "../support/bytes";
import { gpu, randomData } from "../support/gpu";
import {
  channelsFirst,
  channelsLast,
  expectLike,
  type Fed,
  largestOf,
  realImages,
  runModel,
  runNetwork,
} from "../support/onnx";
import { OwnNetwork } from "../support/own-network";
import { MobileNet, Recurrent, TiedWords, UNet, ViT, Words } from "../support/varied";

beforeAll(async () => void (await gpu()));

/** As trained: running statistics that are no longer 0 and 1. */
async function moved<N extends Module>(network: N): Promise<N> {
  network.loadStateDict(scattered(await network.stateDict(), (name) => name.includes("running")));
  return network;
}

/** Pictures of 8×8 pixels, each the corner of a real one. */
async function corners(count: number): Promise<Fed> {
  const { data } = await realImages(count);
  const out = Float32Array.from({ length: count * 8 * 8 * 3 }, (_, i) => {
    const [n, y, x] = [Math.floor(i / 192), Math.floor((i % 192) / 24), Math.floor((i % 24) / 3)];
    return data[((n * 32 + 8 + y) * 32 + 8 + x) * 3 + (i % 3)]!;
  });
  return { data: out, shape: [count, 8, 8, 3] };
}

/** Three items, by a model that was exported for one. */
async function compare(network: Network, x: Fed, share?: number): Promise<void> {
  const sample = x.data instanceof Int32Array ? Tensor.from(x.data, x.shape) : [1, ...x.shape.slice(1)];
  const bytes = await exportOnnx(network, { sample });
  const expected = await runNetwork(network, x);
  expect(largestOf(expected)).toBeGreaterThan(0);
  expectLike(channelsLast((await runModel(bytes, { input: channelsFirst(x) }))["output"]!), expected, share);
  network.dispose();
}

const PICTURES: Record<string, () => Network> = {
  "an eighth of AlexNet": () => new AlexNet({ width: 0.125 } as never),
  "ResNet-9": () => new ResNet9({ width: 4 }),
};

/** Of 8×8 pixels. */
const SMALL: Record<string, () => Network> = {
  "ResNet-18": () => new ResNet18({ width: 4, input: [8, 8, 3] }),
  "ResNet-9 of group norms": () => new ResNet9({ width: 8, input: [8, 8, 3], norm: "gn" }),
  MobileNet: () => new MobileNet(),
  "a depthwise network of a user": () => new OwnNetwork(),
  UNet: () => new UNet(),
  ViT: () => new ViT(),
  "a map three times": () => new Recurrent(),
};

/** Letters [N, T] to scores of the next. */
class Gpt extends Module {
  readonly words = new Embedding(11, 8);
  readonly places = new Embedding(6, 8);
  readonly norm1 = new LayerNorm(8);
  readonly attention = new MultiheadAttention(8, 2);
  readonly norm2 = new LayerNorm(8);
  readonly up = new Linear(8, 16);
  readonly down = new Linear(16, 8);
  forward(x: Tensor): Tensor {
    const h = add(this.words.forward(x), narrow(this.places.weight, 0, 0, x.shape[1]!));
    const q = this.norm1.forward(h);
    const seen = add(h, this.attention.forward(q, q, q, { causal: true }));
    const y = add(seen, this.down.forward(gelu(this.up.forward(this.norm2.forward(seen)))));
    return matmul(y, this.words.weight, { transposeB: true });
  }
}

/** Words of a sentence by their numbers. */
const words = (count: number, length: number, below: number): Fed => ({
  shape: [count, length],
  data: Int32Array.from(randomData([count, length], 5), (v) => Math.floor(((v + 1) / 2) * below)),
});

describe("networks as models", () => {
  it.each(Object.entries(PICTURES))("%s", async (_, make) => compare(await moved(make()), await realImages(3)));

  it.each(Object.entries(SMALL))("%s", async (_, make) => compare(await moved(make()), await corners(3)));

  it("PointNet", async () => {
    const network = await moved(new PointNet({ points: 16, width: 0.125, classes: 4 }));
    await compare(network as Network, { data: randomData([3, 16, 3], 4), shape: [3, 16, 3] });
  });

  it.each([
    ["a small GPT", () => new Gpt(), 6, 11],
    ["words", () => new Words(), 4, 7],
    ["tied words", () => new TiedWords(), 5, 7],
  ] as [string, () => Network, number, number][])("%s", async (_, make, length, below) =>
    compare(make(), words(3, length, below)));

  it("norms that were folded into the maps", async () => {
    const owned = protect(await moved(new AlexNet({ width: 0.125 } as never)), {
      scheme: "pan",
      at: ["features.4.bn"],
      signature: "ok",
      sample: [1, 32, 32, 3],
    });
    const folded = loadDeployed(await owned.deployed({ foldNorm: true }));
    const images = await realImages(2);
    const expected = await runNetwork(owned as unknown as Network, images);
    const bytes = await exportOnnx(folded, { sample: [1, 32, 32, 3] });
    // Folding itself rounds otherwise.
    expectLike((await runModel(bytes, { input: channelsFirst(images) }))["output"]!, expected, 1e-4);
    await compare(folded as Network, images);
  });
});
