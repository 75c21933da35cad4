/**
 * Checkpoints of the authors' code with instance norm, and without a norm: their blocks without a
 * passport have no γ and β, or a bias of the convolution in the place of them. Reference numbers by
 * PyTorch (test/golden/authors_norms.py).
 */

import { beforeAll, describe, expect, it } from "vitest";
import { StateDictError } from "../../src/errors";
import { type StateDict, toFloat32 } from "../../src/io/host-tensor";
import { buildNetwork } from "../../src/models";
import { fromTorch, toTorch } from "../../src/nn/state";
import { add } from "../../src/tensor/ops/elementwise";
import { crossEntropy } from "../../src/tensor/ops/loss";
import { scope } from "../../src/tensor/storage";
import { Tensor } from "../../src/tensor/tensor";
import { filledState, named } from "../support/fill";
import { expectElements, Golden } from "../support/golden";
import { expectClose, gpu } from "../support/gpu";
import { alexNet, type Network } from "../support/networks";

beforeAll(async () => void (await gpu()));

const golden = new Golden("authors_norms");
const shapes = golden.meta("shapes") as Record<string, Record<string, number[]>>;
const SCHEMES = ["plain", "v1", "v2", "pan"] as const;
const NORMS = ["in", "none"] as const;
type Scheme = (typeof SCHEMES)[number];
type Norm = (typeof NORMS)[number] | "bn" | "sbn";

const NETWORKS = {
  alexnet: (scheme: Scheme, norm: Norm): Network =>
    alexNet({ scheme, norm, width: 0.25, ...(scheme !== "plain" && { passports: { 4: true, 6: true } }) }),
  resnet: (scheme: Scheme, norm: Norm): Network =>
    buildNetwork({
      arch: "resnet",
      classes: 10,
      input: [16, 16, 3],
      blocks: [1, 1],
      width: 16,
      scheme,
      norm,
      ...(scheme !== "plain" && { passports: { layer2: true } }),
    }),
};

const norm = (v: Float32Array) => Math.sqrt(v.reduce((s, x) => s + x * x, 0));

function inputs([h, w, c]: readonly number[]): { x: Tensor; y: Tensor } {
  const images = Float32Array.from(named("x", 2 * h! * w! * c!), (v) => 2 * v);
  const nhwc = fromTorch({ dtype: "F32", shape: [2, c!, h!, w!], data: images }, [2, h!, w!, c!], "image", "x");
  const labels = Int32Array.from(named("y", 2), (v) => Math.floor(((v + 1) / 2) * 10));
  return { x: Tensor.from(nhwc, [2, h!, w!, c!]), y: Tensor.from(labels, [2]) };
}

/** What their code calls a parameter of ours. */
function theirs(name: string, case_: string): string {
  const known = (n: string) => golden.has(`${case_}.grad.${n}`);
  const others = [name, name.replace(/\.conv\.weight$/, ".weight"), name.replace(/\.bn\.bias$/, ".conv.bias")];
  return others.find(known) ?? "";
}

const cases = (["alexnet", "resnet"] as const).flatMap((arch) =>
  NORMS.flatMap((n) => SCHEMES.map((scheme) => [arch, scheme, n] as const)),
);

describe.each(cases)("%s, scheme %s, norm %s", (arch, scheme, norms) => {
  const case_ = `${arch}.${scheme}.${norms}`;

  it("loads as it is, with their logits, sign loss and gradients", async () => {
    const model = NETWORKS[arch](scheme, norms);
    model.loadStateDict(filledState(shapes[case_]!));
    const { x, y } = inputs(model.sampleShape!);
    const out = scope(() => {
      const { outputs, signLoss } = model.trainingPass(x);
      const entropy = Object.values(outputs)
        .map((t) => crossEntropy(t, y))
        .reduce((a, b) => add(a, b));
      (signLoss ? add(entropy, signLoss) : entropy).backward();
      return { ...(signLoss && { sign: signLoss }), ...outputs };
    });
    for (const branch of model.branches)
      expectClose(await out[branch]!.data(), golden.data(`${case_}.${branch}`), {
        rtol: 2e-4,
        atol: 2e-4,
        what: branch,
      });
    if (out.sign) expectClose([await out.sign.item()], golden.data(`${case_}.sign`), { rtol: 1e-4, what: "sign loss" });
    let compared = 0;
    for (const [name, t, { kind, layout }] of model.namedTensors()) {
      const at = theirs(name, case_);
      if (kind !== "parameter" || at === "") continue;
      compared++;
      const gradient = await t.grad!.data();
      expectElements(
        toFloat32(toTorch(gradient, t.shape, layout)),
        golden.data(`${case_}.elements.${at}`),
        5e-3,
        `gradient of ${name}`,
      );
      expectClose([norm(gradient)], golden.data(`${case_}.grad.${at}`), {
        rtol: 2e-3,
        atol: 1e-5,
        what: `gradient of ${name}`,
      });
    }
    const learned = [...golden.file.tensors.keys()].filter((n) => n.startsWith(`${case_}.grad.`));
    expect(compared).toBe(learned.length);
    for (const t of [x, y, ...Object.values(out)]) t.dispose();
    model.dispose();
  });
});

describe("a state dict with holes", () => {
  const model = (norms: Norm, scheme: Scheme = "v2") => NETWORKS.alexnet(scheme, norms);
  const state = (norms: "in" | "none") => filledState(shapes[`alexnet.v2.${norms}`]!);

  it("is told from one of theirs: γ in one layer, or a bias that is missing", () => {
    const vector = { dtype: "F32" as const, shape: [16], data: new Float32Array(16) };
    const half: StateDict = new Map(state("in")).set("features.0.bn.weight", vector);
    const bare: StateDict = new Map(state("none"));
    bare.delete("features.2.conv.bias");
    for (const [norms, dict, message] of [
      ["in", half, /missing .*features\.0\.bn\.bias/],
      ["none", bare, /missing .*features\.2\.bn\.weight/],
    ] as const) {
      const network = model(norms);
      expect(() => network.loadStateDict(dict)).toThrow(StateDictError);
      expect(() => network.loadStateDict(dict)).toThrow(message);
      network.dispose();
    }
  });

  it("of one batch norm for both branches, or of one each, is told which norm to build with", async () => {
    for (const [own, other] of [
      ["bn", "sbn"],
      ["sbn", "bn"],
    ] as const) {
      const [network, source] = [model(own), model(other)];
      const dict = await source.stateDict();
      expect(() => network.loadStateDict(dict)).toThrow(StateDictError);
      expect(() => network.loadStateDict(dict)).toThrow(new RegExp(`norm: "${other}"`));
      const lacking = [...(await network.stateDict()).keys()].filter((name) => !dict.has(name));
      expect(lacking).not.toEqual([]);
      expect(network.loadStateDict(dict, { strict: false }).missing).toEqual(lacking);
      for (const m of [network, source]) m.dispose();
    }
  });
});
