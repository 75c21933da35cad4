/**
 * What a file makes a verifier do: which of a network's tensors it reads, what it keeps in memory,
 * how long it takes. None of that is up to whoever wrote the file.
 */
import { describe, expect, it } from "vitest";
import { ArgumentError, FormatError } from "../../../src/errors";
import type { HostTensor, StateDict } from "../../../src/io/host-tensor";
import { readCredential } from "../../../src/models/credential";
import { fixedPointsThreshold } from "../../../src/ownership/relation/fixed-points";
import { relationBetween } from "../../../src/ownership/relation/relation";
import { counterparts } from "../../../src/ownership/suspect/counterparts";
import { judgeFiles } from "../../../src/ownership/verdict/judge-files";
import { verifyFiles } from "../../../src/ownership/verdict/verify-files";
import { type MapGeometry, tapMeans, windowMeans } from "../../../src/passport/place";
import { checkPlaces } from "../../../src/passport/plan";
import { parsePublicKey } from "../../../src/signing/public-key";
import { signatureHolds } from "../../../src/signing/verify-signature";
import {
  along,
  bareClaim,
  bareCredential,
  bareOwner,
  channelsOfAxes,
  linearPlace,
  planted,
  randomMatrix,
} from "../../support/bare-claims";
import { floats } from "../../support/edits";

const file = (tensors: StateDict) => ({ tensors, metadata: {} });
const data = (t: HostTensor) => t.data as Float32Array;

/** Whether it takes less than so many seconds; what it comes to. */
function within<T>(seconds: number, run: () => T): T {
  const started = performance.now();
  const found = run();
  expect(performance.now() - started).toBeLessThan(1000 * seconds);
  return found;
}

describe("the order of a credential's places", () => {
  it("is hashed nowhere, and reads nothing else: a name is one tensor, of one shape", async () => {
    // Two blocks of a network whose maps have one name behind their prefixes, and other shapes.
    const twice = [
      linearPlace("a", "0.w", [128, 64]),
      linearPlace("b", "0.w", [64, 64]),
      linearPlace("c", "1.w", [8, 64]),
    ];
    for (const places of [twice, [...twice].reverse()]) {
      expect(() => checkPlaces(places)).toThrow(ArgumentError);
      expect(() => checkPlaces(places)).toThrow(/one tensor called "?0\.w/);
      await expect(bareClaim("mallory", places)).rejects.toThrow(ArgumentError);
    }
    const biased = [
      { ...linearPlace("a", "a.w", [128, 64]), bias: "b" },
      { ...linearPlace("b", "b.w", [128, 64]), bias: "b" },
    ];
    expect(() => checkPlaces(biased)).toThrow(/one tensor called/);
    expect(() => checkPlaces([linearPlace("a", "w", [1, 9]), { ...linearPlace("b", "v", [1, 9]), bias: "w" }])).toThrow(
      /one tensor called/,
    );
    // Two norms behind one map are no choice.
    expect(() => checkPlaces([linearPlace("a", "w", [9, 9]), linearPlace("b", "w", [9, 9])])).not.toThrow();
  });

  it("changes no verdict", async () => {
    const places = ["n1", "n2", "n3"].map((norm, i) => linearPlace(norm, `fc${i}.weight`, [64, 32]));
    const claim = await bareClaim("acme", places);
    const network = planted(claim, new Map(places.map(({ weight }, i) => [weight, randomMatrix([64, 32], i)])));
    const marks = [];
    for (const order of [places, [...places].reverse()]) {
      const credential = await bareCredential({ ...claim, places: order });
      marks.push((await verifyFiles(file(network), credential)).mark);
    }
    expect(marks[0]).toMatchObject({ bits: { hits: 192, count: 192 } });
    expect(marks[1]).toEqual(marks[0]);
  });
});

describe('a credential\'s entry "model"', () => {
  it("may not say another shape of a passport's weight than its place", async () => {
    const { buildNetwork } = await import("../../../src/models");
    const { gpu } = await import("../../support/gpu");
    const { TINY } = await import("../../support/tiny");
    await gpu();
    const model = buildNetwork(TINY, { seed: 1 });
    const credential = await model.credential({});
    model.dispose();
    const config = JSON.parse(credential.metadata["model"]!);
    expect(() => readCredential(credential)).not.toThrow();
    config.layers = config.layers.map((layer: { channels?: number }) =>
      layer.channels === undefined ? layer : { ...layer, channels: layer.channels * 2 },
    );
    const other = { ...credential, metadata: { ...credential.metadata, model: JSON.stringify(config) } };
    expect(() => readCredential(other)).toThrow(FormatError);
    expect(() => readCredential(other)).toThrow(/"model" and "passports" contradict each other/);
  });
});

describe("a signature that engines throw for", () => {
  it("does not hold: one bad stamp ends no verdict", async () => {
    const pair = await crypto.subtle.generateKey(
      { name: "RSA-PSS", modulusLength: 2048, publicExponent: Uint8Array.of(1, 0, 1), hash: "SHA-256" },
      true,
      ["sign", "verify"],
    );
    const key = parsePublicKey(new Uint8Array(await crypto.subtle.exportKey("spki", pair.publicKey)), "a key");
    const bytes = new TextEncoder().encode("a time stamp");
    const sign = async (saltLength: number) =>
      new Uint8Array(await crypto.subtle.sign({ name: "RSA-PSS", saltLength }, pair.privateKey, bytes));
    const holds = async (saltLength: number, signature: Uint8Array) =>
      signatureHolds(key, { kind: "RSA", hash: "SHA-256", saltLength }, bytes, signature, "a stamp");
    expect(await holds(32, await sign(32))).toBe(true);
    for (const salt of [223, 300, 512]) expect(await holds(salt, await sign(32))).toBe(false);
  });
});

describe("a relation", () => {
  it("is not tested by more channels than can be matched, and says so", () => {
    const tables = new Map(["a", "b"].map((name, i) => [name, randomMatrix([100_000, 16], i)] as const));
    const channels = channelsOfAxes(100_000, along("a", 0, "out"), along("b", 0, "in"));
    const found = within(20, () => relationBetween(file(tables), file(tables), channels, 1e-6));
    expect(found).toMatchObject({ related: false, channels: 0 });
    expect(found.notes.join()).toMatch(/100000 and 100000 channels are too many to compare/);
  });

  it("of thousands of channels that hang together takes no square of time", () => {
    const count = 1200;
    const tensors: StateDict = new Map();
    const groups = Array.from({ length: count }, (_, i) => {
      tensors.set(`a${i}`, randomMatrix([2, 16], i)).set(`b${i}`, randomMatrix([16, 2], count + i));
      return channelsOfAxes(2, along(`a${i}`, 0, "out"), along(`b${i}`, 1, "in")).groups[0]!;
    });
    const found = within(20, () => relationBetween(file(tensors), file(tensors), { groups, factors: [] }, 1e-6));
    expect(found.layers.length).toBeGreaterThan(count / 2);
  });

  it("that is looked for in too many ways is held to what nothing reaches", () => {
    expect(fixedPointsThreshold([{ channels: 20, among: 20 }], 0)).toBe(21);
    expect(
      fixedPointsThreshold(
        [
          { channels: 400, among: 400 },
          { channels: 30, among: 40 },
        ],
        0,
      ),
    ).toBe(431);
  });

  it("by one tensor of noise clears nobody", async () => {
    const network = (seed: number): StateDict =>
      new Map([
        ["fc1.weight", randomMatrix([256, 64], seed)],
        ["fc2.weight", randomMatrix([64, 256], seed + 1)],
      ]);
    const channels = channelsOfAxes(256, along("fc1.weight", 0, "out"), along("fc2.weight", 1, "in"));
    const owner = await bareOwner("acme", network(1), [linearPlace("n", "fc1.weight", [256, 64])], { channels });
    // The owner's network in another order, in other shapes, and noise that has one of its names.
    const own = data(owner.released.tensors.get("fc1.weight")!);
    const stolen: StateDict = new Map([
      ["x.weight", floats([128, 64], (i) => own[i]!)],
      ["fc2.weight", randomMatrix([64, 256], 77)],
      ["y.weight", randomMatrix([512, 64], 78)],
    ]);
    const places = [linearPlace("m", "x.weight", [128, 64])];
    const thief = await bareOwner("mallory", stolen, places, { at: "2026-03-01T00:00:00Z" });
    const found = await judgeFiles(owner, thief, { roots: owner.roots });
    expect(found.relations.byA).toMatchObject({ related: false });
    expect(found.relations.byA!.common).toBeLessThan(0.5);
    expect(found).toMatchObject({ ruling: "disputed", facts: { compared: false } });
  });
});

describe("tensors that are looked for", () => {
  const rows = (count: number, from: number): StateDict =>
    new Map(Array.from({ length: count }, (_, i) => [`t${from + i}`, floats([2], (k) => Math.sin(i + from + k))]));

  it("in a great many ways take neither all of the memory nor the verdict", () => {
    const found = within(20, () => counterparts(rows(3000, 0), rows(3000, 9000)));
    expect(found.isPartial).toBe(true);
    expect(within(20, () => counterparts(rows(5000, 0), rows(5000, 9000)))).toMatchObject({
      isPartial: true,
      table: [],
    });
    expect(counterparts(rows(10, 0), rows(10, 0)).isPartial).toBe(false);
  });
});

describe("a place's window means", () => {
  const conv = (more: Partial<MapGeometry>): MapGeometry => ({
    ...{ kind: "conv2d", inChannels: 1, channels: 1, kernel: [3, 3], stride: [1, 1], dilation: [1, 1], groups: 1 },
    ...{ padding: [1, 1].map((p) => [p, p] as const), inputSize: [5, 4], ...more },
  });

  it.each<[string, Partial<MapGeometry>]>([
    ["of strides", { stride: [2, 3] }],
    [
      "of dilations",
      {
        dilation: [2, 1],
        padding: [
          [2, 3],
          [0, 1],
        ],
      },
    ],
    [
      "without padding",
      {
        padding: [
          [0, 0],
          [0, 0],
        ],
        kernel: [2, 4],
      },
    ],
  ])("%s are those of all windows, one by one", (_, more) => {
    const map = conv(more);
    const [h, w] = map.inputSize as [number, number];
    const x = Array.from({ length: h * w }, (_, i) => Math.cos(3 * i));
    const expected: number[] = [];
    const out = map.inputSize.map((size, d) => {
      const [before, after] = map.padding[d]!;
      return Math.floor((size + before + after - map.dilation[d]! * (map.kernel[d]! - 1) - 1) / map.stride[d]!) + 1;
    });
    for (let s = 0; s < map.kernel[0]!; s++)
      for (let t = 0; t < map.kernel[1]!; t++) {
        let sum = 0;
        for (let i = 0; i < out[0]!; i++)
          for (let j = 0; j < out[1]!; j++) {
            const a = i * map.stride[0]! + s * map.dilation[0]! - map.padding[0]![0];
            const b = j * map.stride[1]! + t * map.dilation[1]! - map.padding[1]![0];
            if (a >= 0 && a < h && b >= 0 && b < w) sum += x[a * w + b]! / (out[0]! * out[1]!);
          }
        expected.push(sum);
      }
    windowMeans(map, x).forEach((mean, k) => expect(mean).toBeCloseTo(expected[k]!, 12));
    const shares = tapMeans(map);
    expected.forEach((mean, k) => {
      const found = x.reduce((sum, v, p) => sum + v * shares[k * x.length + p]!, 0);
      expect(found).toBeCloseTo(mean, 12);
    });
  });

  it("take no time for windows that lie in the padding alone", () => {
    const dilation = 2 ** 23;
    const far = conv({ dilation: [dilation, dilation], padding: [1, 1].map(() => [dilation, dilation] as const) });
    const many = { ...far, inChannels: 512, inputSize: [4, 4] };
    const means = within(2, () => windowMeans(many, new Float32Array(512 * 16).fill(1)));
    expect(means.every(Number.isFinite)).toBe(true);
  });
});
