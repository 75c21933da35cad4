import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { type DecodeWeightsOptions, decodeWeights, type WeightsFile, type WeightsFormat } from "@pan/core/weights";
import { describe, expect, it } from "vitest";
import { ArgumentError, FormatError } from "../../../src/errors";
import { type HostTensor, type StateDict, toFloat32 } from "../../../src/io/host-tensor";
import { encodeSafetensors } from "../../../src/io/safetensors";
import { floats } from "../../support/edits";
import { integer, message, onnxOf, varint } from "../../support/protobuf";
import { bytesOf, global, torchFile, torchPickle, zipOf } from "../../support/torch";

const folder = resolve(import.meta.dirname, "../../fixtures/weights");
const file = (name: string) => readFileSync(resolve(folder, name));
const read = (name: string, options: DecodeWeightsOptions = {}) => decodeWeights(file(name), options);

type Told = Record<string, { shape: number[]; values: (string | number)[] }>;
const expected = JSON.parse(file("expected.json").toString()) as { numbers: Told; net: Told };

/** Elements as Python prints them. */
function valuesOf({ dtype, data, shape }: HostTensor): number[] {
  const wide = dtype === "F16" || dtype === "BF16" ? toFloat32({ dtype, data, shape }) : data;
  return Array.from(wide as ArrayLike<number | bigint>, Number);
}
const python = (value: string | number): number =>
  value === "True" ? 1 : value === "False" ? 0 : value === "inf" ? Number.POSITIVE_INFINITY : Number(value);

function expectTensors(tensors: StateDict, told: Told): void {
  expect([...tensors.keys()].sort()).toEqual(Object.keys(told).sort());
  for (const [name, { shape, values }] of Object.entries(told)) {
    expect(tensors.get(name)!.shape, name).toEqual(shape);
    expect(valuesOf(tensors.get(name)!), name).toEqual(values.map(python));
  }
}

async function refusal(bytes: Uint8Array, options?: DecodeWeightsOptions): Promise<string> {
  const error = await decodeWeights(bytes, options).then(
    () => null,
    (cause: unknown) => cause,
  );
  expect(error).toBeInstanceOf(FormatError);
  return (error as Error).message;
}

describe("PyTorch", () => {
  it.each([
    "numbers.pth",
    "numbers-older.pth",
    "numbers-protocol4.pth",
  ])("%s: every type, shared and strided storages, as PyTorch has them", async (name) => {
    const found: WeightsFile = await read(name);
    expect(found.format).toBe("pytorch" satisfies WeightsFormat);
    expectTensors(found.tensors, expected.numbers);
    const types = ["f64", "f32", "f16", "bf16", "i64", "i32", "i16", "i8", "u8", "bool"];
    expect(types.map((n) => found.tensors.get(n)!.dtype.toLowerCase())).toEqual(types);
  });

  it("wide integers keep all their bits", async () => {
    const { tensors } = await read("numbers.pth");
    expect([...(tensors.get("i64")!.data as BigInt64Array)]).toEqual([2n ** 62n, -(2n ** 62n)]);
  });

  it("tensors that share numbers get memory of their own", async () => {
    const { tensors } = await read("numbers.pth");
    const base = tensors.get("base")!;
    base.data.fill(0 as never);
    expect(valuesOf(tensors.get("column")!)).toEqual(expected.numbers["column"]!.values.map(Number));
  });

  it("the weights are found in a checkpoint, and what was left aside is said", async () => {
    const { tensors, notes } = await read("checkpoint.pth");
    const named = Object.entries(expected.net).map(([name, t]) => [`module.${name}`, t]);
    expectTensors(tensors, Object.fromEntries(named));
    expect(notes.join()).toContain('"state_dict"');
  });

  it("two networks of a checkpoint are named by where they were", async () => {
    const { tensors } = await read("two.pth");
    expect([...tensors.keys()]).toContain("generator.conv.weight");
    expect([...tensors.keys()]).toContain("critic.weight");
  });

  describe("in a checkpoint with tensors in several places", () => {
    const pair = new Map([
      ["w", floats([2, 3], (i) => i)],
      ["b", floats([2])],
      ["x", floats([1])],
    ]);
    /** Entries of a dictionary, each a key and a dictionary, a list, or the number of a tensor. */
    type Entries = readonly (readonly [key: string | number | Uint8Array, value: unknown])[];
    const long = (n: number) => bytesOf("M", n % 256, n >> 8);
    const text = (value: string) => bytesOf("X", value.length, 0, 0, 0, value);
    const tensor = (key: number) => {
      const { shape, data } = [...pair.values()][key]!;
      const storage = bytesOf("(", text("storage"), global("torch", "FloatStorage"), text(`${key}`), text("cpu"));
      const strides = shape.map((_, d) => shape.slice(d + 1).reduce((a, b) => a * b, 1));
      const ints = (of: readonly number[]) => bytesOf("(", ...of.map(long), "t");
      const none = bytesOf(0x89, global("collections", "OrderedDict"), ")R");
      const args = bytesOf("(", storage, long(data.length), "tQ", long(0), ints(shape), ints(strides), none, "t");
      return bytesOf(global("torch._utils", "_rebuild_tensor_v2"), args, "R");
    };
    const pickled = (value: unknown): Uint8Array =>
      typeof value === "number"
        ? tensor(value)
        : value instanceof Set
          ? bytesOf("](", ...[...value].map(pickled), "e")
          : bytesOf("}(", ...(value as Entries).flatMap(([k, v]) => [keyOf(k), pickled(v)]), "u");
    const keyOf = (key: string | number | Uint8Array) =>
      typeof key === "string" ? text(key) : typeof key === "number" ? long(key) : key;
    const found = async (entries: Entries) => {
      const pickle = bytesOf(0x80, 2, pickled(entries), ".");
      const { tensors, notes } = await decodeWeights(torchFile(pair, { pickle }));
      return { names: [...tensors.keys()].join(), notes: notes.join() };
    };
    const net: Entries = [
      ["w", 0],
      ["b", 1],
    ];
    const optimizer: Entries = [["state", [0, 1, 2].map((i) => [i, net] as const)]];

    it.each<[string, Entries, string, RegExp]>([
      [
        "one at the root",
        [
          ["state_dict", net],
          ["best", 2],
        ],
        "w,b",
        /"state_dict".*"best" were left aside/,
      ],
      [
        "one at the root, no usual name",
        [
          ["actor", net],
          ["best", 2],
        ],
        "w,b",
        /"actor".*"best" were left/,
      ],
      [
        "more of them at the root than weights",
        [
          ["net", [["w", 0]]],
          ["t", 2],
          ["acc", 2],
        ],
        "w",
        /"t", "acc" were left/,
      ],
      ["most at the root", [...net, ["params", [["x", 2]]]], "w,b", /own dictionary.*"params" were left aside/],
      ["an optimiser", [...net, ["optimizer", optimizer]], "w,b", /under "optimizer" were left aside/],
      [
        "an optimiser that is called otherwise",
        [
          ["g", net],
          ["opt", optimizer],
        ],
        "w,b",
        /"opt" were left aside/,
      ],
      [
        "whole numbers as names",
        [
          [0, 0],
          [7, 1],
        ],
        "0,7",
        /^$/,
      ],
      [
        "dictionaries under whole numbers",
        [
          [0, net],
          [1, net],
        ],
        "0.w,0.b,1.w,1.b",
        /"0", "1"/,
      ],
      [
        "a number and the text of it",
        [
          ["0", 0],
          [0, 1],
        ],
        "0",
        /^1 of the tensors were left aside/,
      ],
      ["keys that are no names", [...net, [bytesOf("N"), 2]], "w,b", /^1 of the tensors were left aside/],
      ["lists", [...net, ["more", new Set([1, 2])]], "w,b", /^2 of the tensors were left aside: they lie in lists/],
      ["dictionaries that lie deep", [...net, ["a", [["b", [["c", [["d", net]]]]]]]], "w,b", /deep were left aside/],
    ])("%s", async (_, entries, names, notes) => {
      const { names: got, notes: said } = await found(entries);
      expect(got).toBe(names);
      expect(said).toMatch(notes);
    });
  });

  it("what is code is refused by its name", async () => {
    expect(await refusal(file("module.pth"))).toMatch(/__main__\.Net.*state_dict/);
    expect(await refusal(file("script.pt"))).toMatch(/TorchScript.*state_dict/);
  });

  it.each([
    ["os", "system"],
    ["builtins", "eval"],
    ["builtins", "__import__"],
    ["torch", "load"],
    ["__proto__", "constructor"],
    ["torch.", "FloatStorage"],
  ])("%s.%s is not called", async (module, name) => {
    const pickle = bytesOf(0x80, 2, global(module, name), "X", 2, 0, 0, 0, "ls", 0x85, "R.");
    expect(await refusal(torchFile(new Map(), { pickle }))).toMatch(/speaks of/);
    // By the other instruction for names.
    const stack = bytesOf(0x80, 4, 0x8c, module.length, module, 0x8c, name.length, name, 0x93, ".");
    expect(await refusal(torchFile(new Map(), { pickle: stack }))).toMatch(/speaks of/);
  });

  it("names like those of JavaScript's own objects are names", async () => {
    const tensors = new Map(["__proto__", "constructor", "toString"].map((name) => [name, floats([2])]));
    expect([...(await decodeWeights(torchFile(tensors))).tensors.keys()]).toEqual([...tensors.keys()]);
  });

  it("a big-endian file is refused, a little-endian one read", async () => {
    const tensors = new Map([["w", floats([2, 3], (i) => i)]]);
    expect(await refusal(torchFile(tensors, { order: "big" }))).toMatch(/big-endian/);
    expect((await decodeWeights(torchFile(tensors, { order: "little" }))).tensors).toEqual(tensors);
    const older = file("numbers-older.pth");
    const at = older.indexOf("little_endian") + "little_endian".length;
    const flag = older.indexOf(0x88, at);
    older[flag] = 0x89;
    expect(await refusal(older)).toMatch(/big-endian/);
  });

  it("an archive that was packed anew is read", async () => {
    const tensors = new Map([["w", floats([20, 30], (i) => i % 7)]]);
    const packed = torchFile(tensors, { deflated: true });
    expect(packed.length).toBeLessThan(2000);
    expect((await decodeWeights(packed)).tensors).toEqual(tensors);
  });

  it("damage is found by the archive's checksums", async () => {
    const bytes = torchFile(new Map([["w", floats([4], () => 0.1234)]]));
    const at = Buffer.from(bytes).indexOf(Buffer.from(Float32Array.of(0.1234).buffer));
    bytes[at + 1]! ^= 1;
    expect(await refusal(bytes)).toMatch(/checksum/);
  });

  it("numbers that a tensor repeats are asked for in full", async () => {
    const tensors = new Map([["w", floats([1])]]);
    const pickle = Buffer.from(torchPickle(tensors));
    // A size of [1] in the place of which [200] stands, a stride of 1 that becomes 0.
    const at = pickle.indexOf("(K\x01t(K\x01t");
    pickle[at + 2] = 200;
    pickle[at + 6] = 0;
    expect(await refusal(torchFile(tensors, { pickle }))).toMatch(/repeats its numbers/);
  });
});

describe("ONNX", () => {
  const TYPES: [string, number, Uint8Array, number[]][] = [
    ["float_data", 1, message(4, new Uint8Array(Float32Array.of(0.5, -2).buffer)), [0.5, -2]],
    ["double_data", 11, message(10, new Uint8Array(Float64Array.of(0.1, -2).buffer)), [0.1, -2]],
    ["int64_data", 7, message(7, varint(-3), varint(2n ** 40n)), [-3, 2 ** 40]],
    ["int32_data", 6, message(5, varint(-3), varint(7)), [-3, 7]],
    ["int8 in int32_data", 3, message(5, varint(-3), varint(7)), [-3, 7]],
    ["uint8 in int32_data", 2, message(5, varint(255), varint(7)), [255, 7]],
    ["bool in int32_data", 9, message(5, varint(1), varint(0)), [1, 0]],
    ["float16 in int32_data", 10, message(5, varint(0x3c00), varint(0xc000)), [1, -2]],
    ["bfloat16 in int32_data", 16, message(5, varint(0x3f80), varint(0xc000)), [1, -2]],
    ["uint32 in uint64_data", 12, message(11, varint(2 ** 32 - 1), varint(0)), [2 ** 32 - 1, 0]],
    ["uint64_data", 13, message(11, varint(2n ** 50n), varint(0)), [2 ** 50, 0]],
    ["int32_data that is not packed", 6, bytesOf(integer(5, -3), integer(5, 7)), [-3, 7]],
    ["raw_data", 5, message(9, new Uint8Array(Int16Array.of(-3, 7).buffer)), [-3, 7]],
  ];

  it("an exported network's initialisers are read by their names", async () => {
    const found = await read("net.onnx");
    expect(found.format).toBe("onnx");
    const { ["norm.num_batches_tracked"]: _, ...net } = expected.net;
    expectTensors(found.tensors, net);
  });

  it.each(TYPES)("%s", async (_, type, field, values) => {
    const { tensors } = await decodeWeights(onnxOf([message(8, "w"), integer(1, 2), integer(2, type), field]));
    expect(tensors.get("w")!.shape).toEqual([2]);
    expect(valuesOf(tensors.get("w")!)).toEqual(values);
  });

  it("a scalar, and dimensions in one field", async () => {
    const one = new Uint8Array(Float32Array.of(3).buffer);
    const many = new Uint8Array(Float32Array.of(1, 2, 3, 4, 5, 6).buffer);
    const { tensors } = await decodeWeights(
      onnxOf(
        [message(8, "s"), integer(2, 1), message(9, one)],
        [message(8, "m"), message(1, varint(2), varint(3)), integer(2, 1), message(9, many)],
      ),
    );
    expect(tensors.get("s")!.shape).toEqual([]);
    expect(tensors.get("m")!.shape).toEqual([2, 3]);
  });

  it("weights in another file, of no size, of other types or twice are refused", async () => {
    const head = [message(8, "w"), integer(1, 2), integer(2, 1)];
    const four = message(9, new Uint8Array(4));
    expect(await refusal(onnxOf([...head, message(13, message(1, "location")), integer(14, 1)]))).toMatch(/external/);
    expect(await refusal(onnxOf([...head, four]))).toMatch(/has 1 elements/);
    expect(await refusal(onnxOf([message(8, "w"), integer(1, 1), integer(2, 8), four]))).toMatch(/type 8/);
    const whole = [message(8, "w"), integer(2, 1), four];
    expect(await refusal(onnxOf(whole, whole))).toMatch(/two initialisers/);
    expect(await refusal(bytesOf(integer(1, 8), message(2, "test"), message(7)))).toMatch(/no initialisers/);
  });
});

describe("TensorFlow.js", () => {
  it("a saved model's weights are those of the library", async () => {
    const { tensors, format } = await read("tfjs-model.json", { fetch: file });
    expect(format).toBe("tensorflowjs");
    expectTensors(tensors, JSON.parse(file("tfjs-expected.json").toString()) as Told);
  });

  const model = (weights: object[], paths = ["a.bin"]) =>
    new TextEncoder().encode(JSON.stringify({ modelTopology: {}, weightsManifest: [{ paths, weights }] }));

  it("quantised weights are decoded, over the ends of shards", async () => {
    const weights = [
      { name: "u8", shape: [3], dtype: "float32", quantization: { dtype: "uint8", scale: 0.5, min: -1 } },
      { name: "u16", shape: [2], dtype: "float32", quantization: { dtype: "uint16", scale: 0.25, min: 2 } },
      { name: "f16", shape: [1], dtype: "float32", quantization: { dtype: "float16" } },
      { name: "i32", shape: [2], dtype: "int32", quantization: { dtype: "uint8", scale: 1.5, min: -3 } },
      { name: "b", shape: [], dtype: "bool" },
    ];
    const all = bytesOf(0, 1, 255, 4, 0, 0, 1, 0x00, 0x3c, 1, 2, 1);
    const fetch = (name: string) => (name === "a.bin" ? all.subarray(0, 4) : all.slice(4).buffer);
    const { tensors } = await decodeWeights(model(weights, ["a.bin", "b.bin"]), { fetch });
    const values = Object.fromEntries([...tensors].map(([name, t]) => [name, valuesOf(t)]));
    expect(values).toEqual({ u8: [-1, -0.5, 126.5], u16: [3, 66], f16: [1], i32: [-1, 0], b: [1] });
  });

  it("quantised weights that TensorFlow.js refuses are refused", async () => {
    const quantised = { dtype: "uint8", scale: 0.5, min: -1 };
    const fetch = () => new Uint8Array(8);
    for (const dtype of ["float32", "int32", "uint8", "bool", "float16"])
      for (const type of ["uint8", "uint16", "float16", "int32", "toString"])
        for (const more of [{ scale: 0.5, min: -1 }, { scale: 0.5 }, { min: -1 }, { scale: "1", min: 0 }, {}]) {
          const weight = {
            name: "w",
            shape: [type === "uint8" ? 8 : 4],
            dtype,
            quantization: { dtype: type, ...more },
          };
          const whole = "scale" in more && "min" in more && typeof more.scale === "number";
          const fine =
            type === "float16" ? dtype === "float32" : /^uint/.test(type) && /^(float|int)32$/.test(dtype) && whole;
          const found = decodeWeights(model([weight]), { fetch });
          if (fine) expect((await found).tensors.get("w")!.dtype).toBe(dtype === "int32" ? "I32" : "F32");
          else await expect(found, JSON.stringify(weight)).rejects.toThrow(FormatError);
        }
    expect(
      await refusal(model([{ name: "w", shape: [8], dtype: "uint8", quantization: quantised }]), { fetch }),
    ).toMatch(/quantization of float32/);
  });

  it("no shard is fetched twice, nor one more than there is need of", async () => {
    const w = { name: "w", shape: [2], dtype: "float32" };
    let fetched = 0;
    const fetch = () => {
      fetched++;
      return new Uint8Array(8);
    };
    expect(await refusal(model([w], ["a.bin", "a.bin"]), { fetch })).toMatch(/names the file "a.bin" twice/);
    expect(fetched).toBe(0);
    const many = Array.from({ length: 4000 }, (_, i) => `${i}.bin`);
    expect(await refusal(model([w], many), { fetch })).toMatch(/16 bytes or more, and their weights 8/);
    expect(fetched).toBe(2);
  });

  it("shards of another length, types and names out of the folder are refused", async () => {
    const w = { name: "w", shape: [2], dtype: "float32" };
    const fetch = () => new Uint8Array(8);
    expect((await decodeWeights(model([w]), { fetch })).tensors.size).toBe(1);
    expect(await refusal(model([{ ...w, shape: [3] }]), { fetch })).toMatch(/8 bytes, and their weights 12/);
    expect(await refusal(model([{ ...w, shape: [1] }]), { fetch })).toMatch(/8 bytes or more, and their weights 4/);
    expect(await refusal(model([{ ...w, dtype: "string" }]), { fetch })).toMatch(/type "string"/);
    expect(await refusal(model([w, w]), { fetch })).toMatch(/two weights/);
    for (const path of ["../a.bin", "/etc/passwd", "a/../../b", "http://x/y", "c:\\x", "", "a\0"])
      expect(await refusal(model([w], [path]), { fetch }), path).toMatch(/a file beside it/);
  });
});

describe("models in several files", () => {
  const index = (map: object) => new TextEncoder().encode(JSON.stringify({ metadata: {}, weight_map: map }));
  const [a, b] = [floats([2], (i) => i), floats([3], (i) => 10 + i)];
  const shards: Record<string, Uint8Array> = {
    "1.safetensors": encodeSafetensors(
      new Map([
        ["a", a],
        ["more", b],
      ]),
    ),
    "2.bin": torchFile(new Map([["b", b]])),
  };
  const fetch = (name: string) => shards[name]!;

  it("the tensors that the index names come from their shards", async () => {
    const { tensors, format } = await decodeWeights(index({ a: "1.safetensors", b: "2.bin" }), { fetch });
    expect(format).toBe("safetensors");
    expect(tensors).toEqual(
      new Map([
        ["a", a],
        ["b", b],
      ]),
    );
  });

  it("a shard without a tensor, or an index without shards, is refused", async () => {
    expect(await refusal(index({ c: "1.safetensors" }), { fetch })).toMatch(/has it not/);
    expect(await refusal(index({}), { fetch })).toMatch(/no files/);
    expect(await refusal(index({ a: 7 }), { fetch })).toMatch(/names 7/);
  });

  it("asks for a way to its files", async () => {
    await expect(decodeWeights(index({ a: "1.safetensors" }))).rejects.toThrow(ArgumentError);
    await expect(decodeWeights(index({}), { fetch: "no" as never })).rejects.toThrow(ArgumentError);
  });
});

describe("files of other kinds", () => {
  it("are called by what they are", async () => {
    expect(await refusal(zipOf(new Map([["readme.txt", new Uint8Array(3)]])))).toMatch(/zip archive/);
    expect(await refusal(new TextEncoder().encode("<!doctype html><html>"))).toMatch(/HTML/);
    expect(await refusal(new Uint8Array(0))).toMatch(/empty/);
    expect(await refusal(new TextEncoder().encode('{"architectures": []}'))).toMatch(/JSON/);
  });

  it("are bytes", async () => {
    for (const bad of ["model.pth", null, 7, {}])
      await expect(decodeWeights(bad as never)).rejects.toThrow(ArgumentError);
  });

  it("safetensors are read with their metadata", async () => {
    const tensors = new Map([["w", floats([2])]]);
    const bytes = encodeSafetensors(tensors, { format: "pt" });
    const found = await decodeWeights(bytes);
    expect(found).toEqual({ tensors, metadata: { format: "pt" }, format: "safetensors", notes: [], bytes });
  });
});
