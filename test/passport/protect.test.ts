/** `protect` on networks of one's own. */
import { beforeAll, describe, expect, it } from "vitest";
import { ArgumentError, StateDictError } from "../../src/errors";
import { toFloat32 } from "../../src/io/host-tensor";
import type { SafetensorsFile } from "../../src/io/safetensors";
import { readCredential } from "../../src/models";
import {
  BatchNorm,
  Conv2d,
  GroupNorm,
  LayerNorm,
  Linear,
  Module,
  MultiheadAttention,
  RMSNorm,
  Sequential,
} from "../../src/nn";
import { penalise } from "../../src/nn/pass";
import { bind, boundCredential } from "../../src/ownership";
import { claimOf } from "../../src/ownership/claim/own";
import { decodeTexts } from "../../src/ownership/suspect/signature";
import { type PassportPlace, type Protected, type ProtectOptions, protect, protectAs } from "../../src/passport";
import { add, greater, mul, relu, reshape, square, where } from "../../src/tensor/ops/elementwise";
import { concat } from "../../src/tensor/ops/movement";
import { globalAvgPool, maxPool2d } from "../../src/tensor/ops/pool";
import { einsum } from "../../src/tensor/ops/products/einsum";
import { mean, sum } from "../../src/tensor/ops/reduce";
import { Generator } from "../../src/tensor/random";
import { scope } from "../../src/tensor/storage";
import { noGrad, Tensor } from "../../src/tensor/tensor";
import { expectClose, gpu } from "../support/gpu";

beforeAll(async () => {
  await gpu();
});

const random = (name: string) => new Generator(7).fork(name);

/**
 * Plain layers before and behind, a residual sum between the branches' trunk and their own part.
 */
class Mine extends Module {
  readonly stem = new Conv2d(3, 8, 3, { padding: 1, random: random("stem") });
  readonly norm1 = new BatchNorm(8);
  readonly deep = new Conv2d(8, 8, 3, { padding: "same", groups: 8, bias: false, random: random("deep") });
  readonly norm2 = new GroupNorm(2, 8);
  readonly wide = new Conv2d(16, 128, 1, { bias: false, random: random("wide") });
  readonly norm3 = new BatchNorm(128);
  readonly head = new Linear(128, 4, { random: random("head") });

  forward(x: Tensor): Tensor {
    const h = relu(this.norm1.forward(this.stem.forward(x)));
    const deep = this.norm2.forward(this.deep.forward(h));
    const both = concat([relu(add(deep, h)), h], 3);
    return this.head.forward(globalAvgPool(maxPool2d(relu(this.norm3.forward(this.wide.forward(both))), 2)));
  }
}

const SAMPLE = [1, 6, 6, 3];
const options = (own: Partial<ProtectOptions> = {}): ProtectOptions => ({
  scheme: "pan",
  at: ["norm2", "norm3"],
  sample: SAMPLE,
  random: new Generator(1),
  ...own,
});
const batch = (n = 4) => Tensor.from(random("x").fill(new Float32Array(n * 6 * 6 * 3), "normal"), [n, 6, 6, 3]);
const values = async (f: () => Tensor) => {
  const y = scope(() => noGrad(f));
  const data = await y.data();
  y.dispose();
  return data;
};

describe("the branches", () => {
  it("leave the public one the network's own, to the bit, trained or not", async () => {
    const net = new Mine();
    net.norm3.weight!.write(random("γ").fill(new Float32Array(128), "normal"));
    net.norm1.runningMean.fill(0.25);
    const x = batch();
    const before = await values(() => net.eval().forward(x));
    const state = await net.stateDict();
    const owned = protect(net, options());
    expect(await values(() => owned.eval().forward(x, "public"))).toEqual(before);
    expect(await values(() => net.forward(x))).toEqual(before);
    const { outputs } = scope(() => noGrad(() => owned.trainingPass(x)));
    expect(await outputs.public!.data()).toEqual(before);
    const { tensors } = await owned.deployed();
    expect([...tensors.keys()].sort()).toEqual([...state.keys()].sort());
    for (const [name, t] of state) expect(tensors.get(name)!.data, name).toEqual(t.data);
  });

  it.each(["pan", "v2", "v1"] as const)("give in one pass of %s what each gives alone", async (scheme) => {
    const at = scheme === "v1" ? ["norm2", "norm3"] : true;
    const owned = protect(new Mine(), options({ scheme, at })).eval();
    const x = batch();
    const { outputs } = scope(() => noGrad(() => owned.trainingPass(x)));
    for (const branch of owned.branches)
      expectClose(await outputs[branch]!.data(), await values(() => owned.forward(x, branch)), {
        rtol: 1e-5,
        atol: 1e-5,
      });
    const all = await Promise.all(owned.branches.map((b) => outputs[b]!.data()));
    if (all.length > 1) expect(all[0]).not.toEqual(all[1]);
  });

  it("move running statistics of their own, and of the trunk once", async () => {
    const owned = protect(new Mine(), options({ at: ["norm3"] })).train();
    scope(() => noGrad(() => owned.trainingPass(batch())));
    const { norm1, norm3 } = owned.network;
    const secret = owned.sites[0]!.secret.norm!;
    expect([norm1, norm3, secret].map((n) => n.batchesTracked)).toEqual([1, 1, 1]);
    expect(await secret.runningMean.data()).toEqual(await norm3.runningMean.data());
    const shared = protect(new Mine(), options({ at: ["norm3"], statistics: "shared" })).train();
    scope(() => noGrad(() => shared.trainingPass(batch())));
    expect(shared.sites[0]!.secret.norm).toBeNull();
    expect(shared.network.norm3.batchesTracked).toBe(2);
  });

  it("have gradients towards weights, passports' FC and both γ", () => {
    const owned = protect(new Mine(), options()).train();
    scope(() => {
      const { outputs, signLoss } = owned.trainingPass(batch());
      add(add(sum(square(outputs.public!)), sum(square(outputs.private!))), signLoss!).backward();
    });
    const missing = owned.namedParameters().filter(([, p]) => !p.grad);
    expect(missing.map(([name]) => name)).toEqual([]);
  });

  it("penalise each for itself what the network penalises", async () => {
    class Penalised extends Mine {
      override forward(x: Tensor): Tensor {
        const y = super.forward(x);
        penalise(mean(square(y), 1));
        return y;
      }
    }
    const owned = protect(new Penalised(), options()).eval();
    const { outputs, penalties } = scope(() => noGrad(() => owned.trainingPass(batch())));
    for (const branch of owned.branches) {
      const y = await outputs[branch]!.data();
      expectClose(await penalties[branch]!.data(), [y.reduce((s, v) => s + v * v, 0) / y.length], {
        rtol: 1e-5,
        atol: 1e-6,
      });
    }
  });
});

describe("what a network has from in front of its branches", () => {
  class Crossing extends Module {
    readonly embed = new Conv2d(3, 8, 1, { random: random("embed") });
    readonly map = new Conv2d(8, 8, 1, { random: random("map") });
    readonly norm = new BatchNorm(8);
    readonly attention = new MultiheadAttention(8, 2, { random: random("attention") });
    constructor(readonly f: (own: Tensor, shared: Tensor, attention: MultiheadAttention) => Tensor) {
      super();
    }
    forward(x: Tensor): Tensor {
      const [n, h, w] = x.shape as [number, number, number];
      const shared = this.embed.forward(x);
      const own = this.norm.forward(this.map.forward(shared));
      const tokens = (t: Tensor) => reshape(t, [n, h * w, 8]);
      return mean(this.f(tokens(own), tokens(shared), this.attention), 1);
    }
  }
  it.each<[string, Crossing["f"]]>([
    ["sizes of the batch", (own) => own],
    ["memory that it attends to", (own, shared, a) => a.forward(own, shared)],
    ["queries", (own, shared, a) => a.forward(shared, own)],
    ["keys alone", (own, shared, a) => a.forward(own, shared, own)],
    ["a choice", (own, shared) => where(greater(shared, 0), own, shared)],
    ["what it is chosen by", (own, shared) => where(greater(own, 0), shared, square(shared))],
    ["products by letters", (own, shared) => einsum("nic,njc->nij", own, shared)],
  ])("is the batch of each: %s", async (_, f) => {
    const owned = protect(new Crossing(f), options({ at: "norm" })).eval();
    const x = batch(3);
    const { outputs } = scope(() => noGrad(() => owned.trainingPass(x)));
    for (const b of owned.branches)
      expectClose(await outputs[b]!.data(), await values(() => owned.forward(x, b)), { rtol: 1e-5, atol: 1e-5 });
  });

  it("is refused where it may be the batch of each or of all", () => {
    class Open extends Crossing {
      override forward(x: Tensor): Tensor {
        const own = this.norm.forward(this.map.forward(this.embed.forward(x)));
        return mean(reshape(own, [x.shape[0]!, -1, 8]), 1);
      }
    }
    const owned = protect(new Open((own) => own), options({ at: "norm" }));
    for (const n of [3, 4])
      expect(() => scope(() => noGrad(() => owned.trainingPass(batch(n))))).toThrow(
        /write out every size, or leave the/,
      );
  });
});

describe("what a network would mix is refused", () => {
  class Mixing extends Module {
    readonly conv = new Conv2d(3, 8, 3);
    readonly norm = new BatchNorm(8);
    readonly head = new Linear(8, 2);
    constructor(readonly mix: (h: Tensor) => Tensor) {
      super();
    }
    forward(x: Tensor): Tensor {
      return this.head.forward(this.mix(globalAvgPool(this.norm.forward(this.conv.forward(x)))));
    }
  }
  it.each<[string, (h: Tensor) => Tensor]>([
    ["mean over the batch", (h) => add(h, mean(h, 0, { keepdim: true }))],
    ["sum of all", (h) => mul(h, sum(h))],
    ["the batch as channels", (h) => reshape(h, [h.shape[1]!, h.shape[0]!]) && concat([h, h], 0)],
  ])("%s", (_, mix) => {
    const owned = protect(new Mixing(mix), options({ at: "norm" }));
    expect(() => scope(() => noGrad(() => owned.trainingPass(batch())))).toThrow(/branches of a network/);
    // In one branch at a time it is the network's own business.
    expect(() => scope(() => noGrad(() => owned.network.forward(batch())))).not.toThrow();
  });
});

describe("maps that are named", () => {
  class Transformer extends Module {
    readonly embed = new Linear(6, 16, { random: random("embed") });
    readonly attention = new MultiheadAttention(16, 2, { random: random("attention") });
    readonly norm1 = new LayerNorm(16);
    readonly mlp = new Sequential(new Linear(16, 16, { random: random("mlp") }));
    readonly norm2 = new RMSNorm(16);
    readonly head = new Linear(16, 3, { random: random("head") });
    forward(x: Tensor): Tensor {
      const h = this.embed.forward(x);
      const a = add(h, this.attention.forward(this.norm1.forward(h)));
      return this.head.forward(mean(this.norm2.forward(add(a, this.mlp.forward(a))), 1));
    }
  }
  const at = { norm1: true, norm2: { map: "mlp.0" } } as const;

  it("give LayerNorm and RMSNorm behind residual sums their passports", async () => {
    const owned = protect(new Transformer(), { scheme: "pan", at, sample: [1, 5, 6] }).eval();
    expect(owned.plan.places.map((p) => [p.norm, p.weight, p.inputSize])).toEqual([
      ["norm1", "embed.weight", [5]],
      ["norm2", "mlp.0.weight", [5]],
    ]);
    const x = Tensor.from(random("x").fill(new Float32Array(3 * 5 * 6), "normal"), [3, 5, 6]);
    const { outputs } = scope(() => noGrad(() => owned.trainingPass(x)));
    for (const b of owned.branches)
      expectClose(await outputs[b]!.data(), await values(() => owned.forward(x, b)), { rtol: 1e-5, atol: 1e-5 });
  });

  it("may be the projections of an attention, under the name that their weight has", () => {
    const net = new Transformer();
    const owned = protect(net, {
      scheme: "v2",
      at: { norm2: { map: "attention.out_proj" } },
      sample: [1, 5, 6],
    });
    expect(owned.plan.places[0]!.weight).toBe("attention.out_proj.weight");
    expect(() =>
      protect(net, { scheme: "v2", at: { norm2: { map: "attention.in_proj" } }, sample: [1, 5, 6] }),
    ).toThrow(/attention.in_proj has 48 outputs and norm2 16 channels/);
  });

  it("are asked for where none is in front", () => {
    const go = (own: ProtectOptions["at"], scheme: "v1" | "pan" = "pan") =>
      protect(new Transformer(), { scheme, at: own, sample: [1, 5, 6] });
    expect(() => go(["norm2"])).toThrow(/no convolution or linear layer stands right in front of norm2: name one/);
    expect(() => go({ norm2: { map: "head" } })).toThrow(/head has 3 outputs and norm2 16 channels; maps with its/);
    expect(() => go({ norm2: { map: "nowhere" } })).toThrow(/meets no convolution or linear layer "nowhere"/);
    expect(() => go({ norm2: { map: "mlp.0" } }, "v1")).toThrow(/norm2 has no γ and β of its own/);
    expect(() => go("nothing.*")).toThrow(/means no norm of this network; those that can take a passport are norm1/);
  });
});

describe("norms that cannot take one", () => {
  class Odd extends Module {
    readonly conv = new Conv2d(3, 8, 3);
    readonly twice = new BatchNorm(8);
    readonly never = new BatchNorm(8);
    readonly again = new Conv2d(8, 8, 1);
    readonly norm = new BatchNorm(8);
    forward(x: Tensor): Tensor {
      const h = this.twice.forward(this.twice.forward(this.conv.forward(x)));
      return globalAvgPool(this.norm.forward(this.again.forward(this.again.forward(h))));
    }
  }
  it.each([
    ["twice", /twice runs 2 times in one pass/],
    ["never", /never meets never/],
    ["norm", /again, whose weights the passport of norm would go through, runs 2 times/],
    ["o*", /means no norm of this network/],
  ])("%s", (at, message) => {
    expect(() => protect(new Odd(), options({ at }))).toThrow(message);
    expect(() => protect(new Odd(), options({ at }))).toThrow(ArgumentError);
  });

  it("names what there is when nothing fits", () => {
    expect(() => protect(new Odd(), options({ at: true }))).toThrow(/none can take a passport: /);
  });
});

describe("options", () => {
  it.each<[Readonly<Record<string, unknown>>, RegExp]>([
    [{ scheme: "v4" }, /scheme/],
    [{ scheme: "plain" }, /scheme/],
    [{ at: 7 }, /at/],
    [{ at: [] }, /one norm or more/],
    [{ at: { norm3: 7 } }, /at: norm3/],
    [{ at: { norm3: { maps: "wide" } } }, /maps/],
    [{ at: { norm3: "x".repeat(17) } }, /takes 17 bytes; its 128 channels hold 16/],
    [{ signature: "x".repeat(99) }, /takes 99 bytes/],
    [{ sample: [0, 6, 6, 3] }, /sample/],
    [{ sample: "image" }, /sample/],
    [{ fc: true, scheme: "v2" }, /fc belongs to scheme "pan"/],
    [{ statistics: "both" }, /statistics/],
    [{ separate: ["norm1"], scheme: "v1" }, /one branch/],
    [{ separate: ["nothing"] }, /means no norm/],
    [{ random: 7 }, /random/],
    [{ seed: 7 }, /seed/],
  ])("%j is refused", (own, message) => {
    expect(() => protect(new Mine(), options(own as Partial<ProtectOptions>))).toThrow(message);
    expect(() => protect(new Mine(), options(own as Partial<ProtectOptions>))).toThrow(ArgumentError);
  });

  it("an input that does not fit the network is the network's to refuse", () => {
    expect(() => protect(new Mine(), options({ sample: [1, 6, 6, 4] }))).toThrow(/conv2d/);
  });

  it("a protected network is not protected again", () => {
    const owned = protect(new Mine(), options());
    expect(() => protect(owned as never, options())).toThrow(/protected already/);
    expect(() => protect({} as never, options())).toThrow(ArgumentError);
  });

  it("texts are dealt out over the norms, one of its own or one for all", async () => {
    const owned = protect(new Mine(), options({ at: { norm2: "A", norm3: true }, signature: "CME" }));
    expect(owned.texts).toEqual([
      { text: "A", layers: ["norm2"] },
      { text: "CME", layers: ["norm3"] },
    ]);
    expect(owned.plan.places.map((p) => p.text)).toEqual([1, 3]);
  });

  it("what is said of one norm counts more than what is said of many, in any order", () => {
    for (const at of [
      { "*": true, norm3: "ACME" },
      { norm3: "ACME", "*": true },
      { norm3: "ACME", "norm*": true },
    ] as const) {
      const owned = protect(new Mine(), options({ at }));
      expect(owned.texts).toEqual([{ text: "ACME", layers: ["norm3"] }]);
      expect(owned.plan.places.find((p) => p.norm === "norm3")!.text).toBe(4);
    }
  });

  it("texts are whole characters, the mark of a byte order too, and credentials spell them", async () => {
    const bytes = Uint8Array.of(0xef, 0xbb, 0xbf, 0x41);
    for (const given of [
      { at: { norm3: "\ufeffACME" } },
      { at: { norm3: { text: bytes } } },
      { signature: "\ufeffA" },
    ]) {
      const owned = protect(new Mine(), options({ at: ["norm3"], ...given }));
      const { places, texts } = readCredential(await owned.credential());
      const counts = new Map(places.map((p) => [p.norm, p.text]));
      expect(decodeTexts(await owned.readSigns(), texts, counts)).toHaveLength(1);
      expect(texts[0]!.text.startsWith("\ufeffA")).toBe(true);
    }
    for (const cut of [
      { at: ["norm3"], signature: "ACM\ud83d" },
      { at: { norm3: "ACM\ud83d" } },
      { at: { norm3: { text: "\ud83d" } } },
    ])
      expect(() => protect(new Mine(), options(cut))).toThrow(/a text, of whole characters/);
  });
});

describe("without a seed of one's own", () => {
  it("passports are nobody's to guess", async () => {
    const { random: _, ...open } = options();
    const read = async (owned: Protected) => toFloat32((await owned.credential()).tensors.get("norm3.passport.skey")!);
    const [a, b] = [await read(protect(new Mine(), open)), await read(protect(new Mine(), open))];
    expect(a).not.toEqual(b);
    const [c, d] = [await read(protect(new Mine(), options())), await read(protect(new Mine(), options()))];
    expect(c).toEqual(d);
  });
});

describe("a credential", () => {
  it("puts the passports back without a pass", async () => {
    const owned = protect(new Mine(), options({ signature: "ACME" })).eval();
    const credential = await owned.credential();
    const again = protectAs(new Mine(), owned.plan).eval();
    again.loadSecrets(credential.tensors);
    const x = batch();
    expect(await values(() => again.forward(x, "private"))).toEqual(await values(() => owned.forward(x, "private")));
  });

  it("of another network is refused, with what to pass", () => {
    const load = () => protect(new Mine(), options()).loadSecrets(new Map());
    expect(load).toThrow(/missing norm2.passport.*: pass the tensors of a credential of this network$/);
    expect(load).toThrow(StateDictError);
  });
});

describe("maps that share their weights", () => {
  class Tied extends Module {
    readonly a = new Conv2d(8, 8, 3, { padding: 1, random: random("a") });
    readonly b: Conv2d;
    readonly norm = new BatchNorm(8);

    constructor(stride = 1) {
      super();
      this.b = new Conv2d(8, 8, 3, { bias: false, stride, random: random("b") });
      Object.assign(this.b, { weight: this.a.weight });
    }

    forward(x: Tensor): Tensor {
      return this.norm.forward(this.b.forward(this.a.forward(x)));
    }
  }

  it("are told apart by bias and geometry, and others are refused", async () => {
    const network = new Tied();
    network.a.bias!.fill(5);
    const owned = protect(network, { scheme: "pan", at: true, sample: [1, 6, 6, 8], random: random("p") });
    const credential = await owned.credential();
    const copy = new Tied();
    copy.loadStateDict(await network.stateDict());
    const again = protectAs(copy, owned.plan);
    again.loadSecrets(credential.tensors);
    const gammas = async (of: Protected) => (await of.readSigns()).map(({ gamma }) => [...gamma]);
    expect(await gammas(again)).toEqual(await gammas(owned));
    expect(() => protectAs(new Tied(2), owned.plan)).toThrow(/another bias, stride, padding/);
  });
});

describe("a bound credential", () => {
  const binding = { statement: "ours", secret: "ab".repeat(32) };
  /** Says something else of where its passports sit, and nothing else. */
  const altered = (file: SafetensorsFile, change: (places: PassportPlace[]) => void): SafetensorsFile => {
    const plan = JSON.parse(file.metadata["passports"]!) as { places: PassportPlace[] };
    change(plan.places);
    return { ...file, metadata: { ...file.metadata, passports: JSON.stringify(plan) } };
  };
  it.each<[string, (places: PassportPlace[]) => void]>([
    ["another weight", (p) => Object.assign(p[1]!, { weight: "other.weight" })],
    [
      "another padding",
      (p) =>
        Object.assign(p[0]!, {
          padding: [
            [0, 0],
            [1, 1],
          ],
        }),
    ],
    ["another dilation", (p) => Object.assign(p[0]!, { dilation: [2, 1] })],
    ["a bias", (p) => Object.assign(p[1]!, { bias: "wide.bias" })],
  ])("does not follow from its secret any more with %s", async (_, change) => {
    const owned = protect(new Mine(), options());
    await bind(owned, binding);
    const credential = await boundCredential(await owned.credential(), binding);
    const claim = (file: SafetensorsFile) => claimOf(file, readCredential(file));
    const { hash } = await claim(credential);
    // The order in the file means nothing.
    expect((await claim(altered(credential, (p) => void p.reverse()))).hash).toEqual(hash);
    await expect(claim(altered(credential, change))).rejects.toThrow(/is not bound/);
  });
});
