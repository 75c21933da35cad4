import { describe, expect, it } from "vitest";
import { FormatError } from "../../src/errors";
import { decodeSafetensors, encodeSafetensors } from "../../src/io/safetensors";
import { decodeCheckpoint } from "../../src/train/checkpoint";

function fileOf(header: string, data = new Uint8Array(0)): Uint8Array {
  const text = new TextEncoder().encode(header);
  const file = new Uint8Array(8 + text.length + data.length);
  new DataView(file.buffer).setBigUint64(0, BigInt(text.length), true);
  file.set(text, 8);
  file.set(data, 8 + text.length);
  return file;
}

const empties = (n: number) => {
  const entry = (_: unknown, i: number) => `"t${i}":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}`;
  return `{${Array.from({ length: n }, entry).join()}}`;
};
const keys = (n: number, value: string) => `{${Array.from({ length: n }, (_, i) => `"k${i}":${value}`).join()}}`;
const tensor = (fields: string) => `{"w":{${fields}}}`;
const BIG = 2 ** 53 - 1;

/** Headers that no honest writer makes; all are refused. */
const HOSTILE: [what: string, header: () => string][] = [
  ["a million empty tensors", () => empties(1e6)],
  ["a million metadata entries", () => `{"__metadata__":${keys(1e6, '""')}}`],
  ["a tensor of a million fields", () => `{"w":${keys(1e6, "0")}}`],
  ["a tensor of one field a million times", () => tensor('"dtype":"F32",'.repeat(1e6))],
  ["a million dimensions", () => tensor(`"dtype":"F32","shape":[${"1,".repeat(1e6)}1],"data_offsets":[0,4]`)],
  ["lists in lists", () => `{"w":${"[".repeat(1e5)}${"]".repeat(1e5)}}`],
  ["objects in objects", () => '{"w":'.repeat(1e5)],
  ["brackets in metadata", () => `{"__metadata__":{"a":${"[".repeat(1e6)}}}`],
  ["the largest numbers", () => tensor(`"dtype":"F32","shape":[${BIG}],"data_offsets":[0,${BIG}]`)],
  [
    "a product beyond all numbers",
    () => tensor(`"dtype":"F32","shape":[${Array(200).fill(BIG)}],"data_offsets":[0,4]`),
  ],
  ["a number of a million digits", () => tensor(`"dtype":"F32","shape":[${"9".repeat(1e6)}],"data_offsets":[0,4]`)],
  ["a name of 5 MB", () => `{"${"n".repeat(5e6)}":{}}`],
  ["a dtype of 5 MB", () => tensor(`"dtype":"${"F".repeat(5e6)}","shape":[],"data_offsets":[0,4]`)],
  ["metadata of 5 MB in the wrong place", () => `{"__metadata__":"${"m".repeat(5e6)}"}`],
  ["metadata of 5 MB under a key of 5 MB", () => `{"__metadata__":{"${"k".repeat(5e6)}":["${"m".repeat(5e6)}"]}}`],
  ["duplicate keys", () => tensor('"dtype":"F32","dtype":"F32","shape":[0],"data_offsets":[0,0]')],
  ["half a million escapes", () => `{"${"\\u0041".repeat(5e5)}":1}`],
  ["half a surrogate pair", () => '{"__metadata__":{"a":"\\ud800"}}'],
  ["__proto__ with a tensor of its own", () => '{"w":{"__proto__":{"dtype":"F32"},"shape":[],"data_offsets":[0,4]}}'],
  ["a number with an exponent", () => tensor('"dtype":"F32","shape":[1e9],"data_offsets":[0,4]')],
  ["backslashes to the end", () => `{"${"\\".repeat(1e6 + 1)}`],
  ["control characters", () => '{"a\n":{}}'],
];

describe("a hostile header", () => {
  it.each(HOSTILE)("%s: refused at once, in few words", async (_, header) => {
    const file = fileOf(header(), new Uint8Array(4));
    const started = performance.now();
    const error = await Promise.resolve()
      .then(() => decodeSafetensors(file))
      .catch((e: unknown) => e);
    const took = performance.now() - started;
    expect(error).toBeInstanceOf(FormatError);
    expect((error as Error).message.length).toBeLessThan(600);
    // 100 ms and as much a megabyte; a busy machine gets ten times that for small files.
    expect(took).toBeLessThan(1000 + 100 * (file.length / 1e6));
  });

  it("of many tensors, or much metadata, is read in time that grows with it", () => {
    const file = fileOf(empties(100_000));
    const started = performance.now();
    expect(decodeSafetensors(file).tensors.size).toBe(100_000);
    expect(performance.now() - started).toBeLessThan(3000);
    const text = "x".repeat(2e7);
    expect(decodeSafetensors(encodeSafetensors(new Map(), { text })).metadata["text"]!.length).toBe(2e7);
  });

  it("with names of Object.prototype is plain data", () => {
    const names = ["__proto__", "constructor", "hasOwnProperty", "toString", "valueOf"];
    const metadata = Object.fromEntries(names.map((n) => [n, n]));
    const tensors = new Map(names.map((n) => [n, { dtype: "U8" as const, shape: [1], data: Uint8Array.of(1) }]));
    const back = decodeSafetensors(encodeSafetensors(tensors, metadata));
    expect([...back.tensors.keys()].sort()).toEqual(names.sort());
    expect(Object.keys(back.metadata).sort()).toEqual(names);
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
  });

  it("that encodes more names than are read is not written", () => {
    const none = { dtype: "U8" as const, shape: [0], data: new Uint8Array(0) };
    const many = new Map(Array.from({ length: 140_000 }, (_, i) => [`t${i}`, none]));
    expect(() => encodeSafetensors(many)).toThrow(/at most 131071/);
  });
});

describe("a hostile checkpoint", () => {
  const entries = {
    format: "pan-checkpoint-1",
    fingerprint: "",
    progress: '{"epoch":0,"batch":0}',
    history: '{"steps":[],"epochs":[]}',
  };
  it.each<[string, Partial<typeof entries>]>([
    ["progress of 5 MB", { progress: `{"epoch":0,"batch":0,"x":"${"x".repeat(5e6)}"}` }],
    ["progress that nests", { progress: "[".repeat(1e6) }],
    ["history that nests", { history: `{"steps":${"[".repeat(1e6)}` }],
    ["history of text", { history: `"${"x".repeat(5e6)}"` }],
    ["a record of 5 MB", { history: `{"steps":[{"step":"${"x".repeat(5e6)}"}],"epochs":[]}` }],
    ["a field of 5 MB", { history: `{"steps":[{"${"x".repeat(5e6)}":1}],"epochs":[]}` }],
    ["a format of 5 MB", { format: "x".repeat(5e6) }],
    ["a polluted record", { history: '{"steps":[],"epochs":[{"__proto__":{"epoch":1}}]}' }],
  ])("%s: refused at once, in few words", async (_, change) => {
    const file = encodeSafetensors(new Map(), { ...entries, ...change });
    const started = performance.now();
    const error = await decodeCheckpoint(file).catch((e: unknown) => e);
    expect(error).toMatchObject({ name: "CheckpointFormatError" });
    expect((error as Error).message.length).toBeLessThan(600);
    expect(performance.now() - started).toBeLessThan(1500);
  });
});
