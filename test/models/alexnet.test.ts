/** AlexNet with passport-aware normalisation in every layer, against the authors' own code over three steps of SGD. */
import { beforeAll, describe, expect, it } from "vitest";
import { StateDictError } from "../../src/errors";
import { AlexNet, withoutDuplicates } from "../../src/models";
import { fromTorch } from "../../src/nn/module";
import { SGD } from "../../src/optim";
import { add } from "../../src/tensor/ops/elementwise";
import { crossEntropy } from "../../src/tensor/ops/loss";
import { scope } from "../../src/tensor/storage";
import { noGrad, Tensor } from "../../src/tensor/tensor";
import { filledState, named } from "../support/fill";
import { Golden } from "../support/golden";
import { expectClose, gpu } from "../support/gpu";

beforeAll(async () => void (await gpu()));

const norm = (v: Float32Array) => Math.sqrt(v.reduce((s, x) => s + x * x, 0));

describe("AlexNet, passport-aware, against the authors' code", () => {
  const golden = new Golden("pan_alexnet_bn");
  const [n, c, h, w] = golden.meta("x_shape") as [number, number, number, number];

  it("has their logits, losses, gradients and weights over three steps, and their evaluation", async () => {
    const model = new AlexNet({ scheme: "pan", passports: { 0: true, 2: true, 4: true, 5: true, 6: true } });
    model.loadStateDict(filledState(golden.meta("shapes")));
    const images = Float32Array.from(named("x", n * c * h * w), (v) => 2 * v);
    const nhwc = fromTorch({ dtype: "F32", shape: [n, c, h, w], data: images }, [n, h, w, c], "image", "x");
    const labels = Int32Array.from(named("y", n), (v) => Math.floor(((v + 1) / 2) * 10));
    expect([...labels]).toEqual([...golden.data("y")]);
    const [x, y] = [Tensor.from(nhwc, [n, h, w, c]), Tensor.from(labels, [n])];
    const optimizer = new SGD(model.parameters(), { lr: 0.01, momentum: 0.9, weightDecay: 5e-4 });
    const losses = golden.data("losses");
    model.train();
    for (let step = 0; step < 3; step++) {
      optimizer.zeroGrad();
      const out = scope(() => {
        const both = model.forwardBoth(x);
        const entropy = add(crossEntropy(both.public, y), crossEntropy(both.private, y));
        add(entropy, both.signLoss).backward();
        return { open: both.public, secret: both.private, entropy, sign: both.signLoss };
      });
      const tolerance = { rtol: step === 0 ? 1e-4 : 1e-3, atol: step === 0 ? 1e-4 : 1e-3 };
      expectClose(await out.open.data(), golden.data(`logits.public.${step}`), {
        ...tolerance,
        what: `public, ${step}`,
      });
      expectClose(await out.secret.data(), golden.data(`logits.private.${step}`), {
        ...tolerance,
        what: `private, ${step}`,
      });
      const [entropy, sign] = [await out.entropy.item(), await out.sign.item()];
      expectClose([entropy, sign], losses.subarray(2 * step, 2 * step + 2), { ...tolerance, what: `losses, ${step}` });
      if (step === 0) {
        for (const [name, t, r] of model.namedTensors()) {
          if (r.kind !== "parameter") continue;
          const expected = golden.data(`gradnorm.${name}`);
          expectClose([norm(await t.grad!.data())], expected, { rtol: 1e-4, atol: 1e-6, what: `gradient of ${name}` });
        }
      }
      optimizer.step();
      for (const t of Object.values(out)) t.dispose();
    }
    for (const [name, t, r] of model.namedTensors()) {
      if (r.kind !== "parameter") continue;
      expectClose([norm(await t.data())], golden.data(`paramnorm.${name}`), { rtol: 1e-4, atol: 1e-6, what: name });
    }
    model.eval();
    for (const branch of ["public", "private"] as const) {
      const logits = scope(() => noGrad(() => model.forward(x, branch)));
      expectClose(await logits.data(), golden.data(`eval.${branch}`), {
        rtol: 1e-3,
        atol: 1e-3,
        what: `evaluation, ${branch}`,
      });
      logits.dispose();
    }
    for (const t of [x, y]) t.dispose();
    optimizer.dispose();
    model.dispose();
  });
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

  it("are refused where they differ", () => {
    const state = new Map([
      ["features.4.weight", tensor(1, 2)],
      ["features.4.conv.weight", tensor(1, 3)],
    ]);
    expect(() => withoutDuplicates(state)).toThrow(StateDictError);
  });
});
