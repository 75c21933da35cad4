/**
 * Whatever `protect` takes gives a credential that its readers take; the rest it refuses itself.
 */
import { beforeAll, describe, expect, it } from "vitest";
import { ArgumentError } from "../../src/errors";
import { readCredential } from "../../src/models";
import {
  BatchNorm,
  ChannelAffine,
  Conv1d,
  Conv2d,
  GroupNorm,
  InstanceNorm,
  LayerNorm,
  Linear,
  Module,
  type Norm,
  RMSNorm,
} from "../../src/nn";
import { protect, protectAs } from "../../src/passport";
import { reshape } from "../../src/tensor/ops/elementwise";
import { mean } from "../../src/tensor/ops/reduce";
import { scope } from "../../src/tensor/storage";
import { noGrad, Tensor } from "../../src/tensor/tensor";
import { gpu } from "../support/gpu";

beforeAll(async () => void (await gpu()));

const norms: Readonly<Record<string, () => Norm>> = {
  batch: () => new BatchNorm(8),
  "batch without γ and β": () => new BatchNorm(8, { affine: false }),
  group: () => new GroupNorm(2, 8),
  instance: () => new InstanceNorm(8),
  "instance with γ and β": () => new InstanceNorm(8, { affine: true }),
  layer: () => new LayerNorm(8),
  "layer over the map": () => new LayerNorm([4, 4, 8]),
  "layer over the map, without γ and β": () => new LayerNorm([4, 4, 8], { affine: false }),
  "layer over rows": () => new LayerNorm([4, 8], { affine: false }),
  "root mean square": () => new RMSNorm(8),
  "root mean square over the map": () => new RMSNorm([4, 4, 8], { affine: false }),
  "γ and β alone": () => new ChannelAffine(8),
};

class Net extends Module {
  readonly conv = new Conv2d(3, 8, 3, { padding: 1 });
  readonly norm = new BatchNorm(8);
  readonly next = new Conv2d(8, 8, 1);
  readonly other: Norm;
  constructor(make: () => Norm) {
    super();
    this.other = make();
  }
  forward(x: Tensor): Tensor {
    return mean(this.other.forward(this.next.forward(this.norm.forward(this.conv.forward(x)))), [1, 2]);
  }
}

describe("every norm", () => {
  const sample = [1, 4, 4, 3];
  const ways = [
    ...(["pan", "v2", "v1"] as const).map((scheme) => ({ scheme, at: ["norm", "other"] })),
    ...(["separate", "shared"] as const).map(
      (statistics) => ({ scheme: "pan", at: "norm", separate: ["other"], statistics }) as const,
    ),
  ];
  it.each(
    Object.entries(norms).flatMap(([name, make]) => ways.map((way) => [name, way, make] as const)),
  )("%s, %j, is read and put back, or refused", async (name, way, make) => {
    const go = () => protect(new Net(make), { ...way, sample });
    const refused =
      "separate" in way ? false : /over/.test(name) || (way.scheme === "v1" && /without|square|^instance$/.test(name));
    if (refused) {
      expect(go).toThrow(ArgumentError);
      expect(go).toThrow(/at: other has/);
      return;
    }
    const owned = go();
    const x = Tensor.full([2, 4, 4, 3], 1);
    scope(() => noGrad(() => owned.trainingPass(x)));
    const { tensors } = readCredential(await owned.credential());
    protectAs(new Net(make), owned.plan).loadSecrets(tensors);
  });
});

describe("every map", () => {
  const image = [1, 4, 4, 3];
  const maps: [string, () => Module, readonly number[], RegExp | null][] = [
    ["1×1", () => new Conv2d(3, 8, 1), image, null],
    ["as wide as its input", () => new Conv2d(3, 8, 4), image, null],
    ["padded by all but one tap", () => new Conv2d(3, 8, 3, { padding: 2 }), image, null],
    ["dilated, padded by its reach less one", () => new Conv2d(3, 8, 3, { padding: 4, dilation: 2 }), image, null],
    ["on some sides", () => new Conv2d(3, 8, 2, { padding: "same" }), image, null],
    ["in groups, with strides", () => new Conv2d(3, 9, 3, { padding: 1, groups: 3, stride: 2 }), image, null],
    ["along a line", () => new Conv1d(1, 8, 80, { stride: 4 }), [1, 800, 1], null],
    ["of many positions", () => new Linear(3, 8), [1, 2, 1, 2, 1, 1, 2, 3], null],
    ["1×1, padded", () => new Conv2d(3, 8, 1, { padding: 1 }), image, /a kernel that fits its padded input/],
    ["padded by more than it reaches", () => new Conv2d(3, 8, 3, { padding: 4 }), image, /a kernel that fits/],
    ["of 5000 taps", () => new Conv1d(1, 8, 5000), [1, 6000, 1], /at most 4096 taps/],
    ["of 80×80", () => new Conv2d(1, 8, 80), [1, 96, 96, 1], /at most 4096 taps/],
    ["of more dimensions", () => new Linear(3, 8), [1, 1, 1, 1, 1, 1, 1, 1, 3], /per axis, of 6 at most/],
    ["of very many windows", () => new Conv1d(1, 8, 512), [1, 220_500, 1], /windows times taps/],
  ];
  class Behind extends Module {
    readonly norm: BatchNorm;
    constructor(readonly map: Module) {
      super();
      this.norm = new BatchNorm(map instanceof Linear ? map.outFeatures : (map as Conv2d).outChannels);
    }
    forward(x: Tensor): Tensor {
      const y = this.norm.forward((this.map as Linear).forward(x));
      return mean(reshape(y, [y.shape[0]!, -1, y.shape.at(-1)!]), 1);
    }
  }

  it.each(maps)("%s", async (_, make, sample, because) => {
    const map = make();
    const go = () => protect(new Behind(map), { scheme: "pan", at: "norm", sample });
    if (because) {
      expect(go).toThrow(because);
      expect(go).toThrow(ArgumentError);
      // What is meant with others is left out.
      expect(() => protect(new Behind(map), { scheme: "pan", at: true, sample })).toThrow(/none can take a passport/);
    } else expect(readCredential(await go().credential()).places).toEqual(go().plan.places);
  });

  it("under a name that no file may have", () => {
    class Deep extends Module {
      readonly within_a_module_of_a_long_name: Module;
      constructor(inner: Module) {
        super();
        this.within_a_module_of_a_long_name = inner;
      }
      forward(x: Tensor): Tensor {
        return (this.within_a_module_of_a_long_name as Linear).forward(x);
      }
    }
    let net: Module = new Behind(new Conv2d(3, 8, 3));
    for (let i = 0; i < 20; i++) net = new Deep(net);
    expect(() => protect(net as Deep, { scheme: "pan", at: true, sample: image })).toThrow(/names of a norm, a weight/);
  });
});

describe("channels that hang together", () => {
  it.each([
    ["long", 10_000],
    ["many", 20_000],
  ])("are left out where they are too %s for the file's readers", async (_, count) => {
    const owned = protect(new Net(norms["batch"]!), { scheme: "pan", at: true, sample: [1, 4, 4, 3] });
    expect(readCredential(await owned.credential()).channels).toEqual(owned.channels);
    const [group] = owned.channels!.groups;
    const many = { ...owned.channels!, groups: Array.from({ length: count }, () => group!) };
    Object.defineProperty(owned, "channels", { value: many });
    expect(readCredential(await owned.credential()).channels).toBeUndefined();
  });
});
