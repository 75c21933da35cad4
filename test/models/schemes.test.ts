/**
 * Every scheme with every norm: what is given away and what is kept; configurations that are
 * refused.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ArgumentError } from "../../src/errors";
import type { StateDict } from "../../src/io/host-tensor";
import type { SafetensorsFile } from "../../src/io/safetensors";
import { buildNetwork, buildPlain, loadDeployed } from "../../src/models/build";
import { type NetworkNorm, type Passports, passportPlan } from "../../src/models/config";
import { readCredential } from "../../src/models/credential";
import type { ConvNetConfig } from "../../src/models/described/convnet";
import { checkConfig, deployedConfig, type NetworkConfig, networkLayers } from "../../src/models/described/network";
import type { ResNetConfig } from "../../src/models/described/resnet";
import { asProtected } from "../../src/passport/protected";
import { protectAs } from "../../src/passport/restore";
import { branchesOf, type Scheme } from "../../src/passport/schemes";
import { decodeBytes, signBytes } from "../../src/passport/signature";
import { memory, scope } from "../../src/tensor/storage";
import { noGrad } from "../../src/tensor/tensor";
import { fileBytes, found, headerText, scattered, stored } from "../support/bytes";
import { firstFiles } from "../support/first-files";
import { expectClose, gpu, randomTensor } from "../support/gpu";
import type { Network } from "../support/networks";
import { TINY } from "../support/tiny";

beforeAll(async () => void (await gpu()));

const live = () => {
  const { tensors, storages, bytes } = memory();
  return { tensors, storages, bytes };
};

const SIZES = { classes: 3, input: [8, 8, 3] } as const;
const TINY_RESNET: ResNetConfig = { ...SIZES, arch: "resnet", blocks: [1, 1], width: 8, scheme: "plain" };

const SIGNED = "signed";
const conv = (scheme: Scheme, norm: NetworkNorm, more: object = {}): NetworkConfig => ({
  ...TINY,
  scheme,
  norm,
  passports: { 2: true, 3: true },
  signature: SIGNED,
  ...more,
});
const res = (scheme: Scheme, norm: NetworkNorm): NetworkConfig => ({
  ...TINY_RESNET,
  scheme,
  norm,
  passports: { layer2: true },
  signature: SIGNED,
});
const ONE = ["bn", "gn", "gn1", "in", "ln", "none"] as const;
const TWO = ["bn", "sbn", "gn", "gn1", "in", "ln", "none"] as const;

const CASES: [string, NetworkConfig][] = [
  ...ONE.map((n): [string, NetworkConfig] => [`v1 ${n}`, conv("v1", n)]),
  ...(["v2", "v3", "pan"] as const).flatMap((s) => TWO.map((n): [string, NetworkConfig] => [`${s} ${n}`, conv(s, n)])),
  ["pan bn without FC", conv("pan", "bn", { fc: false })],
  ["v1 bn, ResNet", res("v1", "bn")],
  ["v2 gn, ResNet", res("v2", "gn")],
  ["pan bn, ResNet", res("pan", "bn")],
  ["pan sbn, ResNet", res("pan", "sbn")],
];

/** Private names of one passport layer. */
function secrets({ scheme, norm, fc = true }: NetworkConfig): string[] {
  const statistics = ["running_mean", "running_var", "num_batches_tracked"].map((s) => `norm.${s}`);
  const own = ["b", "key", "skey", ...(norm === "bn" && scheme !== "v1" ? statistics : [])];
  return scheme === "pan" && fc ? [...own, "fc.0.weight", "fc.2.weight"] : own;
}

describe.each(CASES)("%s", (_, config) => {
  const at = [...passportPlan(config, networkLayers(config)).keys()];
  let model: Network;
  let whole: StateDict;
  let deployed: SafetensorsFile;
  let credential: SafetensorsFile;
  beforeAll(async () => {
    model = buildNetwork(config, { seed: 2 });
    model.loadStateDict(scattered(await model.stateDict()));
    model.eval();
    [whole, deployed, credential] = [await model.stateDict(), await model.deployed(), await model.credential()];
  });
  afterAll(() => model.dispose());

  it("splits and joins without loss", async () => {
    const constants = config.scheme === "v1" ? 2 * at.length : 0;
    expect(deployed.tensors.size + credential.tensors.size).toBe(whole.size + constants);
    expect([...credential.tensors.keys()].filter((n) => deployed.tensors.has(n))).toEqual([]);
    for (const file of [credential, (await firstFiles(model, config)).credential]) {
      const secrets = readCredential(stored(file));
      const joined = protectAs(loadDeployed(stored(deployed)), secrets);
      joined.loadSecrets(secrets.tensors);
      const state = await joined.stateDict();
      expect(state.size).toBe(whole.size);
      for (const [name, t] of whole) expect(state.get(name), name).toEqual(t);
      joined.dispose();
    }
  });

  it("deploys the plain network's names and shapes, and keeps the private ones alone", async () => {
    const plain = buildPlain(config);
    const expected = await plain.stateDict();
    expect([...deployed.tensors.keys()].sort()).toEqual([...expected.keys()].sort());
    for (const [name, t] of expected) expect(deployed.tensors.get(name)!.shape, name).toEqual(t.shape);
    const kept = at.flatMap((layer) => secrets(config).map((n) => `${layer}.bn.passport.${n}`));
    expect([...credential.tensors.keys()].sort()).toEqual(kept.sort());
    plain.dispose();
  });

  it("deploys a plain network that gives the logits of the branch that is given away", async () => {
    const plain = loadDeployed(stored(deployed));
    expect(plain.config).toEqual(model.network.config);
    expect(asProtected("a test", "its network", plain).branches).toEqual(["public"]);
    const x = randomTensor([3, 8, 8, 3], 4);
    const [a, b] = scope(() => noGrad(() => [plain.forward(x), model.forward(x)]));
    const [mine, theirs] = [await a!.data(), await b!.data()];
    expect(new Set(mine).size).toBeGreaterThan(3);
    if (config.scheme !== "v1") expect([...mine]).toEqual([...theirs]);
    else {
      const size = Math.max(...theirs.map(Math.abs));
      expectClose(mine, theirs, { rtol: 0, atol: 1e-5 * size });
    }
    for (const t of [x, a!, b!]) t.dispose();
    plain.dispose();
  });

  it("puts nothing private into the deployed file", () => {
    const file = fileBytes(deployed);
    expect(found(credential.tensors, file)).toEqual([]);
    expect(found(credential.tensors, fileBytes(credential))).toEqual([...credential.tensors.keys()]);
    const words = headerText(file).toLowerCase();
    const unwanted = ["passport", "key", "sign", "private", "fc", "bn0", "bn1", "sbn", '\\"pan', '\\"v', SIGNED, '.b"'];
    expect(unwanted.filter((word) => words.includes(word))).toEqual([]);
    expect(headerText(fileBytes(credential))).toContain(SIGNED);
    expect(deployedConfig(deployed).scheme).toBe("plain");
    expect(deployedConfig(deployed).norm).toBe(config.norm === "bn" || config.norm === "sbn" ? undefined : config.norm);
    if (config.scheme === "v1") {
      // What takes the place of γ and β was computed for the file: it is in no other.
      const constants = new Map([...deployed.tensors].filter(([n]) => at.some((l) => n.startsWith(`${l}.bn.`))));
      for (const part of ["weight", "bias"])
        expect(found(new Map([...constants].filter(([n]) => n.endsWith(part))), fileBytes(credential))).toEqual([]);
    }
  });
});

describe("a network built without a seed", () => {
  it("has the weights of seed 0, and passports and free bits that nobody knows", async () => {
    const [a, b, seeded] = [buildNetwork(TINY), buildNetwork(TINY), buildNetwork(TINY, { seed: 0 })];
    const bytes = async (model: Network, name: string) => (await model.stateDict()).get(name)!.data;
    const weight = "features.0.conv.weight";
    expect(await bytes(a, weight)).toEqual(await bytes(seeded, weight));
    const names = [...(await a.stateDict()).keys()].filter((name) => /\.s?key(_private)?$/.test(name));
    expect(names.length).toBeGreaterThan(0);
    for (const name of names) {
      expect(await bytes(a, name)).not.toEqual(await bytes(b, name));
      expect(await bytes(a, name)).not.toEqual(await bytes(seeded, name));
    }
    for (const model of [a, b, seeded]) model.dispose();
  });
});

describe("configurations of schemes", () => {
  const wide = { layers: [{ channels: 56, kernel: 3 }], passports: { 0: true } };
  it.each<[string, object, RegExp]>([
    ["statistics that one branch would share", conv("v1", "sbn"), /norm of scheme "v1": one of bn, gn, .* "sbn"/],
    ["statistics that a plain network would share", { scheme: "plain", norm: "sbn", passports: {} }, /"sbn"/],
    ["a folded norm under passports", conv("pan", "folded"), /norm of scheme "pan".*"folded"/],
    ["a folded norm under V1", conv("v1", "folded"), /"folded"/],
    ["an unknown norm", { norm: "batch" }, /norm of scheme "pan": one of bn, sbn, .* "batch"/],
    ["a norm that is no text", { norm: 3 }, /norm of scheme "pan"/],
    ["groups of channels that do not divide", { ...wide, norm: "gn" }, /3 groups of 56 channels/],
    ["such groups without a passport", { ...wide, scheme: "plain", norm: "gn", passports: {} }, /3 groups of 56/],
    ["an FC in V1", conv("v1", "bn", { fc: true }), /fc belongs to scheme "pan", this is "v1"/],
    ["an FC in V2", conv("v2", "gn", { fc: false }), /fc belongs to scheme "pan", this is "v2"/],
    ["an FC that is no choice", { fc: 1 }, /fc: true or false/],
    ["a signature that is no text", { signature: 5 }, /signature: a text/],
    ["a signature of a plain network", { scheme: "plain", passports: {}, signature: "x" }, /takes no passports and no/],
    [
      "a spread text that is too long",
      { passports: { 0: true, 2: true, 3: true }, signature: "12345678" },
      /takes 8 bytes; the 3 layers it is spread over hold 7 \(1 \+ 2 \+ 4\)/,
    ],
    [
      "a spread text where another has the room",
      { passports: { 2: true, 3: "PAN!" }, signature: "abc" },
      /takes 3 bytes; the 1 layers it is spread over hold 2 \(2\)/,
    ],
    ["a spread text without a layer for it", { passports: { 3: "PAN!" }, signature: "a" }, /the 0 layers .* hold 0/],
    ["passports inside a convolution", { passports: { 2: { 0: true } } }, /layer 2\.0, which is not a convolution/],
    ["an unknown architecture", { arch: "vgg" }, /arch: one of convnet, resnet, pointnet expected, found "vgg"/],
    ["ResNet without blocks", { ...TINY_RESNET, blocks: [] }, /blocks: whole numbers from 1/],
    ["ResNet with an empty stage", { ...TINY_RESNET, blocks: [1, 0] }, /blocks: whole numbers from 1/],
    ["ResNet with blocks that are no list", { ...TINY_RESNET, blocks: 2 }, /blocks: whole numbers from 1/],
    ["ResNet without channels", { ...TINY_RESNET, width: 0 }, /width: a whole number from 1 expected, found 0/],
    ["ResNet of half a channel", { ...TINY_RESNET, width: 7.5 }, /width: a whole number/],
    [
      "a text on a stage",
      { ...res("pan", "bn"), passports: { layer2: "x" } },
      /given to the group layer2: name one layer of layer2\.0\.convbnrelu_1,/,
    ],
    ["a text on a block", { ...res("pan", "bn"), passports: { layer1: { 0: "x" } } }, /group layer1\.0/],
    ["an unknown stage", { ...res("pan", "bn"), passports: { layer4: true } }, /layer4, which is not a convolution/],
    [
      "an unknown block",
      { ...res("pan", "bn"), passports: { layer2: { 3: { convbn_2: true } } } },
      /layer layer2\.3\.convbn_2, which is not a convolution of this network: they are convbnrelu_1, layer1\.0\./,
    ],
    [
      "a shortcut where there is none",
      { ...res("pan", "bn"), passports: { layer1: { 0: { shortcut: true } } } },
      /layer1\.0\.shortcut, which is not/,
    ],
    ["a number inside a stage", { ...res("pan", "bn"), passports: { layer2: { 0: 7 } } }, /at layer layer2\.0/],
    [
      "a text too long for a convolution",
      { ...res("pan", "bn"), signature: undefined, passports: { layer2: { 0: { convbn_2: "abc" } } } },
      /"abc" of layer layer2\.0\.convbn_2 takes 3 bytes; its 16 channels hold 2/,
    ],
    ["passports that are all off", { ...res("v2", "gn"), passports: { layer2: false } }, /needs passports/],
  ])("refuse %s before anything is made", (_, change, message) => {
    const config = JSON.parse(JSON.stringify({ ...TINY, ...change })) as NetworkConfig;
    const before = live();
    expect(() => buildNetwork(config)).toThrow(ArgumentError);
    expect(() => checkConfig(config)).toThrow(message);
    expect(live()).toEqual(before);
  });

  const resnet = (passports: Passports): string[] => {
    const config: ResNetConfig = { ...TINY_RESNET, blocks: [1, 2], scheme: "pan", passports };
    return [...passportPlan(config, networkLayers(config)).keys()];
  };
  const stage = ["0.convbnrelu_1", "0.convbn_2", "0.shortcut", "1.convbnrelu_1", "1.convbn_2"].map(
    (n) => `layer2.${n}`,
  );

  it("take a whole stage, a block, and what is said of their parts instead", () => {
    expect(resnet({ layer2: true })).toEqual(stage);
    expect(resnet({ layer2: { 1: true } })).toEqual(stage.slice(3));
    expect(resnet({ layer2: { 0: { convbnrelu_1: true, convbn_2: true, shortcut: false }, 1: true } })).toEqual(
      stage.filter((n) => !n.endsWith("shortcut")),
    );
    expect(resnet({ layer2: true, "layer2.0": { shortcut: false } })).toEqual(stage.filter((n) => n !== stage[2]));
    expect(resnet({ convbnrelu_1: "x", layer1: false, layer2: { 0: false, 1: { convbn_2: true } } })).toEqual([
      "convbnrelu_1",
      stage[4],
    ]);
  });

  it("let the narrower word count, whichever comes first", () => {
    expect(resnet({ layer2: true, "layer2.0": false })).toEqual(stage.slice(3));
    expect(resnet({ "layer2.0": false, layer2: true })).toEqual(stage.slice(3));
    expect(resnet({ layer2: false, "layer2.0": true, "layer2.0.shortcut": false })).toEqual(stage.slice(0, 2));
    expect(resnet({ "layer2.0.shortcut": false, "layer2.0": true, layer2: false })).toEqual(stage.slice(0, 2));
  });
});

describe("a signature spread over layers", () => {
  // One, two and four bytes of room: é, a letter of two bytes, and €, one of three, are both cut
  // between layers.
  const spread = "é€b";
  const config: ConvNetConfig = { ...TINY, passports: { 0: true, 2: true, 3: true }, signature: spread };

  async function spelled(settings: ConvNetConfig): Promise<Map<string, Uint8Array>> {
    const model = buildNetwork(settings, { seed: 3 });
    const plan = passportPlan(settings, networkLayers(settings));
    const signs = await model.readSigns();
    model.dispose();
    return new Map(signs.map((s) => [s.name, signBytes(s.bits, plan.get(s.name.replace(/\.bn$/, ""))!.length)]));
  }

  it("is spelled by their bits one after another, characters cut where a layer is full", async () => {
    const parts = await spelled(config);
    expect([...parts].map(([name, bytes]) => [name, [...bytes]])).toEqual([
      ["features.0.bn", [0xc3]],
      ["features.2.bn", [0xa9, 0xe2]],
      ["features.3.bn", [0x82, 0xac, 0x62]],
    ]);
    expect(decodeBytes(Uint8Array.from([...parts.values()].flatMap((b) => [...b])))).toBe(spread);
  });

  it("leaves layers with a text of their own to that", async () => {
    const parts = await spelled({ ...config, passports: { 0: true, 2: "PA", 3: true }, signature: "é€" });
    expect([...parts].map(([name, bytes]) => [name, decodeBytes(bytes)])).toEqual([
      ["features.0.bn", "\ufffd"],
      ["features.2.bn", "PA"],
      ["features.3.bn", "\ufffd€"],
    ]);
  });

  it("is the same network for the same seed but for the bits it writes", async () => {
    const states = await Promise.all(
      [config, { ...config, signature: "é€c" }].map(async (c) => {
        const model = buildNetwork(c, { seed: 3 });
        const state = await model.stateDict();
        model.dispose();
        return state;
      }),
    );
    const differ = [...states[0]!].filter(([n, t]) => t.data.some((v, i) => v !== states[1]!.get(n)!.data[i]));
    expect(differ.map(([name]) => name)).toEqual(["features.3.b"]);
  });

  it("belongs to a scheme with passports, whatever its branches are", () => {
    expect((["v1", "v2", "v3", "pan"] as const).map((s) => branchesOf(s).length)).toEqual([1, 2, 2, 2]);
    for (const scheme of ["v1", "v2", "v3", "pan"] as const)
      expect(() => checkConfig({ ...config, scheme })).not.toThrow();
  });
});
