/**
 * Norms and maps that a network holds in several places, and state dicts with names of their own.
 */
import { beforeAll, describe, expect, it } from "vitest";
import { ArgumentError } from "../../src/errors";
import { toFloat32 } from "../../src/io/host-tensor";
import { readCredential, setImagePassports } from "../../src/models";
import { BatchNorm, Conv2d, LayerNorm, Linear, Module, type Norm } from "../../src/nn";
import { exportOnnx } from "../../src/onnx/export";
import { type ProtectOptions, protect, protectAs } from "../../src/passport";
import { add } from "../../src/tensor/ops/elementwise";
import { globalAvgPool } from "../../src/tensor/ops/pool";
import { sum } from "../../src/tensor/ops/reduce";
import { Generator } from "../../src/tensor/random";
import { scope } from "../../src/tensor/storage";
import { noGrad, Tensor } from "../../src/tensor/tensor";
import { expectClose, gpu, randomData } from "../support/gpu";
import { expectLike, runModel } from "../support/onnx";
import { tinySet } from "../support/tiny";

beforeAll(async () => void (await gpu()));

/** Its second norm and both of its maps have two names each. */
class Listed extends Module {
  readonly stem = new Conv2d(3, 8, 3, { padding: 1, random: new Generator(1) });
  readonly norm1 = new BatchNorm(8);
  readonly deep = new Conv2d(8, 16, 3, { padding: 1, random: new Generator(2) });
  readonly norm2 = new BatchNorm(16);
  readonly norms: Norm[] = [this.norm1, this.norm2];
  readonly maps = { a: this.stem, b: this.deep };
  readonly head = new Linear(16, 2, { random: new Generator(3) });

  forward(x: Tensor): Tensor {
    const h = this.norm1.forward(this.stem.forward(x));
    return this.head.forward(globalAvgPool(this.norm2.forward(this.deep.forward(h))));
  }
}

const sample = [1, 4, 4, 3];
const options = (own: Partial<ProtectOptions>): ProtectOptions => ({
  scheme: "pan",
  at: "norm2",
  sample,
  random: new Generator(1),
  ...own,
});
const batch = () => Tensor.from(randomData([4, 4, 4, 3], 5), [4, 4, 4, 3]);

describe("a norm of several names", () => {
  it.each<[Partial<ProtectOptions>, readonly string[], readonly string[]]>([
    [{ separate: ["*"] }, ["norm2"], ["norm1"]],
    [{ separate: ["norms"] }, ["norm2"], ["norm1"]],
    [{ separate: ["norm1", "norms.0", "norms.1"] }, ["norm2"], ["norm1"]],
    [{ at: "norms.1", separate: ["norms.0"] }, ["norm2"], ["norm1"]],
    [{ at: "norms" }, ["norm1", "norm2"], []],
    [{ at: true }, ["norm1", "norm2"], []],
    [{ at: { "*": true, "norms.1": "A" } }, ["norm1", "norm2"], []],
    [{ at: { "norms.1": { map: "maps.b", text: "A" } } }, ["norm2"], []],
  ])("is one site under the first of them, and learns: %j", async (own, places, separate) => {
    const owned = protect(new Listed(), options(own)).train();
    expect(owned.plan.places.map((p) => p.norm)).toEqual(places);
    expect(owned.plan.places.map((p) => p.weight)).toEqual(
      places.map((n) => ({ norm1: "stem.weight", norm2: "deep.weight" })[n]),
    );
    expect(owned.plan.separate).toEqual(separate);
    scope(() => {
      const { outputs, signLoss } = owned.trainingPass(batch());
      add(add(sum(outputs.public!), sum(outputs.private!)), signLoss!).backward();
    });
    expect(owned.namedParameters().filter(([, p]) => !p.grad)).toEqual([]);
    const { places: read, tensors } = readCredential(await owned.credential());
    expect(read).toEqual(owned.plan.places);
    const again = protectAs(new Listed(), owned.plan);
    again.loadSecrets(tensors);
    expect(again.sites.map((s) => s.name)).toEqual(owned.sites.map((s) => s.name));
  });

  it("is said once", () => {
    const go = (at: ProtectOptions["at"]) => () => protect(new Listed(), options({ at }));
    expect(go(["norm2", "norms.1"])).toThrow(/"norm2" and "norms.1" are one norm/);
    expect(go({ norm2: "A", "norms.1": "B" })).toThrow(ArgumentError);
    expect(go({ "norm*": "A" })).toThrow(/means norm1, norm2: name one of them/);
  });

  it("has a passport or is separate, in a plan too", () => {
    const { plan } = protect(new Listed(), options({}));
    expect(() => protectAs(new Listed(), { ...plan, separate: ["norm2"] })).toThrow(
      /separate: norms without a passport/,
    );
    const other = protectAs(new Listed(), { ...plan, separate: ["norms.1", "norm1", "norms.0"] });
    expect(other.sites.map((s) => [s.name, s.place !== null])).toEqual([
      ["norm1", false],
      ["norm2", true],
    ]);
    const twice = [plan.places[0]!, { ...plan.places[0]!, norm: "norms.1" }];
    expect(() => protectAs(new Listed(), { ...plan, places: twice })).toThrow(/norm2 and norms.1 are one norm/);
  });

  it("has γ and β of a pass by the first", async () => {
    const owned = protect(new Listed(), options({}));
    const asked = new Set<string>();
    scope(() => noGrad(() => owned.trainingPass(batch(), { affine: (name) => void asked.add(name) as undefined })));
    expect([...asked]).toEqual(["norm1", "norm2"]);
  });

  it("has passports of images, whichever name its map has in the other network", async () => {
    const owned = protect(new Listed(), options({ sample: [1, 8, 8, 3] }));
    const [before] = await owned.readSigns();
    await setImagePassports(owned, new Listed(), tinySet(30, 6), { random: new Generator(1) });
    expect((await owned.readSigns())[0]!.gamma).not.toEqual(before!.gamma);
  });
});

describe("what v1 deploys", () => {
  /** Names as in files of somebody else's. */
  class Renamed extends Listed {
    protected override stateName(path: string): string | null {
      return path.startsWith("maps") ? null : `model.${path}`;
    }
  }

  it.each([
    ["a norm of two names", Listed, ["norm2", "norms.1"]],
    ["a state dict of names of its own", Renamed, ["model.norm2", "model.norms.1"]],
  ] as const)("are the passports' γ and β, under every name: %s", async (_, Net, names) => {
    const owned = protect(new Net(), options({ scheme: "v1" })).eval();
    const { gamma, beta } = (await owned.readGammaBeta()).get("norm2")!;
    const { tensors } = await owned.deployed();
    for (const name of names) {
      expect(toFloat32(tensors.get(`${name}.weight`)!)).toEqual(gamma);
      expect(toFloat32(tensors.get(`${name}.bias`)!)).toEqual(beta);
    }
    const copy = new Net().eval();
    copy.loadStateDict(tensors);
    const x = batch();
    const [own, deployed] = scope(() => noGrad(() => [owned.forward(x), copy.forward(x)]));
    expectClose(await deployed!.data(), await own!.data(), { rtol: 1e-5, atol: 1e-5 });
    const input = { data: await x.data(), shape: x.shape };
    const { output } = await runModel(await exportOnnx(owned, { sample, layout: "NHWC" }), { input });
    expectLike(output!, { data: await own!.data(), shape: own!.shape });
    const state = [...(await owned.stateDict()).keys()];
    const kept = [...tensors.keys()].filter((name) => !names.some((n) => [`${n}.weight`, `${n}.bias`].includes(name)));
    expect(state.filter((name) => !name.includes(".passport."))).toEqual(kept);
    expect(state).toContain("norm2.passport.skey");
  });

  it("is refused where γ is another norm's too, or nobody's", () => {
    class Tied extends Listed {
      readonly other = Object.assign(new BatchNorm(16), { weight: this.norm2.weight });
    }
    expect(() => protect(new Tied(), options({ scheme: "v1" }))).toThrow(
      /γ or β of norm2 is a tensor of another module/,
    );
    const { plan } = protect(new Listed(), options({ scheme: "v1" }));
    class Bare extends Listed {
      override readonly norm2 = new BatchNorm(16, { affine: false });
      override readonly norms = [];
    }
    expect(() => protectAs(new Bare(), plan)).toThrow(/the network's has none/);
  });
});

describe("norms that are separate", () => {
  class More extends Listed {
    readonly map = new LayerNorm([4, 4, 8]);
    readonly idle = new BatchNorm(8);
    override forward(x: Tensor): Tensor {
      const h = this.map.forward(this.norm1.forward(this.stem.forward(x)));
      return this.head.forward(globalAvgPool(this.norm2.forward(this.deep.forward(h))));
    }
  }

  it("are saved as the network saves its own", async () => {
    const state = await protect(new More(), options({ at: "norm1", separate: ["map"] })).stateDict();
    for (const part of ["weight", "bias"])
      expect(state.get(`map.passport.${part}`)!.shape).toEqual(state.get(`map.${part}`)!.shape);
  });

  it("are those of the pass", () => {
    expect(protect(new More(), options({ separate: ["*"] })).plan.separate).toEqual(["norm1", "map"]);
    const idle = () => protect(new More(), options({ separate: ["norm1", "idle"] }));
    expect(idle).toThrow(/separate: the pass of the sample never meets idle/);
    expect(idle).toThrow(ArgumentError);
  });
});
