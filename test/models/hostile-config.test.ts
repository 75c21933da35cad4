/**
 * Descriptions in files of strangers: bounded by the file they stand in, exact in their types,
 * refused quickly and in few words.
 */
import { beforeAll, describe, expect, it } from "vitest";
import { ArgumentError, FormatError, PanError, StateDictError } from "../../src/errors";
import type { StateDict } from "../../src/io/host-tensor";
import { MAX_JSON, parseJson } from "../../src/io/json";
import type { SafetensorsFile } from "../../src/io/safetensors";
import { shown } from "../../src/io/shown";
import {
  buildNetwork,
  checkConfig,
  deployedConfig,
  loadDeployed,
  type NetworkConfig,
  readCredential,
} from "../../src/models";
import { planOf } from "../../src/models/credential";
import { shapesOf } from "../../src/models/described/network";
import { boundCredential, commit, examine, openGroup, rejoin, verify } from "../../src/ownership";
import { readBinding } from "../../src/ownership/first/binding";
import { passportShape, weightShape } from "../../src/passport/place";
import { memory } from "../../src/tensor/storage";
import { FeatureWatermark } from "../../src/watermarks";
import { BINDING } from "../support/claims";
import { TINY_CLOUD } from "../support/clouds";
import { floats } from "../support/edits";
import { firstFiles } from "../support/first-files";
import { gpu } from "../support/gpu";
import { signerFor } from "../support/owner";
import { TINY, TINY_PLAIN } from "../support/tiny";

beforeAll(async () => void (await gpu()));

const RESNET = { arch: "resnet", classes: 3, input: [8, 8, 3], blocks: [1, 1], width: 8 } as const;
const STAGE = { scheme: "v2", passports: { layer2: true } } as const;

/** A file with tensors of a network's shapes. */
function file(shapes: ReadonlyMap<string, readonly number[]>, metadata: Record<string, string>): SafetensorsFile {
  return { metadata, tensors: new Map([...shapes].map(([name, shape]) => [name, floats(shape)])) };
}

/**
 * Names and shapes of what the owner of a {@link TINY} network has in a file of the first format.
 */
const FIRST_SHAPES: [string, number[]][] = [
  ["features.2", [1, 8, 4, 4], 16] as const,
  ["features.3", [1, 16, 4, 4], 32] as const,
].flatMap(([name, passport, channels]): [string, number[]][] => [
  [`${name}.b`, [channels]],
  [`${name}.key_private`, [...passport]],
  [`${name}.skey_private`, [...passport]],
  [`${name}.bn1.running_mean`, [channels]],
  [`${name}.bn1.running_var`, [channels]],
  [`${name}.bn1.num_batches_tracked`, []],
  [`${name}.fc.0.weight`, [channels / 4, channels]],
  [`${name}.fc.2.weight`, [channels, channels / 4]],
]);

/** A credential of the first format, whose passports follow from its configuration. */
const credential = (model: unknown, more: Record<string, string> = {}): SafetensorsFile =>
  file(new Map(FIRST_SHAPES), {
    format: "pan-credential-1",
    model: typeof model === "string" ? model : JSON.stringify(model),
    claimed: "{}",
    ...more,
  });
const deployed = (model: unknown): SafetensorsFile =>
  file(shapesOf(TINY_PLAIN), {
    format: "pan-deployed-1",
    model: typeof model === "string" ? model : JSON.stringify(model),
  });

/** One that says itself where its passports are. */
const second = (passports: unknown): SafetensorsFile => {
  const { tensors } = credential(TINY);
  const renamed = (name: string) =>
    name
      .replace(".bn1.", ".norm.")
      .replace("_private", "")
      .replace(/^(features\.\d)\./, "$1.bn.passport.");
  return {
    tensors: new Map([...tensors].map(([name, t]) => [renamed(name), t])),
    metadata: {
      format: "pan-credential-2",
      passports: typeof passports === "string" ? passports : JSON.stringify(passports),
      model: JSON.stringify(TINY_PLAIN),
      claimed: "{}",
    },
  };
};
const PLAN = planOf(TINY);
const at = (change: object) => ({ ...PLAN, places: PLAN.places.map((place) => ({ ...place, ...change })) });
const [PLACE] = PLAN.places;

const MANY = 20_000;
const conv = { channels: 8, kernel: 3, padding: 1 };
const deep = (n: number) => `${'{"a":'.repeat(n)}1${"}".repeat(n)}`;
const manyPassports = (n: number) => Object.fromEntries(Array.from({ length: n }, (_, i) => [i, true]));
/** Descriptions that would take minutes or gigabytes, without their scheme. */
const HOSTILE: [string, object | string][] = [
  ["10⁹ blocks", { ...RESNET, blocks: [1, 1_000_000_000] }],
  ["more stages than numbers have powers of two", { ...RESNET, blocks: new Array(2000).fill(1) }],
  ["2⁵³ − 1 blocks", { ...RESNET, blocks: [Number.MAX_SAFE_INTEGER] }],
  ["10⁹ channels of a ResNet", { ...RESNET, width: 1e9 }],
  ["2⁵³ − 1 channels of a ResNet", { ...RESNET, width: Number.MAX_SAFE_INTEGER }],
  ["10⁹ channels", { ...TINY, layers: [{ ...conv, channels: 1e9 }, "pool", conv, conv] }],
  ["10⁷ channels", { ...TINY, layers: [conv, "pool", { ...conv, channels: 1e7 }, conv] }],
  ["a kernel of 10⁹", { ...TINY, layers: [{ ...conv, kernel: 1e9, padding: 1e9 }, "pool", conv, conv] }],
  ["a padding of 10⁹", { ...TINY, layers: [conv, "pool", { ...conv, padding: 1e9 }, conv] }],
  ["an image of 10⁹ rows", { ...TINY, input: [1e9, 8, 3] }],
  ["an image of 10⁸ channels", { ...TINY, input: [8, 8, 1e8] }],
  ["an image of 10⁷ × 10⁷", { ...TINY, input: [1e7, 1e7, 3] }],
  ["10⁹ classes", { ...TINY, classes: 1e9 }],
  ["20,000 layers", { ...TINY, layers: new Array(MANY).fill(conv) }],
  [
    "20,000 layers with 20,000 passports",
    { ...TINY, layers: new Array(MANY).fill(conv), passports: manyPassports(MANY) },
  ],
  [
    "4,000 layers with 4,000 passports",
    { ...TINY, layers: new Array(4000).fill(conv), passports: manyPassports(4000) },
  ],
  ["20,000 passports of no layer", { ...TINY, passports: manyPassports(MANY) }],
  ["a text of half a megabyte", { ...TINY, passports: { 2: true, 3: "x".repeat(500_000) } }],
  ["a spread text of half a megabyte", { ...TINY, passports: { 2: true, 3: true }, signature: "€".repeat(300_000) }],
  ["a name of half a megabyte", { ...TINY, passports: { ["9".repeat(500_000)]: true } }],
  ["a scheme of half a megabyte", { ...TINY, scheme: "p".repeat(500_000) }],
  ["an architecture of half a megabyte", { ...TINY, arch: "p".repeat(500_000) }],
  ["a norm of half a megabyte", { ...TINY, norm: "p".repeat(500_000) }],
  ["a list of half a million", { ...TINY, input: new Array(400_000).fill(1) }],
  ["points without end", { ...TINY_CLOUD, input: [1e9, 3] }],
  ["channels without end, by width", { ...TINY_CLOUD, width: 1e300 }],
  ["a large width", { ...TINY_CLOUD, width: 100 }],
  ["nested a hundred thousand times", deep(100_000)],
  ["passports nested a thousand times", `{"arch":"convnet","passports":${deep(1000)}}`],
  ["lists nested a hundred thousand times", "[".repeat(100_000) + "]".repeat(100_000)],
  ["fifty megabytes", `"${"x".repeat(50_000_000)}"`],
  ["fifty megabytes of spaces", " ".repeat(50_000_000)],
  ["quotes and backslashes without end", `"${"\\".repeat(900_001)}`],
];

/**
 * What a call came to, how long it took (ms, the best of three: the machine may be busy), and how
 * long its message is.
 */
async function refusal(f: () => unknown): Promise<{ error: unknown; ms: number; length: number }> {
  let ms = Number.POSITIVE_INFINITY;
  let error: unknown;
  for (let i = 0; i < 3 && ms > 50; i++) {
    const start = performance.now();
    error = undefined;
    try {
      await f();
    } catch (e) {
      error = e;
    }
    ms = Math.min(ms, performance.now() - start);
  }
  return { error, ms, length: error instanceof Error ? error.message.length : 0 };
}

describe.each(HOSTILE)("%s", (_, model) => {
  const owners = credential(
    typeof model === "string" ? model : { ...model, scheme: (model as { scheme?: string }).scheme ?? "pan" },
  );
  const plain =
    typeof model === "string" ? model : { ...model, scheme: "plain", passports: undefined, signature: undefined };

  it("is refused in a credential within 100 ms, and nothing is allocated", () => expectRefused(owners));

  // What is wrong with passports, texts and schemes alone, a plain network's description has
  // nothing of.
  if (/^(20,000 passports of no layer|a (spread )?text|a name|a scheme) /.test(`${_} `)) return;

  it("is refused in a deployed file, where it is one of a plain network", async () => {
    for (const call of [deployedConfig, loadDeployed]) {
      const { error, ms, length } = await refusal(() => call(deployed(plain)));
      expect(error).toBeInstanceOf(FormatError);
      expect(ms).toBeLessThan(100);
      expect(length).toBeLessThan(1000);
    }
  });
});

/** What of passports would take minutes or gigabytes. */
const HOSTILE_PLANS: [string, object | string][] = [
  ["20,000 places", { ...PLAN, places: Array.from({ length: MANY }, (_, i) => ({ ...PLACE, norm: `n.${i}` })) }],
  ["2,049 places", { ...PLAN, places: Array.from({ length: 2049 }, (_, i) => ({ ...PLACE, norm: `n.${i}` })) }],
  ["2,000 places of its one passport", { ...PLAN, places: new Array(2000).fill(PLACE), texts: [] }],
  [
    "2,000 places that have no tensors",
    { ...PLAN, texts: [], places: Array.from({ length: 2000 }, (_, i) => ({ ...PLACE, norm: `n.${i}` })) },
  ],
  ["10⁹ channels", at({ channels: 1e9 })],
  ["10⁹ channels that go in", at({ inChannels: 1e9 })],
  ["10⁹ positions", at({ inputSize: [1e9, 1] })],
  ["10⁵ × 10⁵ positions", at({ inputSize: [1e5, 1e5] })],
  ["10⁶ positions, and no tensor of them", at({ inputSize: [1e3, 1e3] })],
  [
    "positions of a hundred axes",
    at({ kind: "linear", kernel: [], stride: [], padding: [], dilation: [], inputSize: new Array(100).fill(2) }),
  ],
  [
    "a kernel of 10⁹",
    at({
      kernel: [1e9, 1e9],
      padding: [
        [1e9 - 1, 1e9 - 1],
        [1e9 - 1, 1e9 - 1],
      ],
    }),
  ],
  [
    "a kernel of 2,000 × 2,000",
    at({
      kernel: [2e3, 2e3],
      padding: [
        [1999, 1999],
        [1999, 1999],
      ],
    }),
  ],
  [
    "a padding of 10⁹",
    at({
      padding: [
        [1e9, 1e9],
        [1e9, 1e9],
      ],
    }),
  ],
  [
    "taps 10⁹ apart, and windows without end",
    at({
      dilation: [1e9, 1e9],
      padding: [
        [2e9, 2e9],
        [2e9, 2e9],
      ],
    }),
  ],
  ["groups without end", at({ groups: 1e9 })],
  ["a name of half a megabyte", at({ norm: "n".repeat(500_000) })],
  [
    "a text of half a megabyte of a norm that is none",
    { ...PLAN, texts: [{ text: "x".repeat(500_000), layers: ["n"] }] },
  ],
  ["texts without end", { ...PLAN, texts: new Array(40_000).fill({ text: "", layers: [] }) }],
  [
    "a text of 100,000 layers",
    {
      ...PLAN,
      places: Array.from({ length: 2000 }, (_, i) => ({ ...PLACE, norm: `n.${i}` })),
      texts: [{ text: "x", layers: new Array(60_000).fill("n.1999") }],
    },
  ],
  ["100,000 norms that are apart", { ...PLAN, separate: new Array(100_000).fill("n") }],
  ["a scheme of half a megabyte", { ...PLAN, scheme: "p".repeat(500_000) }],
  ["nested a hundred thousand times", deep(100_000)],
  ["fifty megabytes", `"${"x".repeat(50_000_000)}"`],
];

/** What no credential may do: take long, say much, allocate. */
async function expectRefused(owners: SafetensorsFile): Promise<void> {
  const before = memory().tensors;
  const [signer, net] = [await signerFor("acme"), deployed(TINY_PLAIN)];
  const bound = (entry: string) => ({ ...owners, metadata: { ...owners.metadata, [entry]: JSON.stringify(BINDING) } });
  const calls: [string, () => unknown][] = [
    ["readCredential", () => readCredential(owners)],
    ["readBinding", () => readBinding(bound("binding"))],
    ["boundCredential", () => boundCredential(owners, BINDING)],
    ["commit", () => commit(bound("claim"), net, signer)],
    ["openGroup", () => openGroup(bound("claim"), 0)],
    ["rejoin", () => rejoin(net, owners)],
    ["examine", () => examine(net, owners)],
    ["verify", () => verify(net, owners)],
  ];
  for (const [name, call] of calls) {
    const { error, ms, length } = await refusal(call);
    expect(error, name).toBeInstanceOf(FormatError);
    expect(ms, name).toBeLessThan(100);
    expect(length, name).toBeLessThan(1000);
  }
  expect(memory().tensors).toBe(before);
}

describe("a credential that says where its passports are", () => {
  it("is read as it is", () => {
    expect(readCredential(second(PLAN)).places).toEqual(PLAN.places);
  });

  it.each(HOSTILE_PLANS)("and names %s is refused within 100 ms, and nothing is allocated", (_, plan) =>
    expectRefused(second(plan)));

  const GARBAGE: readonly unknown[] = [null, true, -1, 0.5, 1e12, "", "x", [], [[1]], {}, { toString: 1 }, undefined];

  it.each(["plan", "place"])("with wrong types in a %s is refused, or is the same secret", (where) => {
    const whole = (where === "plan" ? PLAN : PLACE) as unknown as Record<string, unknown>;
    for (const field of [...Object.keys(whole), "more"])
      for (const value of GARBAGE) {
        const changed = where === "plan" ? { ...PLAN, [field]: value } : at({ [field]: value });
        const what = `${field}: ${shown(value)}`;
        let error: unknown;
        try {
          readCredential(second(changed));
        } catch (e) {
          error = e;
        }
        if (error !== undefined) expect(error, what).toBeInstanceOf(FormatError);
        // What is accepted is of the field's own type, or is left out.
        else expect([whole[field], []].some((v) => typeof v === typeof value) || value === undefined, what).toBe(true);
        expect((error as Error | undefined)?.message.length ?? 0).toBeLessThan(1000);
      }
  });
});

describe("descriptions with wrong types", () => {
  const GARBAGE: readonly unknown[] = [
    null,
    true,
    0,
    -1,
    0.5,
    1e9,
    "1",
    "",
    [],
    [[1]],
    {},
    { toString: 1 },
    { __proto__: null, a: 1 },
  ];
  const FIELDS: Record<string, Record<string, unknown>> = {
    convnet: { ...TINY, arch: "convnet", norm: "bn", fc: true, signature: "ab" },
    resnet: { ...RESNET, ...STAGE, norm: "gn", signature: "ab" },
    pointnet: { ...TINY_CLOUD, norm: "bn", fc: true, branchStatistics: "shared", signature: "ab" },
  };

  it.each(Object.keys(FIELDS))("of a %s are refused, or are the same network", (arch) => {
    const whole = FIELDS[arch]!;
    expect(() => checkConfig(whole as unknown as NetworkConfig)).not.toThrow();
    for (const field of Object.keys(whole))
      for (const value of [...GARBAGE, Number.NaN, undefined]) {
        const config = { ...whole, [field]: value } as unknown as NetworkConfig;
        let error: unknown;
        try {
          checkConfig(config);
        } catch (e) {
          error = e;
        }
        const what = `${field}: ${shown(value)}`;
        if (error !== undefined) expect(error, what).toBeInstanceOf(ArgumentError);
        // What is accepted is of the field's own type.
        else expect([typeof whole[field], "undefined", "boolean"], what).toContain(typeof value);
        expect((error as Error | undefined)?.message.length ?? 0).toBeLessThan(1000);
      }
  });

  it.each(Object.keys(FIELDS))("with a name that is not known are refused: %s", (arch) => {
    for (const name of ["wdith", "passport", "Norm", "__proto__x", "layer"]) {
      const config = { ...FIELDS[arch]!, [name]: 1 } as unknown as NetworkConfig;
      expect(() => checkConfig(config)).toThrow(new RegExp(`settings of a ${arch}: .* found "${name}"`));
    }
    const layers = [{ ...conv, dilation: 2 }, "pool", conv, conv];
    expect(() => checkConfig({ ...TINY, layers } as unknown as NetworkConfig)).toThrow(/layer 0: .*dilation/);
  });
});

describe("claimed accuracies", () => {
  it.each([
    '{"private":"0x1"}',
    '{"private":[[1]]}',
    '{"private":{"toString":1}}',
    '{"private":null}',
    '{"private":-0.1}',
    '{"private":1.1}',
    '{"private":1e999}',
    '{"private":true}',
    '{"secret":0.5}',
    "[]",
    '"x"',
    "null",
    "0",
    "",
  ])("of %s are refused", (claimed) => {
    expect(() => readCredential(credential(TINY, { claimed }))).toThrow(FormatError);
  });

  it("that are none cannot be written down either", async () => {
    const model = buildNetwork(TINY);
    for (const claimed of [{ private: Number.NaN }, { private: 2 }, { other: 0.5 }, null, "x"])
      await expect(model.credential(claimed as never)).rejects.toThrow(ArgumentError);
    model.dispose();
  });
});

describe("files that contradict themselves", () => {
  const small = (tensors: StateDict): SafetensorsFile => ({ ...credential(TINY), tensors });

  it("by describing more than they hold are refused before anything is built", () => {
    for (const call of [readCredential, (f: SafetensorsFile) => rejoin(deployed(TINY_PLAIN), f)])
      expect(() => call(small(new Map()))).toThrow(FormatError);
    const bare = { ...deployed(TINY_PLAIN), tensors: new Map([["x", floats([2])]]) };
    expect(() => loadDeployed(bare)).toThrow(FormatError);
    expect(() => deployedConfig(bare)).toThrow(/describes .* the file has 1 tensors of 2 numbers/);
  });

  it("in a single tensor are refused by name", () => {
    const file = deployed(TINY_PLAIN);
    const other = { ...file, tensors: new Map(file.tensors).set("features.0.conv.weight", floats([8, 3, 5, 5])) };
    expect(() => loadDeployed(other)).toThrow(StateDictError);
    expect(() => loadDeployed(other)).toThrow(/features\.0\.conv\.weight: shape \[8, 3, 5, 5\]/);
  });

  it.each<[string, unknown]>([
    ["nothing", undefined],
    ["null", null],
    ["a text", "x"],
    ["a list", []],
    ["a state dict", new Map()],
    ["tensors that are an object", { tensors: {}, metadata: {} }],
    ["no metadata", { tensors: new Map() }],
    ["metadata that are no text", { tensors: new Map(), metadata: { format: 5 } }],
    ["a tensor that is null", { tensors: new Map([["x", null]]), metadata: {} }],
    ["a tensor without data", { tensors: new Map([["x", { dtype: "F32", shape: [1] }]]), metadata: {} }],
    [
      "data of another type",
      { tensors: new Map([["x", { dtype: "F32", shape: [1], data: new Float64Array(1) }]]), metadata: {} },
    ],
    [
      "data of another size",
      { tensors: new Map([["x", { dtype: "F32", shape: [2], data: new Float32Array(1) }]]), metadata: {} },
    ],
    [
      "an unknown type",
      { tensors: new Map([["x", { dtype: "toString", shape: [1], data: new Float32Array(1) }]]), metadata: {} },
    ],
  ])("or are none are refused: %s", async (_, value) => {
    const bad = value as SafetensorsFile;
    const [net, own, signer] = [deployed(TINY_PLAIN), credential(TINY), await signerFor("acme")];
    const calls: (() => unknown)[] = [
      () => readCredential(bad),
      () => deployedConfig(bad),
      () => loadDeployed(bad),
      () => rejoin(bad, own),
      () => rejoin(net, bad),
      () => verify(bad, own),
      () => verify(net, bad),
      () => examine(bad, own),
      () => examine(net, bad),
      () => examine(net, own, { reference: bad }),
      () => readBinding(bad),
      () => boundCredential(bad, BINDING),
      () => commit(bad, net, signer),
      () => commit(own, bad, signer),
      () => openGroup(bad, 0),
      () => FeatureWatermark.from(bad),
    ];
    for (const [i, call] of calls.entries()) {
      const { error } = await refusal(call);
      expect(error, `call ${i}`).toBeInstanceOf(PanError);
    }
  });
});

describe("shapes known beforehand", () => {
  const schemes = ["v1", "v2", "v3", "pan"] as const;
  const image = schemes.flatMap((scheme) =>
    (["bn", "sbn", "gn", "gn1", "in", "ln", "none"] as const).flatMap((norm): NetworkConfig[] =>
      scheme === "v1" && norm === "sbn" ? [] : [{ ...TINY, scheme, norm }],
    ),
  );
  const CONFIGS: NetworkConfig[] = [
    ...image,
    { ...TINY, fc: false },
    { ...RESNET, ...STAGE },
    ...schemes.map((scheme): NetworkConfig => ({ ...TINY_CLOUD, scheme, norm: "bn" })),
    ...(["sbn", "gn1", "ln", "none"] as const).map((norm): NetworkConfig => ({ ...TINY_CLOUD, norm })),
    { ...TINY_CLOUD, branchStatistics: "separate" as const },
  ];

  it.each(
    CONFIGS.map((c) => [`${c.arch ?? "convnet"} ${c.scheme} ${c.norm}`, c] as const),
  )("are those of the network that is built: %s", async (_, config) => {
    const model = buildNetwork(config);
    const of = (f: SafetensorsFile) => new Map([...f.tensors].map(([n, t]) => [n, [...t.shape]]));
    const given = await model.deployed();
    expect(new Map([...shapesOf(config)].sort())).toEqual(new Map([...of(given)].sort()));
    expect(shapesOf(deployedConfig(given))).toEqual(shapesOf(config));
    const [plan, kept] = [planOf(config), await model.credential()];
    expect(plan).toEqual(model.plan);
    const names = plan.places.flatMap(({ norm }) => ["skey", "key", "b"].map((part) => `${norm}.passport.${part}`));
    expect(names.filter((name) => !kept.tensors.has(name))).toEqual([]);
    for (const place of plan.places) {
      const shape = (part: string) => of(kept).get(`${place.norm}.passport.${part}`);
      const { torch } = passportShape(place);
      expect([shape("skey"), shape("key"), shape("b")], place.norm).toEqual([torch, torch, [place.channels]]);
      expect(given.tensors.get(place.weight)!.shape).toEqual(weightShape(place));
    }
    // A file of the first format says nothing but the configuration.
    const first = readCredential((await firstFiles(model, config)).credential);
    expect(new Map([...first.tensors].sort())).toEqual(new Map([...kept.tensors].sort()));
    expect(first.places).toEqual(plan.places);
    model.dispose();
  });

  it("are those of a folded network too", async () => {
    for (const config of [TINY, TINY_CLOUD]) {
      const model = buildNetwork(config);
      const file = await model.deployed({ foldNorm: true });
      const shapes = shapesOf(deployedConfig(file));
      expect([...shapes.keys()].sort()).toEqual([...file.tensors.keys()].sort());
      loadDeployed(file).dispose();
      model.dispose();
    }
  });
});

describe("JSON and values in messages", () => {
  it("is read up to its bounds, and no further", () => {
    expect(parseJson(deep(30), "x")).toBeTypeOf("object");
    expect(() => parseJson(deep(33), "x")).toThrow(/32 levels/);
    expect(parseJson(`["${"[{".repeat(100)}"]`, "x")).toEqual(["[{".repeat(100)]);
    expect(parseJson('["\\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["]', "x")).toHaveLength(1);
    expect(() => parseJson(`"${"x".repeat(MAX_JSON)}"`, "x")).toThrow(FormatError);
    for (const value of [undefined, null, 5, {}, [], { toString: 1 }])
      expect(() => parseJson(value, "x")).toThrow(FormatError);
  });

  it("is short whatever the value, and calls nothing of it", () => {
    const cyclic: unknown[] = [];
    cyclic.push(cyclic);
    const thrower = Object.defineProperty({}, "a", {
      enumerable: true,
      get: () => {
        throw new Error("called");
      },
    });
    const values = [
      cyclic,
      thrower,
      5n,
      Symbol("s"),
      () => 1,
      "x".repeat(1e6),
      new Array(1e6).fill("ab"),
      { toJSON: 1 },
    ];
    for (const value of values) expect(shown(value).length).toBeLessThan(100);
    expect(shown({ a: [1, "b", null, true] })).toBe('{"a":[1,"b",null,true]}');
    expect([shown(undefined), shown(new Float32Array(2))]).toEqual(["undefined", "a Float32Array of 2"]);
  });
});
