/**
 * Files that another reader would read as another network: each is refused, since a verdict on one
 * network would be taken for one on the other.
 */
import { decodeWeights } from "@pan/core/weights";
import { describe, expect, it } from "vitest";
import { FormatError } from "../../../src/errors";
import { MAX_NAMES } from "../../../src/io/header";
import { integer, message, onnxOf } from "../../support/protobuf";
import { bytesOf, global, u16, u32, zipOf } from "../../support/torch";

const utf8 = new TextEncoder();
const text = (value: string | Uint8Array) => {
  const bytes = typeof value === "string" ? utf8.encode(value) : value;
  return bytesOf("X", u32(bytes.length), bytes);
};
const f32 = (...values: number[]) => new Uint8Array(Float32Array.from(values).buffer);

interface Made {
  type?: string;
  version?: 2 | 3;
  more?: Uint8Array;
}

/** A tensor of two numbers, with what may stand behind its hooks. */
const tensor = (key: string, { type = "FloatStorage", version = 2, more = bytesOf() }: Made = {}) =>
  bytesOf(
    global("torch._utils", `_rebuild_tensor_v${version}`),
    "((",
    text("storage"),
    version === 3 ? global("torch.storage", "UntypedStorage") : global("torch", type),
    text(key),
    text("cpu"),
    "K",
    version === 3 ? 8 : 2,
    "tQK",
    0,
    bytesOf("(K", 2, "t(K", 1, "t"),
    0x89,
    global("collections", "OrderedDict"),
    ")R",
    version === 3 ? global("torch", "float32") : "",
    more,
    "tR",
  );
const entries = (...parts: (readonly [name: string | Uint8Array, value: Uint8Array])[]) =>
  bytesOf(0x80, 2, "}", ...parts.flatMap(([name, value]) => [text(name), value, "s"]), ".");
const archive = (pickle: Uint8Array, values: readonly number[] = [1, 2]) =>
  zipOf(
    new Map([
      ["a/data.pkl", pickle],
      ["a/data/0", f32(...values)],
      ["a/data/1", f32(8, 9)],
    ]),
  );
const refused = (file: Uint8Array, why: RegExp) => {
  const found = expect(decodeWeights(file)).rejects;
  return Promise.all([found.toThrow(FormatError), found.toThrow(why)]);
};

describe("PyTorch", () => {
  it.each([
    2, 3,
  ] as const)("tensors of form %s are read, and views that are negated or conjugated are not", async (version) => {
    for (const more of ["", "N", "}"]) {
      const { tensors } = await decodeWeights(archive(entries(["w", tensor("0", { version, more: bytesOf(more) })])));
      expect([...tensors.get("w")!.data]).toEqual([1, 2]);
    }
    for (const key of ["neg", "conj", "other"])
      await refused(
        archive(entries(["w", tensor("0", { version, more: bytesOf("}", text(key), 0x88, "s") })])),
        /negated or conjugated/,
      );
    await refused(archive(entries(["w", tensor("0", { version, more: bytesOf(0x88) })])), /negated or conjugated/);
  });

  it("a storage is of one type", async () => {
    const both = (a: string, b: string) =>
      archive(entries(["a", tensor("0", { type: a })], ["b", tensor("0", { type: b })]));
    expect((await decodeWeights(both("FloatStorage", "FloatStorage"))).tensors.size).toBe(2);
    for (const other of ["IntStorage", "HalfStorage", "ByteStorage"]) {
      await refused(both("FloatStorage", other), /the storage "0" is of type torch\.FloatStorage and of type/);
      await refused(both(other, "FloatStorage"), /of type torch\.FloatStorage/);
    }
    await refused(archive(entries(["a", tensor("0")], ["b", tensor("0", { version: 3 })])), /UntypedStorage/);
  });

  it("dictionaries whose keys come to one name are refused", async () => {
    const inner = (key: string) => bytesOf("}", text("w"), tensor(key), "s");
    const nested = bytesOf("}", text("b"), inner("1"), "s");
    await refused(archive(entries(["a.b", inner("0")], ["a", nested])), /two tensors called "a\.b\.w"/);
  });

  it("more tensors than are read are refused, without numbers too", async () => {
    const empty = tensor("0");
    const rows = new Uint8Array(7 * (MAX_NAMES + 1));
    const view = new DataView(rows.buffer);
    for (let i = 0; i <= MAX_NAMES; i++) {
      rows.set([0x4a, 0, 0, 0, 0, 0x68, 1], 7 * i);
      view.setUint32(7 * i + 1, i, true);
    }
    await refused(archive(bytesOf(0x80, 2, empty, "q", 1, "0}(", rows, "u.")), /more than 131072 tensors/);
  });
});

describe("names", () => {
  const BROKEN = Uint8Array.of(0xfe);
  const OTHER = Uint8Array.of(0xff);
  const onnx = (...names: (string | Uint8Array)[]) =>
    onnxOf(...names.map((name, i) => [message(8, name), integer(1, 1), integer(2, 1), message(9, f32(i))]));

  it("that differ by a byte order mark are two", async () => {
    const torch = archive(entries(["w", tensor("0")], ["\ufeffw", tensor("1")]));
    for (const file of [torch, onnx("w", "\ufeffw")])
      expect([...(await decodeWeights(file)).tensors.keys()]).toEqual(["w", "\ufeffw"]);
  });

  it("that are no UTF-8 are refused", async () => {
    await refused(archive(entries([BROKEN, tensor("0")], [OTHER, tensor("1")])), /no UTF-8/);
    await refused(onnx(BROKEN, OTHER), /no UTF-8/);
    const map = bytesOf('{"weight_map":{"', BROKEN, '":"a","', OTHER, '":"b"}}');
    await refused(map, /UTF-8 expected/);
    const broken = zipOf(
      new Map([
        ["a/data.pkl", bytesOf(0x80, 2, "N.")],
        ["?", bytesOf()],
      ]),
    );
    // The second entry's name, in the directory.
    broken[broken.lastIndexOf(0x3f)] = 0xff;
    await refused(broken, /no UTF-8/);
  });

  it("of an ONNX model are as many as are read", async () => {
    const one = bytesOf(integer(1, 0), integer(2, 1));
    const graph = new Uint8Array((MAX_NAMES + 1) * (one.length + 2));
    for (let i = 0; i <= MAX_NAMES; i++) graph.set(message(5, one), i * (one.length + 2));
    await refused(bytesOf(integer(1, 8), message(2, "test"), message(7, graph)), /more than 131072 initialisers/);
  });
});

describe("a zip archive's directory", () => {
  const u64 = (n: number) => bytesOf(u32(n), u32(0));
  const own = archive(entries(["w", tensor("0")]));
  const other = archive(entries(["w", tensor("0")]), [5, 6]);
  const END = 22;
  const directoryOf = (zip: Uint8Array) => {
    const view = new DataView(zip.buffer, zip.byteOffset, zip.byteLength);
    return { count: 3, size: view.getUint32(zip.length - 10, true), at: view.getUint32(zip.length - 6, true) };
  };
  const { count, size, at } = directoryOf(own);
  const body = own.subarray(0, own.length - END);
  const end = (said: { count: number; size: number; at: number }) =>
    bytesOf("PK\x05\x06", u32(0), u16(said.count), u16(said.count), u32(said.size), u32(said.at), u16(0));
  const end64 = (said: { count: number; size: number; at: number }, where: number) =>
    bytesOf(
      "PK\x06\x06",
      u64(44),
      u16(45),
      u16(45),
      u32(0),
      u32(0),
      u64(said.count),
      u64(said.count),
      u64(said.size),
      u64(said.at),
      "PK\x06\x07",
      u32(0),
      u64(where),
      u32(1),
    );
  const both = (said: { count: number; size: number; at: number }, where = body.length) =>
    bytesOf(body, end64(said, where), end({ count, size, at }));

  it("may have both ends, which say the same", async () => {
    for (const file of [own, both({ count, size, at })])
      expect([...(await decodeWeights(file)).tensors.get("w")!.data]).toEqual([1, 2]);
  });

  it("is refused where its two ends say different things", async () => {
    for (const said of [
      { count: count - 1, size, at },
      { count, size: size - 1, at },
      { count, size, at: at - 1 },
      { count, size, at: at + 2 ** 31 },
    ])
      await refused(both(said), /two ends speak of different directories/);
    await refused(both({ count, size, at }, body.length - 1), /two ends speak/);
  });

  it("is refused where it does not end in front of its end: some readers count from there", async () => {
    // Entries and directory of one network in front of another's.
    const shifted = other.slice(0, other.length - END);
    const view = new DataView(shifted.buffer);
    const theirs = directoryOf(other);
    for (let entry = theirs.at, i = 0; i < count; i++) {
      view.setUint32(entry + 42, view.getUint32(entry + 42, true) + body.length, true);
      entry += 46 + view.getUint16(entry + 28, true);
    }
    const two = (said: { count: number; size: number; at: number }) => bytesOf(body, shifted, end(said));
    const second = { count, size: theirs.size, at: body.length + theirs.at };
    expect([...(await decodeWeights(two(second))).tensors.get("w")!.data]).toEqual([5, 6]);
    for (const said of [
      { count, size, at },
      { ...second, size: size - 1 },
      { ...second, count: count - 1 },
    ])
      await refused(two(said), /directory is not where it should be|no data\.pkl|no entry/);
  });
});
