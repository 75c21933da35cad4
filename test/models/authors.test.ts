/**
 * AlexNet and ResNet-18 in the schemes of both papers, against the authors' own code over steps of
 * SGD.
 */

import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { StateDictError } from "../../src/errors";
import type { Device } from "../../src/gpu/device";
import { toFloat32 } from "../../src/io/host-tensor";
import { type AlexNetSettings, withoutDuplicates } from "../../src/models";
import { fromTorch, type Layout, toTorch } from "../../src/nn/state";
import { SGD } from "../../src/optim";
import type { Branch } from "../../src/passport";
import { add } from "../../src/tensor/ops/elementwise";
import { crossEntropy } from "../../src/tensor/ops/loss";
import { scope } from "../../src/tensor/storage";
import { noGrad, Tensor } from "../../src/tensor/tensor";
import { filledState, named } from "../support/fill";
import { expectElements, Golden } from "../support/golden";
import { expectClose, gpu, setCaps } from "../support/gpu";
import { alexNet, type Network, resNet18 } from "../support/networks";

let device: Device;
beforeAll(async () => {
  device = await gpu();
});

const norm = (v: Float32Array) => Math.sqrt(v.reduce((s, x) => s + x * x, 0));

/** Parameters with the names that the authors' code gives them. */
function* parameters(model: Network, golden: Golden): Iterable<[string, Tensor, Layout]> {
  for (const [name, tensor, { kind, layout }] of model.namedTensors()) {
    if (kind !== "parameter") continue;
    // Layers that work with their passports only have one weight under two names there.
    const other = name.replace(/\.conv\.weight$/, ".weight");
    yield [golden.has(`gradnorm.${name}`) ? name : other, tensor, layout];
  }
}

/**
 * Of DeepIPR's ResNet-18, with the rounding of direct convolutions; Winograd's adds up to three
 * times that, and turns more kinks.
 */
const exact = new Golden("resnet18_gradients");

/** Elements of the gradients of the first step, see authors_elements.py. */
const elements = new Golden("authors_elements");

/**
 * Norm of a gradient in the first step, from and to. For DeepIPR's ResNet-18 in float64, for the
 * reasons in resnet18_gradients.py; else the authors' code's.
 */
function gradientNorm(golden: Golden, file: string, name: string): [number, number] {
  const at = `${file}.${name}`;
  const values = exact.has(at) ? exact.data(at) : golden.data(`gradnorm.${name}`);
  return [values[0]!, values[values.length - 1]!];
}

/** Logits after the last step, from and to; an interval for the same reasons. */
function evaluation(golden: Golden, file: string, branch: string): [Float32Array, Float32Array] {
  const at = `${file}.eval.${branch}`;
  if (!exact.has(at)) return [golden.data(`eval.${branch}`), golden.data(`eval.${branch}`)];
  const both = exact.data(at);
  return [both.subarray(0, both.length / 2), both.subarray(both.length / 2)];
}

const NETWORKS = { alexnet: alexNet, resnet18: resNet18 };

describe.each([
  ["pan_alexnet_bn", "alexnet", "pan", "bn"],
  ["deepipr_v1_alexnet_bn", "alexnet", "v1", "bn"],
  ["deepipr_v2_alexnet_gn", "alexnet", "v2", "gn"],
  ["pan_resnet18_bn", "resnet18", "pan", "bn"],
  ["deepipr_v1_resnet18_bn", "resnet18", "v1", "bn"],
  ["deepipr_v2_resnet18_gn", "resnet18", "v2", "gn"],
] as const)("%s, of the authors' code", (file, arch, scheme, norms) => {
  const golden = new Golden(file);
  const [n, c, h, w] = golden.meta("x_shape") as [number, number, number, number];
  // The authors' configuration says what each layer is: true, or false.
  const passports = golden.meta("passport_config") as NonNullable<AlexNetSettings["passports"]>;

  beforeEach(() => setCaps(device, exact.has(`${file}.convbnrelu_1.conv.weight`) ? { winograd: false } : {}));

  it("has their logits, losses, gradients and weights step by step, and their evaluation", async () => {
    // Networks of full size: compiling takes most of a minute on a software adapter.
    const model: Network = NETWORKS[arch]({ scheme, norm: norms, passports });
    model.loadStateDict(filledState(golden.meta("shapes")));
    const images = Float32Array.from(named("x", n * c * h * w), (v) => 2 * v);
    const nhwc = fromTorch({ dtype: "F32", shape: [n, c, h, w], data: images }, [n, h, w, c], "image", "x");
    const labels = Int32Array.from(named("y", n), (v) => Math.floor(((v + 1) / 2) * 10));
    expect([...labels]).toEqual([...golden.data("y")]);
    const [x, y] = [Tensor.from(nhwc, [n, h, w, c]), Tensor.from(labels, [n])];
    const optimizer = new SGD(model.parameters(), { lr: 0.01, momentum: 0.9, weightDecay: 5e-4 });
    const losses = golden.data("losses");
    expect(losses.length).toBeGreaterThanOrEqual(4);
    model.train();
    for (let step = 0; 2 * step < losses.length; step++) {
      optimizer.zeroGrad();
      const out = scope(() => {
        const { outputs, signLoss } = model.trainingPass(x);
        const entropy = Object.values(outputs)
          .map((t) => crossEntropy(t, y))
          .reduce((a, b) => add(a, b));
        add(entropy, signLoss!).backward();
        return { entropy, sign: signLoss!, ...outputs };
      });
      const tolerance = { rtol: step === 0 ? 1e-4 : 1e-3, atol: step === 0 ? 1e-4 : 1e-3 };
      for (const branch of model.branches) {
        const expected = golden.data(`logits.${branch}.${step}`);
        expectClose(await out[branch]!.data(), expected, { ...tolerance, what: `${branch}, ${step}` });
      }
      const [entropy, sign] = [await out.entropy.item(), await out.sign.item()];
      expectClose([entropy, sign], losses.subarray(2 * step, 2 * step + 2), { ...tolerance, what: `losses, ${step}` });
      if (step === 0) {
        for (const [name, t, layout] of parameters(model, golden)) {
          const gradient = await t.grad!.data();
          const found = norm(gradient);
          const torch = toFloat32(toTorch(gradient, t.shape, layout));
          expectElements(torch, elements.data(`${file}.${name}`), 5e-3, `gradient of ${name}`);
          const [low, high] = gradientNorm(golden, file, name);
          // Outside of the interval by no more than rounding.
          const nearest = Math.min(Math.max(found, low), high);
          expectClose([found], [nearest], { rtol: 1e-4, atol: 1e-6, what: `gradient of ${name}` });
        }
      }
      optimizer.step();
      for (const t of Object.values(out)) t.dispose();
    }
    for (const [name, t] of parameters(model, golden))
      expectClose([norm(await t.data())], golden.data(`paramnorm.${name}`), { rtol: 1e-4, atol: 1e-6, what: name });
    model.eval();
    for (const branch of model.branches as readonly Branch[]) {
      const logits = scope(() => noGrad(() => model.forward(x, branch)));
      const found = await logits.data();
      const [low, high] = evaluation(golden, file, branch);
      const nearest = found.map((v, i) => Math.min(Math.max(v, low[i]!), high[i]!));
      expectClose(found, nearest, { rtol: 1e-3, atol: 1e-3, what: `evaluation, ${branch}` });
      logits.dispose();
    }
    for (const t of [x, y]) t.dispose();
    optimizer.dispose();
    model.dispose();
  }, 180_000);
});

describe("second names of tensors", () => {
  const tensor = (...values: number[]) => ({
    dtype: "F32" as const,
    shape: [values.length],
    data: Float32Array.from(values),
  });

  it("are left out where they repeat the first, and kept where they are the only ones", () => {
    const state = new Map([
      ["features.4.weight", tensor(1, 2)],
      ["features.4.conv.weight", tensor(1, 2)],
      ["features.4.b", tensor(1)],
      ["features.4.sign_loss_private.b", tensor(1)],
      ["features.0.conv.weight", tensor(3)],
    ]);
    expect([...withoutDuplicates(state).keys()]).toEqual([
      "features.4.weight",
      "features.4.b",
      "features.0.conv.weight",
    ]);
  });

  it("are kept where a layer without a passport keeps its own, and for linear layers likewise", () => {
    const state = new Map([
      ["stn.conv1.weight", tensor(1, 2)],
      ["stn.conv1.conv.weight", tensor(1, 2)],
      ["stn.fc1.weight", tensor(3)],
      ["stn.fc1.linear.weight", tensor(3)],
      ["stn.fc3.weight", tensor(5)],
      ["p1.b", tensor(1)],
      ["p1.weight", tensor(4)],
      ["p1.linear.weight", tensor(4)],
      ["p1.linear.bias", tensor(6)],
    ]);
    expect([...withoutDuplicates(state).keys()]).toEqual([
      "stn.conv1.conv.weight",
      "stn.fc1.linear.weight",
      "stn.fc3.weight",
      "p1.b",
      "p1.weight",
      "p1.linear.bias",
    ]);
  });

  it("are refused where they differ", () => {
    const state = new Map([
      ["features.4.weight", tensor(1, 2)],
      ["features.4.conv.weight", tensor(1, 3)],
    ]);
    expect(() => withoutDuplicates(state)).toThrow(StateDictError);
  });
});
