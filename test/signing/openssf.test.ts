import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, it } from "vitest";
import { ArgumentError, FormatError } from "../../src/errors";
import {
  decodeBundle,
  decodeStatement,
  encodeBundle,
  encodeStatement,
  IN_TOTO,
  type ModelFiles,
  newSigningKey,
  type Signer,
  sha256Hex,
  signBundle,
  signerOf,
  signModel,
  verifyModel,
} from "../../src/signing";

const utf8 = (text: string) => new TextEncoder().encode(text);
const TYPE = "https://model_signing/signature/v1.0";
let publicKey: string;
let signer: Signer;

beforeAll(async () => {
  const key = await newSigningKey();
  publicKey = key.publicKey;
  signer = await signerOf(key.privateKey);
});

const files = (entries: Record<string, string>): ModelFiles =>
  new Map(Object.entries(entries).map(([k, v]) => [k, utf8(v)]));
const statementOf = (sig: string) => decodeStatement(decodeBundle(sig).envelope.payload, TYPE);

describe("a signature that model_signing 1.1.0 made", () => {
  const at = (name: string) => readFileSync(new URL(`../fixtures/openssf/${name}`, import.meta.url), "utf8");
  const [sig, key] = [at("model.sig"), at("key.pub.pem")];
  const signed = { "signme-1": "signme-1\n", "signme-2": "signme-2" };

  it("holds for the files that it was made of", async () => {
    expect(await verifyModel(files(signed), sig, key)).toMatchObject({ name: "v1.1.0-elliptic-key" });
    // What it says to ignore is ignored, and nothing else.
    await expect(
      verifyModel(files({ ...signed, "model.sig": "", ".git/config": "", "ignore-me": "" }), sig, key),
    ).resolves.toBeDefined();
    await expect(verifyModel(files({ ...signed, ".gitconfig": "" }), sig, key)).rejects.toThrow(
      /not signed: .gitconfig/,
    );
  });

  it("does not hold for others", async () => {
    await expect(verifyModel(files({ ...signed, "signme-1": "signme-1" }), sig, key)).rejects.toThrow(
      /changed: signme-1/,
    );
    await expect(verifyModel(files({ "signme-1": "signme-1\n" }), sig, key)).rejects.toThrow(/missing: signme-2/);
    await expect(verifyModel(files(signed), sig, publicKey)).rejects.toThrow(FormatError);
    await expect(verifyModel(files(signed), sig.replace('"sig":"MGUCMQCV', '"sig":"MGUCMQCW'), key)).rejects.toThrow(
      /signature of the given key/,
    );
  });

  it("is the statement that is made here of the same files", async () => {
    const options = {
      name: "v1.1.0-elliptic-key",
      ignorePaths: [".git", "model.sig", "ignore-me", ".gitattributes", ".gitignore", ".github"],
    };
    expect(statementOf(await signModel(files(signed), signer, options))).toEqual(statementOf(sig));
  });
});

describe("a signature made here", () => {
  it("holds, and says what model_signing expects", async () => {
    const sig = await signModel(files({ "b/c": "1", a: "2" }), signer, { name: "model" });
    expect(await verifyModel(files({ a: "2", "b/c": "1" }), sig, publicKey)).toMatchObject({ name: "model" });
    const [a, c] = [await sha256Hex(utf8("2")), await sha256Hex(utf8("1"))];
    expect(statementOf(sig)).toEqual({
      subject: [{ name: "model", digest: { sha256: await sha256Hex(Uint8Array.from(Buffer.from(a + c, "hex"))) } }],
      predicateType: TYPE,
      predicate: {
        serialization: { method: "files", hash_type: "sha256", allow_symlinks: false, ignore_paths: [] },
        resources: [
          { name: "a", algorithm: "sha256", digest: a },
          { name: "b/c", algorithm: "sha256", digest: c },
        ],
      },
    });
  });

  it("of one file has the digest of its digest", async () => {
    const sig = await signModel(utf8("weights"), signer, { name: "model.safetensors" });
    const digest = await sha256Hex(utf8("weights"));
    const { subject, predicate } = statementOf(sig);
    expect(subject[0]!.digest.sha256).toBe(await sha256Hex(Uint8Array.from(Buffer.from(digest, "hex"))));
    expect(predicate["resources"]).toEqual([{ name: ".", algorithm: "sha256", digest }]);
    await expect(verifyModel(utf8("weights"), sig, publicKey)).resolves.toBeDefined();
    await expect(verifyModel(utf8("Weights"), sig, publicKey)).rejects.toThrow(/changed: \./);
    await expect(verifyModel(files({ weights: "weights" }), sig, publicKey)).rejects.toThrow(
      /missing: \.; not signed: weights/,
    );
  });

  it("lists paths part by part, each by code points, as Python sorts them", async () => {
    // sorted(map(PurePosixPath, …)) of Python 3.11.
    const sorted = ["a", "a/b", "a/b/c", "a/b.c", "a-b/c", "a.b", "ab", "b", "\uffee", "\u{1f600}"];
    const sig = await signModel(files(Object.fromEntries([...sorted].reverse().map((path) => [path, path]))), signer, {
      name: "m",
    });
    expect((statementOf(sig).predicate["resources"] as { name: string }[]).map(({ name }) => name)).toEqual(sorted);
  });

  it("needs files, paths that stay below, and a key of ECDSA", async () => {
    const sign = (given: unknown, by = signer, options: unknown = { name: "m" }) =>
      signModel(given as never, by, options as never);
    await expect(sign(new Map())).rejects.toThrow(ArgumentError);
    await expect(sign({ a: utf8("") })).rejects.toThrow(ArgumentError);
    for (const path of ["", ".", "/a", "a/", "a//b", "../a", "a/../b", "a\\b", "a\0"])
      await expect(sign(new Map([[path, utf8("")]]))).rejects.toThrow(ArgumentError);
    await expect(sign(new Map([["a", "text"]]))).rejects.toThrow(ArgumentError);
    await expect(sign(utf8(""), signer, {})).rejects.toThrow(ArgumentError);
    await expect(sign(utf8(""), signer, { name: "m", more: 1 })).rejects.toThrow(ArgumentError);
    const ed25519 = await signerOf((await newSigningKey({ algorithm: "Ed25519" })).privateKey);
    await expect(sign(utf8(""), ed25519)).rejects.toThrow(/does not take/);
  });
});

describe("a statement of a model that contradicts itself", () => {
  const digest = "a".repeat(64);
  const serialization = { method: "files", hash_type: "sha256", allow_symlinks: false };
  const file = { name: "a", algorithm: "sha256", digest };

  it.each<[string, Record<string, unknown>, RegExp]>([
    ["another root", { serialization, resources: [file] }, /digest of all resources/],
    ["a file twice", { serialization, resources: [file, file] }, /each once/],
    ["a path that leaves", { serialization, resources: [{ ...file, name: "../a" }] }, /below the model/],
    ["another digest", { serialization, resources: [{ ...file, algorithm: "blake2b" }] }, /"sha256" expected/],
    ["no digest", { serialization, resources: [{ name: "a", algorithm: "sha256" }] }, /hexadecimal/],
    ["no resources", { serialization }, /a list/],
  ])("with %s is refused", async (_, predicate, why) => {
    const statement = { subject: [{ name: "m", digest: { sha256: digest } }], predicateType: TYPE, predicate };
    const sig = encodeBundle(await signBundle(encodeStatement(statement), IN_TOTO, signer));
    await expect(verifyModel(files({ a: "" }), sig, publicKey)).rejects.toThrow(why);
  });

  it("by shards is refused", async () => {
    const a = await sha256Hex(utf8(""));
    const root = await sha256Hex(Uint8Array.from(Buffer.from(a, "hex")));
    for (const change of [{ method: "shards" }, { hash_type: "blake3" }]) {
      const predicate = { serialization: { ...serialization, ...change }, resources: [{ ...file, digest: a }] };
      const statement = { subject: [{ name: "m", digest: { sha256: root } }], predicateType: TYPE, predicate };
      const sig = encodeBundle(await signBundle(encodeStatement(statement), IN_TOTO, signer));
      await expect(verifyModel(files({ a: "" }), sig, publicKey)).rejects.toThrow(/method "files"/);
    }
  });
});
