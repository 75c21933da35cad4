/** Which of two networks are made from each other, by the matching of their channels. */
import { describe, expect, it } from "vitest";
import { disguise } from "../../src/attacks";
import { ArgumentError, FormatError, StateDictError } from "../../src/errors";
import { type HostTensor, type StateDict, toFloat32 } from "../../src/io/host-tensor";
import type { SafetensorsFile } from "../../src/io/safetensors";
import { buildNetwork, type NetworkConfig } from "../../src/models";
import { BatchNorm, Conv2d, Linear, Module } from "../../src/nn";
import { binomialPValue, type RelationEvidence, relation } from "../../src/ownership";
import { fixedPointsThreshold } from "../../src/ownership/relation/fixed-points";
import { type Channels, channelsOf } from "../../src/passport/channels";
import { add } from "../../src/tensor/ops/elementwise";
import { globalAvgPool } from "../../src/tensor/ops/pool";
import { Generator } from "../../src/tensor/random";
import type { Tensor } from "../../src/tensor/tensor";
import { chain, chainChannels, type Fill, noise } from "../support/chains";
import { gpu } from "../support/gpu";

/** Another network of the tensors that `change` gives, of filters alone. */
function changed(file: SafetensorsFile, change: (t: HostTensor, name: string) => Float32Array): SafetensorsFile {
  const tensors = new Map(
    [...file.tensors].map(([name, t]) => {
      if (t.shape.length < 2) return [name, t] as const;
      return [name, { ...t, dtype: "F32", data: change(t, name) } as HostTensor] as const;
    }),
  );
  return { ...file, tensors };
}

const sizeOfNumbers = (data: Float32Array): number => Math.sqrt(data.reduce((s, v) => s + v * v, 0) / data.length);

const ATTACKS: Record<string, (file: SafetensorsFile, seed: number) => SafetensorsFile> = {
  nothing: (file) => file,
  "a little training": (file, seed) => noisy(file, 0.1, seed),
  "noise as large as the weights": (file, seed) => noisy(file, 1, seed),
  "60 % pruned": (file) =>
    changed(file, (t) => {
      const data = toFloat32(t);
      const least = data.map(Math.abs).sort()[Math.floor(0.6 * data.length)]!;
      return data.map((v) => (Math.abs(v) < least ? 0 : v));
    }),
  "8 bits": (file) => quantised(file, 8),
  "4 bits": (file) => quantised(file, 4),
};

function noisy(file: SafetensorsFile, strength: number, seed: number): SafetensorsFile {
  const random = new Generator(seed);
  return changed(file, (t, name) => {
    const [data, source] = [toFloat32(t), random.fork(name)];
    const size = strength * sizeOfNumbers(data);
    return data.map((v) => v + size * source.normal(0, 1));
  });
}

const quantised = (file: SafetensorsFile, bits: number): SafetensorsFile =>
  changed(file, (t) => {
    const data = toFloat32(t);
    const step = data.reduce((m, v) => Math.max(m, Math.abs(v)), 0) / (2 ** (bits - 1) - 1);
    return data.map((v) => Math.round(v / step) * step);
  });

const CHAIN: NetworkConfig = {
  classes: 10,
  input: [16, 16, 3],
  layers: [
    { channels: 32, kernel: 3, padding: 1 },
    "pool",
    { channels: 48, kernel: 3, padding: 1 },
    { channels: 32, kernel: 3, padding: 1 },
  ],
  scheme: "plain",
};
const RESNET: NetworkConfig = {
  arch: "resnet",
  classes: 10,
  input: [16, 16, 3],
  blocks: [1, 1],
  width: 24,
  scheme: "plain",
};

/** Numbers of their own for everything, of variances positive ones. */
function drawn(state: StateDict, seed: number): StateDict {
  const random = new Generator(seed);
  return new Map(
    [...state].map(([name, t]): [string, HostTensor] => {
      if (t.dtype !== "F32") return [name, t];
      const [source, positive] = [random.fork(name), name.endsWith("running_var")];
      const draw = () => (positive ? source.uniform(0.5, 2) : source.normal(0, 1));
      return [name, { ...t, data: Float32Array.from(t.data as Float32Array, draw) }];
    }),
  );
}

/** A network with weights and statistics of its own. */
async function network(config: NetworkConfig, seed: number): Promise<SafetensorsFile> {
  await gpu();
  const model = buildNetwork(config, { seed });
  model.loadStateDict(drawn(await model.stateDict(), seed));
  const deployed = await model.deployed();
  model.dispose();
  return deployed;
}

/** Most of the channels agree. */
function expectRelated(found: RelationEvidence, share = 0.8): void {
  expect(found.related).toBe(true);
  expect(found.pValue).toBeLessThan(1e-12);
  expect(found.agreements).toBeGreaterThanOrEqual(share * found.channels);
}

function expectUnrelated(found: RelationEvidence): void {
  expect(found.related).toBe(false);
  expect(found.pValue).toBeGreaterThan(1e-3);
}

describe.each<[string, NetworkConfig]>([
  ["a chain", CHAIN],
  ["a residual network", RESNET],
])("%s", (_, config) => {
  it.each(Object.entries(ATTACKS))("is found again behind %s, disguised in every way", async (what, attack) => {
    const released = await network(config, 1);
    const copy = attack(released, 5);
    const share = what.startsWith("noise") ? 0.5 : 0.8;
    expectRelated(relation(copy, released), share);
    const most = { permute: true, scale: 8, filterScale: 8, negate: 0.5, seed: 2 };
    expectRelated(relation(disguise(copy, most), released), share);
    expectRelated(relation(released, disguise(copy, most)), share);
  });

  it("is no stranger's", async () => {
    const released = await network(config, 1);
    for (const seed of [2, 3, 4]) {
      const found = relation(await network(config, seed), released);
      expectUnrelated(found);
      expect(found.channels).toBeGreaterThan(60);
    }
  });
});

it("follows folded norms, wrapped names, another head", async () => {
  const released = await network(CHAIN, 1);
  const random = new Generator(3);
  const folded: SafetensorsFile = { tensors: new Map(), metadata: {} };
  for (const [name, t] of disguise(released, { negate: 0.5 }).tensors) {
    if (name.includes(".bn.")) continue;
    const head = name.startsWith("classifier");
    const rows = t.shape[0]!;
    const m = t.data.length / rows;
    const scale = Float32Array.from({ length: rows }, () => (head ? 1 : random.normal(0, 1)));
    const data = toFloat32(t).map((v, i) => (head ? random.normal(0, 1) : v * scale[Math.floor(i / m)]!));
    folded.tensors.set(`net.module.${name}`, { dtype: "F32", shape: t.shape, data: data as Float32Array<ArrayBuffer> });
  }
  const found = relation(folded, released);
  expect(found.related).toBe(true);
  // Behind the last channels is the new head.
  expect(found.layers.at(-1)!.agreements).toBeLessThan(6);
  for (const l of found.layers.slice(0, -1)) expect(l.agreements).toBeGreaterThan(0.9 * l.channels);
});

it("follows copies with dummy neurons, and with fewer channels", () => {
  const random = new Generator(1);
  const [widths, more] = [
    [27, 32, 40, 32, 16],
    [27, 41, 48, 37, 16],
  ];
  const released = chain(widths!, 1, (l) => noise(random.fork(l)));
  const places = more!.map((n, l) => (l % 4 ? random.permutation(n) : Int32Array.from({ length: n }, (_, i) => i)));
  const at = (l: number, o: number, i: number) =>
    (released.tensors.get(`layers.${l}.weight`)!.data as Float32Array)[o * widths![l]! + i]!;
  const larger = chain(more!, 1, (l) => (o, i) => {
    const [to, from] = [places[l + 1]![o]!, places[l]![i]!];
    // A dummy neuron is read by weights that do nothing, and has filters of its own.
    if (from >= widths![l]!) return 1e-3 * random.normal(0, 1);
    return to >= widths![l + 1]! ? random.normal(0, 1) : at(l, to, from);
  });
  for (const [suspect, own, w] of [
    [larger, released, widths],
    [released, larger, more],
  ] as const) {
    const found = relation(suspect, own, { channels: { channels: chainChannels(w!) } });
    expectRelated(found);
    expect(found.layers[0]).toMatchObject({ channels: expect.any(Number), among: expect.any(Number) });
    expect(found.layers[0]!.among).toBeGreaterThan(found.layers[0]!.channels);
  }
});

/** Streams whose channels may be negated: nothing but sums and maps along them. */
class Bottleneck extends Module {
  readonly stem = new Conv2d(3, 32, 3, { padding: 1, bias: false });
  readonly stemNorm = new BatchNorm(32);
  readonly expand = new Conv2d(32, 64, 1, { bias: false });
  readonly expandNorm = new BatchNorm(64, { relu: true });
  readonly deep = new Conv2d(64, 64, 3, { padding: 1, groups: 64, bias: false });
  readonly deepNorm = new BatchNorm(64, { relu: true });
  readonly project = new Conv2d(64, 32, 1, { bias: false });
  readonly projectNorm = new BatchNorm(32);
  readonly wide = new Conv2d(32, 48, 3, { padding: 1, bias: false });
  readonly wideNorm = new BatchNorm(48, { relu: true });
  readonly head = new Linear(48, 32);

  forward(x: Tensor): Tensor {
    const stem = this.stemNorm.forward(this.stem.forward(x));
    const inner = this.deepNorm.forward(this.deep.forward(this.expandNorm.forward(this.expand.forward(stem))));
    const stream = add(stem, this.projectNorm.forward(this.project.forward(inner)));
    return this.head.forward(globalAvgPool(this.wideNorm.forward(this.wide.forward(stream))));
  }
}

describe("a network of one's own, with depthwise filters and a stream that may be turned", () => {
  async function own(seed: number): Promise<{ file: SafetensorsFile; channels: Channels }> {
    await gpu();
    const net = new Bottleneck();
    const state = drawn(await net.stateDict(), seed);
    const channels = channelsOf(net, [1, 8, 8, 3]);
    net.dispose();
    return { file: { tensors: state, metadata: {} }, channels };
  }

  it("is found again, and no stranger's", async () => {
    const { file, channels } = await own(1);
    const source = { channels: { channels } };
    const hidden = disguise(file, { scale: 3, filterScale: 3, negate: 0.5, seed: 4 }, { channels });
    const found = relation(hidden, file, source);
    expectRelated(found);
    expect(found.layers.map((l) => l.name)).toEqual(["stem", "expand", "wide"]);
    expectUnrelated(relation((await own(2)).file, file, source));
    expect(() => relation(file, { ...file, metadata: { format: "pan-deployed-2" } })).toThrow(FormatError);
  });
});

describe("chance", () => {
  /** Widths of chains, down to the fewest numbers that are compared. */
  const SHAPES: readonly (readonly [kernel: number, ...widths: number[]])[] = [
    [1, 16, 16, 16],
    [1, 17, 20, 16, 18],
    [1, 32, 12, 20],
    [3, 2, 6, 4, 4],
    [1, 40, 8, 32, 24, 16],
  ];
  const DRAWS = 2000;

  it("makes independent networks agree no more often than is said", () => {
    const reached = new Map([
      [1e-1, 0],
      [1e-2, 0],
      [1e-3, 0],
    ]);
    const matched = new Map(reached);
    const random = new Generator(7);
    let [trials, agreed, layers] = [0, 0, 0];
    for (const [s, [kernel, ...widths]] of SHAPES.entries()) {
      const source = { channels: { channels: chainChannels(widths) } };
      for (let draw = 0; draw < DRAWS / SHAPES.length; draw++) {
        const [a, b] = [0, 1].map((side) =>
          chain(widths, kernel!, (l) =>
            noise(
              random
                .fork(s)
                .fork(2 * draw + side)
                .fork(l),
            ),
          ),
        );
        const found = relation(a!, b!, source);
        const both = found.layers.reduce((sum, l) => sum + l.coincidences, 0);
        trials++;
        agreed += both;
        layers += found.layers.length;
        for (const rate of reached.keys()) {
          const needed = fixedPointsThreshold(found.layers, rate);
          if (found.agreements >= needed) reached.set(rate, reached.get(rate)! + 1);
          if (both >= needed) matched.set(rate, matched.get(rate)! + 1);
        }
      }
    }
    // One a layer; the deviation of a sum of as many fixed points is √layers.
    expect(Math.abs(agreed - layers)).toBeLessThan(4 * Math.sqrt(layers));
    for (const counts of [reached, matched])
      for (const [rate, count] of counts)
        expect(count === 0 || binomialPValue(count, trials, rate) > 1e-4, `${count} of ${trials} at ${rate}`).toBe(
          true,
        );
  }, 120_000);
});

describe("structure that is no relation", () => {
  const widths = [27, 64, 64, 64, 32];
  const source = { channels: { channels: chainChannels(widths) } };
  const stranger = chain(widths, 1, (l) => noise(new Generator(1).fork(l)));

  it("equal filters, which any order fits", () => {
    expectUnrelated(
      relation(
        stranger,
        chain(widths, 1, () => () => 1),
        source,
      ),
    );
    const row = (l: number) => new Generator(9).fork(l).fill(new Float32Array(64), "normal", 0, 1);
    const rows = widths.map((_, l) => row(l));
    expectUnrelated(
      relation(
        stranger,
        chain(widths, 1, (l) => (_, i) => rows[l]![i]!),
        source,
      ),
    );
    expectUnrelated(
      relation(
        stranger,
        chain(widths, 1, (l) => (o) => rows[l]![o]!),
        source,
      ),
    );
  });

  it("filters of one number each, in order, of honest strangers too", () => {
    const oneHot = (places: readonly ArrayLike<number>[]) =>
      chain(
        widths,
        1,
        (l): Fill =>
          (o, i) =>
            places[l + 1]![o]! % 27 === places[l]![i]! % 27 ? 1 : 0,
      );
    const inOrder = oneHot(widths.map((n) => Array.from({ length: n }, (_, i) => i)));
    for (const seed of [1, 2, 3]) {
      const theirs = oneHot(widths.map((n, l) => new Generator(seed).fork(l).permutation(n)));
      const found = relation(theirs, inOrder, source);
      expectUnrelated(found);
      // What ties would give: more than is needed.
      expect(found.layers.reduce((sum, l) => sum + l.coincidences, 0)).toBeGreaterThanOrEqual(found.needed);
    }
    expectUnrelated(relation(stranger, inOrder, source));
  });

  /**
   * Each channel has a pattern of 3 × 3 numbers, in its filters and in what reads it alike: what a
   * dense book of patterns would be found by.
   */
  function patterned(of: readonly number[], seed: number, strength: number, turned: boolean): SafetensorsFile {
    const random = new Generator(seed);
    const draw = () => random.normal(0, 1);
    const signs = of.map((n) => Array.from({ length: n }, () => (turned ? draw() : 1)));
    const patterns = of.map((n) => Array.from({ length: n }, () => Array.from({ length: 9 }, draw)));
    return chain(of, 3, (l) => {
      const own = random.fork(l);
      return (o, i, k) => {
        const behind = l ? signs[l + 1]![o]! * patterns[l]![i]![k]! : 0;
        return own.normal(0, 1) + strength * (patterns[l + 1]![o]![k]! + behind);
      };
    });
  }

  it.each([false, true])("a dense book of patterns, and honest networks of patterns (turned: %s)", (turned) => {
    const [small, book] = [
      [8, 48, 48, 48, 32],
      [8, 192, 192, 48, 32],
    ];
    for (const seed of [1, 2]) {
      const honest = patterned(small!, seed, 1, turned);
      const dense = relation(honest, patterned(book!, seed + 10, 20, false), {
        channels: { channels: chainChannels(book!) },
      });
      const alike = relation(honest, patterned(small!, seed + 10, 1, turned), {
        channels: { channels: chainChannels(small!) },
      });
      for (const found of [dense, alike]) {
        expect(found.related).toBe(false);
        expect(found.agreements).toBeLessThan(found.needed / 2);
      }
    }
  });
});

describe("what cannot be compared", () => {
  it("is left out, and said", () => {
    const widths = [15, 32, 32, 32, 15];
    const source = { channels: { channels: chainChannels(widths) } };
    const own = chain(widths, 1, (l) => noise(new Generator(1).fork(l)));
    // Nothing is wide enough in front of the first layer, so nothing behind has an order.
    const none = relation(own, own, source);
    expect(none).toMatchObject({ agreements: 0, channels: 0, layers: [], pValue: 1, related: false });
    expect(none.notes.join("\n")).toMatch(/layers\.0: fewer than 16 numbers in front/);
    const wide = [16, 32, 32, 15];
    const more = chain(wide, 1, (l) => noise(new Generator(1).fork(l)));
    const some = relation(more, more, { channels: { channels: chainChannels(wide) } });
    expect(some.layers.map((l) => l.name)).toEqual(["layers.0"]);
    expect(some.notes.join("\n")).toMatch(/layers\.1: fewer than 16 numbers behind/);
  });

  it("channels that are zero, numbers that are none, tensors of another shape", () => {
    const widths = [16, 32, 32, 32];
    const source = { channels: { channels: chainChannels(widths) } };
    const own = chain(widths, 1, (l) => noise(new Generator(1).fork(l)));
    const pruned = changed(own, (t, name) =>
      (t.data as Float32Array).map((v, i) => (name === "layers.0.weight" && i < 10 * 16 ? 0 : v)),
    );
    const dead = relation(pruned, pruned, source);
    expectRelated(dead);
    expect(dead.notes.join("\n")).toMatch(/layers\.0: 10 of 32 channels are next to zero/);
    const broken = changed(own, (t) => (t.data as Float32Array).map((v, i) => (i === 3 ? Number.NaN : v)));
    const found = relation(broken, own, source);
    expectRelated(found);
    expect(found.notes.join("\n")).toMatch(/not finite/);
    const tensors = new Map(own.tensors);
    tensors.set("layers.2.weight", { dtype: "F32", shape: [2], data: new Float32Array(2) });
    expect(relation({ ...own, tensors }, own, source).notes.join("\n")).toMatch(/layers\.2\.weight: of another shape/);
  });

  it("is refused where nothing is left, or is none of ours", () => {
    const own = chain([16, 16, 16], 1, (l) => noise(new Generator(1).fork(l)));
    const source = { channels: { channels: chainChannels([16, 16, 16]) } };
    expect(() => relation({ tensors: new Map(), metadata: {} }, own, source)).toThrow(StateDictError);
    expect(() => relation(own, own, { ...source, falsePositiveRate: 1 })).toThrow(ArgumentError);
    expect(() => relation(own, own, { ...source, more: 1 } as never)).toThrow(ArgumentError);
    expect(() => relation(null as never, own, source)).toThrow(ArgumentError);
  });
});

it("takes seconds for layers of 512 channels", () => {
  const widths = [64, 512, 512, 64];
  const source = { channels: { channels: chainChannels(widths) } };
  // Drawn faster than normal numbers.
  const own = chain(
    widths,
    3,
    (l) => (o, i, k) => ((43758.5453 * Math.sin(o * 12.9898 + i * 78.233 + k * 37.719 + l)) % 1) - 0.01,
  );
  const started = performance.now();
  expectRelated(relation(own, own, source));
  expect((performance.now() - started) / 1000).toBeLessThan(60);
}, 120_000);
