import { gzipSync } from "node:zlib";
import { createTar } from "nanotar";
import { describe, expect, it } from "vitest";
import { ArgumentError, FormatError, PanError, ShapeError } from "../../src/errors";
import { FOREIGN_KINDS } from "../../src/io/foreign";
import { DTYPES, type HostTensor, type SafetensorsDtype } from "../../src/io/host-tensor";
import { decodeSafetensors, encodeSafetensors } from "../../src/io/safetensors";

/** Characters as bytes. */
const raw = (...parts: string[]) => Uint8Array.from(parts.join(""), (c) => c.charCodeAt(0));
const padded = (start: string, length = 700) => raw(start.padEnd(length, "\x01\x02\x03 model weights "));
/** A zip archive's entry, as far as anyone looks at it, and its central directory. */
const zip = (...names: string[]) =>
  raw(
    "PK\x03\x04\0\0\x08\x08",
    "\0".repeat(18),
    `${names[0]!.length}`,
    names[0]!,
    "\x80\x02}q\0.",
    ...names.map((n) => `PK\x01\x02${n}`),
  );

/** A sample of each kind, what its message must say, and what it must advise. */
const SAMPLES: Record<string, [file: Uint8Array, advice: RegExp][]> = {
  "an empty file": [[new Uint8Array(0), /again/]],
  "zeros from end to end": [[new Uint8Array(5000), /fetch/]],
  "a PyTorch file (a zip archive by torch.save)": [
    [zip("archive/data.pkl", "archive/data/0"), /torch\.load.*save_file/],
    [zip("net/version", "net/constants.pkl"), /torch\.load/],
  ],
  "a Keras model (.keras, a zip archive)": [[zip("metadata.json", "config.json", "model.weights.h5"), /Keras/]],
  "a NumPy archive (.npz)": [[zip("arr_0.npy"), /numpy/]],
  "a zip archive": [[zip("readme.txt"), /inside/]],
  "a PyTorch file of the old form (a pickle by torch.save)": [
    [padded("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."), /torch\.load/],
  ],
  "a Python pickle": [2, 3, 4, 5].map((p) => [padded(`\x80${String.fromCharCode(p)}}q\0.`), /trust/]),
  "a Git LFS pointer, not the file it stands for": [
    [raw("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"), /git lfs pull/],
  ],
  "a git-annex pointer, not the file it stands for": [
    [raw("/annex/objects/SHA256E-s1--ab.safetensors\n"), /annex get/],
  ],
  "an HTML page": [
    "<!DOCTYPE html>\n<html>",
    "\n  <html lang=en>",
    "<!-- x -->\n<head>",
    "\xef\xbb\xbf<!doctype html>",
  ].map((start) => [raw(start, "<p>Sign in</p>"), /address/]),
  "an XML document": [[raw('<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>'), /error/]],
  "compressed by gzip": [
    [gzipSync(encodeSafetensors(new Map())), /gunzip/],
    // A time of 0 makes its first eight bytes a possible header length.
    [padded("\x1f\x8b\x08\0\0\0\0\0\x02\x03", 600_000), /gunzip/],
  ],
  "compressed by bzip2": [[padded("BZh91AY&SY"), /bunzip2/]],
  "compressed by xz": [[padded("\xfd7zXZ\0\0\x04"), /unxz/]],
  "compressed by Zstandard": [[padded("\x28\xb5\x2f\xfd"), /unzstd/]],
  "compressed by LZ4": [[padded("\x04\x22\x4d\x18"), /unlz4/]],
  "a 7z archive": [[padded("7z\xbc\xaf\x27\x1c"), /inside/]],
  "a RAR archive": [[padded("Rar!\x1a\x07\x01\0"), /inside/]],
  "a tar archive": [[createTar([{ name: "model.safetensors", data: "x" }]), /inside/]],
  "an HDF5 file (Keras .h5, or MATLAB 7.3)": [
    [padded("\x89HDF\r\n\x1a\n"), /Keras/],
    [padded(`${"MATLAB 7.3 MAT-file".padEnd(512, "\0")}\x89HDF\r\n\x1a\n`), /Keras/],
  ],
  "a MATLAB file": [[padded("MATLAB 5.0 MAT-file, Platform: GLNXA64\0"), /loadmat/]],
  "a NumPy array (.npy)": [[padded("\x93NUMPY\x01\0v\0{'descr': '<f4'"), /numpy/]],
  "a GGUF or GGML file (llama.cpp)": ["GGUF\x03\0\0\0", "lmgg", "tjgg"].map((start) => [padded(start), /original/]),
  "a TensorFlow model or checkpoint": [
    [padded("\x08\x01\x12\xd0\x01\x0a"), /TensorFlow/],
    [padded("\x0a\x2a\x0a\x05input\x12\x0bPlaceholder*"), /TensorFlow/],
    [raw("\0".repeat(9), "\x03w", "\x57\xfb\x80\x8b\x24\x75\x47\xdb"), /TensorFlow/],
  ],
  "an ONNX model": [
    [padded("\x08\x08\x12\x07pytorch\x1a\x052.1.0:"), /onnx/],
    [padded("\x08\x07\x3a\xff\x01\x0a"), /onnx/],
  ],
  "a TensorFlow Lite model": [[padded("\x1c\0\0\0TFL3"), /TensorFlow/]],
  "the JSON index of a model in several files (weight_map)": [
    [raw('{"metadata": {"total_size": 9}, "weight_map": {"a": "model-00001-of-00002.safetensors"}}'), /each of/],
  ],
  "a TensorFlow.js model (model.json)": [
    [raw('{"format": "layers-model", "modelTopology": {}, "weightsManifest": []}'), /loadWeights/],
  ],
  "a JSON document": [
    [raw('{"architectures": ["X"], "dim": 3}'), /another file/],
    [raw("{}"), /another/],
    [raw("[]"), /another/],
  ],
  "a PNG image": [[padded("\x89PNG\r\n\x1a\n"), /path/]],
  "a JPEG image": [[padded("\xff\xd8\xff\xe0"), /path/]],
  "a GIF image": [[padded("GIF89a"), /path/]],
  "a WebP, WAV or AVI file (RIFF)": [[padded("RIFF\x10\0\0\0WEBP"), /path/]],
  "a PDF document": [[padded("%PDF-1.7"), /path/]],
  "a program or library (ELF)": [[padded("\x7fELF\x02\x01\x01"), /path/]],
  "a WebAssembly module": [[padded("\0asm\x01\0\0\0"), /path/]],
  "an SQLite database": [[padded("SQLite format 3\0"), /path/]],
  "a Parquet or Arrow table": [[padded("PAR1\x15\x04"), /path/]],
  "text in UTF-16 or UTF-32": [
    [raw("\xff\xfe{\0}\0"), /as bytes/],
    [raw("\xfe\xff\0{\0}\0\0\0\0"), /as bytes/],
  ],
  "a PEM file (a key or a certificate)": [
    [raw("-----BEGIN PRIVATE KEY-----\nMC4CAQAw\n-----END PRIVATE KEY-----\n"), /path/],
    [raw("Bag Attributes\n    friendlyName: owner\n-----BEGIN CERTIFICATE-----\nMC4CAQAw\n"), /path/],
  ],
  text: [
    [raw("Entry not found"), /"Entry not found".*read/],
    [raw("\xef\xbb\xbfAccess denied"), /"Access denied"/],
    [raw("x ".repeat(5e5)), /x x x …"/],
  ],
};

const refusal = (file: Uint8Array): Error => {
  try {
    decodeSafetensors(file);
  } catch (error) {
    expect(error).toBeInstanceOf(FormatError);
    return error as Error;
  }
  throw new Error("accepted");
};

describe("a key or a secret in the wrong place", () => {
  const bytes = Uint8Array.from({ length: 32 }, (_, i) => (37 * i + 11) % 256);
  const hex = Buffer.from(bytes).toString("hex");
  const pairs = hex.match(/../g)!;
  const base64 = Buffer.from(bytes).toString("base64");
  const url = Buffer.from(bytes).toString("base64url");

  it.each([
    ["hexadecimal", hex],
    ["capitals", `${hex.toUpperCase()}\n`],
    ["hexadecimal with colons", pairs.join(":")],
    ["hexadecimal in words", hex.match(/.{4}/g)!.join(" ")],
    ["hexadecimal in lines", hex.match(/.{16}/g)!.join("\n")],
    ["base64", base64],
    ["base64 for addresses", url],
    ["an assignment", `SECRET=${hex}`],
    ["an assignment of base64", `export SECRET="${base64}"`],
    ["words in front", `this is the secret of the claim, keep it well: ${hex}`],
    ["PEM", `-----BEGIN PRIVATE KEY-----\n${base64}\n-----END PRIVATE KEY-----\n`],
  ])("is not repeated: %s", (_, text) => {
    const { message } = refusal(raw(text));
    const plain = message.replace(/[^\w+/]|\\n/g, "").toLowerCase();
    for (const secret of [hex, base64, url])
      for (let i = 0; i + 8 <= secret.length; i++)
        expect(plain).not.toContain(
          secret
            .slice(i, i + 8)
            .toLowerCase()
            .replace(/[^\w+/]/g, "-"),
        );
  });
});

describe("a file of another kind", () => {
  it("has a sample here, whatever kind is told apart", () => {
    expect(Object.keys(SAMPLES)).toEqual(FOREIGN_KINDS.map(({ what }) => what));
  });

  it.each(Object.entries(SAMPLES))("%s is called by its name, with advice", (what, samples) => {
    for (const [file, advice] of samples) {
      const { message } = refusal(file);
      expect(message).toContain(`Not a safetensors file: it is ${what}`);
      expect(message).toMatch(advice);
      expect(message).not.toMatch(/damaged/);
      expect(message.length).toBeLessThan(600);
    }
  });

  it("of this format is never taken for another one, cut anywhere behind its length", () => {
    const file = encodeSafetensors({ w: { dtype: "F32", shape: [40], data: new Float32Array(40) } }, { format: "pt" });
    for (let n = 9; n < file.length; n++)
      expect(refusal(file.subarray(0, n)).message, `${n}`).toMatch(/damaged or cut short/);
  });
});

describe("dtypes", () => {
  const fileOf = (dtype: string, bytes: number, shape: number[]) => {
    const header = JSON.stringify({ w: { dtype, shape, data_offsets: [0, bytes] } });
    const file = new Uint8Array(8 + header.length + bytes);
    file.set(new TextEncoder().encode(header), 8);
    new DataView(file.buffer).setBigUint64(0, BigInt(header.length), true);
    return file;
  };

  it.each(Object.keys(DTYPES) as SafetensorsDtype[])("%s is read", (dtype) => {
    const width = DTYPES[dtype].BYTES_PER_ELEMENT;
    const { data } = decodeSafetensors(fileOf(dtype, 2 * width, [2])).tensors.get("w")!;
    expect(data).toBeInstanceOf(DTYPES[dtype]);
    expect(data.length).toBe(2);
  });

  const others = ["F8_E4M3", "F8_E5M2", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ", "F6_E2M3", "F6_E3M2", "F4", "C64"];
  it.each(others)("%s is called unsupported, not damage", (dtype) => {
    const { message } = refusal(fileOf(dtype, 8, [8]));
    expect(message).toMatch(new RegExp(`tensor "w" has dtype ${dtype}.*(convert|save)`));
    expect(message).not.toMatch(/damaged/);
  });
});

describe("what is decoded", () => {
  const file = encodeSafetensors({ w: { dtype: "F32", shape: [2], data: Float32Array.of(1, 2) } });
  const shared = new SharedArrayBuffer(file.length);
  new Uint8Array(shared).set(file);
  const buffer = file.slice().buffer as ArrayBuffer;

  it.each<[string, unknown]>([
    ["Uint8Array", file],
    ["ArrayBuffer", buffer],
    ["SharedArrayBuffer", shared],
    ["a view of shared memory", new Uint8Array(shared)],
    ["Buffer", Buffer.from(file)],
    ["DataView", new DataView(buffer)],
    ["Int16Array", new Int16Array(buffer)],
    ["Uint8ClampedArray", new Uint8ClampedArray(buffer)],
  ])("may be a %s", (_, bytes) => {
    const { data } = decodeSafetensors(bytes as Uint8Array).tensors.get("w")!;
    expect(data).toEqual(Float32Array.of(1, 2));
    expect(data.buffer).toBeInstanceOf(ArrayBuffer);
  });

  const gone = file.slice().buffer as ArrayBuffer;
  structuredClone(gone, { transfer: [gone] });
  it.each<[string, unknown, RegExp]>([
    ["a path", "model.safetensors", /loadSafetensors/],
    ["a promise", Promise.resolve(file), /await/],
    ["a blob", new Blob([]), /arrayBuffer\(\)/],
    ["a response", new Response(), /arrayBuffer\(\)/],
    ["a list", [...file], /Uint8Array\.from/],
    ["undefined", undefined, /undefined/],
    ["null", null, /null/],
    ["a number", 5, /found 5/],
    ["a file that is read already", decodeSafetensors(file), /found \{"tensors"/],
    ["memory that was transferred", gone, /transferred/],
    ["long text", "x".repeat(1e6), /xxx…"/],
  ])("may not be %s", (_, bytes, message) => {
    const attempt = () => decodeSafetensors(bytes as Uint8Array);
    expect(attempt).toThrow(ArgumentError);
    expect(attempt).toThrow(message);
    expect(attempt).not.toThrow(/.{600}/);
  });
});

describe("what is encoded", () => {
  const w: HostTensor = { dtype: "F32", shape: [2], data: Float32Array.of(1, 2) };
  const onDevice = { shape: [2], dtype: "F32", data: async () => w.data, dispose: () => {} };
  class Model {}

  it.each<[string, unknown, RegExp, unknown?]>([
    ["a promise", Promise.resolve(new Map([["w", w]])), /await/],
    ["undefined", undefined, /undefined/],
    ["null", null, /null/],
    ["nothing in an object", {}, /nothing would be saved/],
    ["a list", [["w", w]], /found \[\["w"/],
    ["text", "w", /found "w"/],
    ["a set", new Set([w]), /Set/],
    ["a model", new Model(), /Model.*stateDict/],
    ["a whole file", { tensors: new Map([["w", w]]), metadata: {} }, /metadata/],
    ["a value that is no tensor", { w: 1 }, /tensor "w".*found 1/],
    ["a value that is null", new Map([["w", null]]), /tensor "w".*null/],
    ["a tensor that is a promise", { w: Promise.resolve(w) }, /await/],
    ["bare numbers", { w: Float32Array.of(1) }, /dtype and shape/],
    ["a tensor on the device", { w: onDevice }, /on the device.*stateDict/],
    ["a name that is no text", new Map([[1, w]]), /names must be text/],
    ["no shape", { w: { dtype: "F32", data: w.data } }, /shape/],
    ["a shape that is a number", { w: { ...w, shape: 2 } }, /shape/],
    ["no data", { w: { dtype: "F32", shape: [2] } }, /Float32Array/],
    ["metadata in a Map", { w }, /metadata/, new Map([["a", "b"]])],
    ["metadata that is null", { w }, /metadata/, null],
    ["metadata that is a promise", { w }, /metadata/, Promise.resolve({})],
  ])("may not be %s", (_, tensors, message, metadata) => {
    const attempt = () => encodeSafetensors(tensors as never, metadata as never);
    expect(attempt).toThrow(PanError);
    expect(attempt).toThrow(message);
  });

  it.each([
    [[Number.NaN]],
    [[2.5]],
    [[-2]],
    [["2"]],
    [[null]],
    [[2, undefined, 1]],
    [[3]],
    [new Array(1e6).fill(2)],
  ])("may not be of shape %#", (shape) => {
    const attempt = () => encodeSafetensors({ w: { ...w, shape: shape as number[] } });
    expect(attempt).toThrow(ShapeError);
    expect(attempt).not.toThrow(/.{600}/);
  });

  it("may be nothing, if that is said by an empty Map or by metadata alone", () => {
    expect(decodeSafetensors(encodeSafetensors(new Map())).tensors.size).toBe(0);
    expect(decodeSafetensors(encodeSafetensors({}, { a: "b" })).metadata).toEqual({ a: "b" });
  });
});
