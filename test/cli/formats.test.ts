/**
 * Files of other programs, as `pan` reads them: shown, hashed, converted, committed to, accused.
 */
import { createHash } from "node:crypto";
import { copyFileSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { decodeSafetensors, encodeSafetensors, type SafetensorsFile } from "../../src/io/safetensors";
import { alexNetConfig, buildNetwork } from "../../src/models";
import { bind, boundCredential } from "../../src/ownership";
import { signedState } from "../support/claims";
import { type Pan, pan } from "../support/cli";
import { floats } from "../support/edits";
import { gpu } from "../support/gpu";
import { bindingFor, privateKeyFor } from "../support/owner";
import { torchFile } from "../support/torch";

const fixtures = resolve(import.meta.dirname, "../fixtures/weights");
let cli: Pan;
const at = (name: string) => join(cli.folder, name);
const bytesOf = ({ tensors, metadata }: SafetensorsFile) => encodeSafetensors(tensors, metadata);
const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");
const tensorsOf = (name: string) => decodeSafetensors(new Uint8Array(readFileSync(at(name)))).tensors;

/** The authors' AlexNet, with a claim: released by its owner, and as a `.pth` of somebody's. */
async function alexNet(): Promise<void> {
  const config = alexNetConfig({ scheme: "pan", passports: { 4: true, 5: true, 6: true }, width: 1 / 6 });
  const model = buildNetwork(config, { seed: 5 });
  const binding = await bindingFor("acme");
  await bind(model, binding);
  await signedState(model, config);
  const released = await model.deployed();
  writeFileSync(at("credential.safetensors"), bytesOf(await boundCredential(await model.credential(), binding)));
  writeFileSync(at("released.safetensors"), bytesOf(released));
  writeFileSync(at("suspect.pth"), torchFile(released.tensors));
  writeFileSync(
    at("wrapped.pth"),
    torchFile(new Map([...released.tensors].map(([name, t]) => [`module.${name}`, t])), { deflated: true }),
  );
  // In two files that an index names.
  const names = [...released.tensors.keys()];
  const shards = [names.slice(0, 5), names.slice(5)].map((some, i) => [`part-${i}.bin`, some] as const);
  for (const [name, some] of shards)
    writeFileSync(at(name), torchFile(new Map(some.map((n) => [n, released.tensors.get(n)!]))));
  const map = Object.fromEntries(shards.flatMap(([name, some]) => some.map((n) => [n, name])));
  writeFileSync(at("model.index.json"), JSON.stringify({ metadata: {}, weight_map: map }));
  model.dispose();
}

beforeAll(async () => {
  await gpu();
  cli = await pan();
  for (const name of readdirSync(fixtures)) copyFileSync(join(fixtures, name), at(name));
  writeFileSync(at("acme.pem"), privateKeyFor("acme"), { mode: 0o600 });
  await alexNet();
}, 120_000);

afterAll(() => cli?.remove());

/** Files of the readers' tests: what `inspect` calls them, and how many tensors are in them. */
const CASES = [
  ["numbers.pth", "PyTorch (zip archive)", 19],
  ["numbers-older.pth", "PyTorch (legacy pickle)", 19],
  ["checkpoint.pth", "PyTorch (zip archive)", 8],
  ["net.onnx", "ONNX", 7],
  ["tfjs-model.json", "TensorFlow.js, an index and 1 file", 8],
  ["model.index.json", "PyTorch, an index and 2 files", 32],
] as const;

describe("inspect, hash and convert", () => {
  it.each(CASES)("%s: %s", async (name, container, count) => {
    const [told, found] = [await cli.run("inspect", name), await cli.json("inspect", name)];
    expect(told).toMatchObject({ code: 0, err: "" });
    expect(told.out.replace(/ +/g, " ")).toContain(` container ${container}, `);
    expect(found).toMatchObject({ container, private: false, sha256: sha256(readFileSync(at(name))) });
    const { tensors, tensorsDigest } = found as { tensors: unknown[]; tensorsDigest: string };
    expect(tensors).toHaveLength(count);

    const to = `${name}.safetensors`;
    const made = await cli.run("convert", name, to);
    expect(made).toMatchObject({ code: 0, err: "" });
    expect(made.out).toContain(`from ${container}`);
    expect(tensorsOf(to).size).toBe(count);
    const digests = await cli.run("hash", "--tensors", name, to);
    expect(digests.out).toBe(`${tensorsDigest}  ${name}\n${tensorsDigest}  ${to}\n`);
  });

  it("say what of a checkpoint is the weights, and what a file names that is not there", async () => {
    expect((await cli.run("inspect", "checkpoint.pth")).out).toMatch(/note +the weights are those under "state_dict"/);
    expect((await cli.run("convert", "checkpoint.pth", "c.safetensors")).out).toMatch(
      /- the weights are those under "state_dict"/,
    );
    expect((await cli.run("inspect", "tfjs-model.json")).out).toMatch(/SHA-256 of the index +[0-9a-f]{64}/);
    writeFileSync(at("lonely.json"), JSON.stringify({ weight_map: { a: "nowhere.safetensors" } }));
    for (const words of [["inspect"], ["hash", "--tensors"]])
      expect(await cli.run(...words, "lonely.json")).toMatchObject({
        code: 2,
        err: expect.stringMatching(/lonely\.json: .*nowhere\.safetensors: there is no such file/),
      });
  });

  it.each([
    ["module.pth", /module\.pth: .*__main__\.Net/],
    ["script.pt", /script\.pt: .*TorchScript/],
    ["cut.pth", /cut\.pth: .*cut short/],
  ])("%s is refused by name", async (name, why) => {
    writeFileSync(at("cut.pth"), readFileSync(at("numbers-older.pth")).subarray(0, 1500));
    for (const words of [
      ["inspect", name],
      ["convert", name, "never.safetensors"],
      ["verify", name, "credential.safetensors"],
    ]) {
      const { code, err } = await cli.run(...words);
      expect([code, err]).toEqual([2, expect.stringMatching(why)]);
    }
  });

  it("a safetensors file whose header has a brace for its length is none of JSON", async () => {
    const header = JSON.stringify({ w: { dtype: "F32", shape: [1], data_offsets: [0, 4] } }).padEnd(0x7b);
    const bytes = new Uint8Array(8 + 0x7b + 4);
    bytes[0] = 0x7b;
    bytes.set(new TextEncoder().encode(header), 8);
    writeFileSync(at("brace.safetensors"), bytes);
    expect(await cli.json("inspect", "brace.safetensors")).toMatchObject({ container: "safetensors" });
  });

  it("passports in a .pth are private all the same", async () => {
    writeFileSync(at("secret.pth"), torchFile(new Map([["features.4.skey", floats([2])]])));
    expect((await cli.run("inspect", "secret.pth")).out).toMatch(/PRIVATE/);
    expect((await cli.run("convert", "secret.pth", "secret.safetensors")).err).toMatch(/holds private tensors/);
    expect(await cli.run("card", "secret.pth")).toMatchObject({ code: 2 });
  });
});

describe("verdicts", () => {
  it("are those of the tensors, whatever the suspect is a file of", async () => {
    const [own, pth, wrapped, parts] = await Promise.all(
      ["released.safetensors", "suspect.pth", "wrapped.pth", "model.index.json"].map((suspect) =>
        cli.json("verify", suspect, "credential.safetensors"),
      ),
    );
    expect(own).toMatchObject({ verdict: "mark present" });
    const { verdict, sentence, mark, bound } = own!;
    for (const other of [pth, wrapped, parts]) expect(other).toMatchObject({ verdict, sentence, mark, bound });
    expect(pth).toMatchObject({ suspectSha256: sha256(readFileSync(at("suspect.pth"))) });
    // Of several files that of the one that `pan convert` makes of them.
    expect((await cli.run("convert", "model.index.json", "whole.safetensors")).code).toBe(0);
    expect(parts).toMatchObject({ suspectSha256: sha256(readFileSync(at("whole.safetensors"))) });
  });

  it("hold a released .pth to the very bytes that were committed to", async () => {
    const commit = (file: string, out: string) =>
      cli.run("commit", "credential.safetensors", file, "--key", "acme.pem", "--out", out);
    expect((await commit("suspect.pth", "pth.json")).code).toBe(0);
    expect((await cli.run("inspect", "pth.json")).out).toContain(
      `suspect.pth, SHA-256 ${sha256(readFileSync(at("suspect.pth")))}`,
    );
    const verify = (released: string) =>
      cli.json(
        ...["verify", "suspect.pth", "credential.safetensors", "--commitment", "pth.json", "--released", released],
      );
    expect(await verify("suspect.pth")).toMatchObject({ verdict: "mark present", released: { found: true } });
    // The same tensors in another file are another file.
    expect(await verify("released.safetensors")).toMatchObject({ verdict: "refused" });
    expect(await commit("model.index.json", "parts.json")).toMatchObject({
      code: 2,
      err: expect.stringMatching(/expected one file, got the index of several: .*pan convert model\.index\.json/),
    });
    const card = await cli.run("card", "suspect.pth", "--commitment", "pth.json");
    expect(card).toMatchObject({ code: 0, err: "" });
    expect(card.out).toMatch(/tags:\n {2}- pytorch\n/);
  });

  it("take an answer about a .pth, and judge two claims on one", async () => {
    const nonce = "00112233445566778899aabbccddeeff";
    const words = ["--nonce", nonce];
    expect((await cli.run("prove", "suspect.pth", ...words, "--key", "acme.pem", "--out", "pth.sig")).code).toBe(0);
    const verify = (suspect: string) =>
      cli.json("verify", suspect, "credential.safetensors", ...words, "--signature", "pth.sig");
    expect(await verify("suspect.pth")).toMatchObject({ verdict: "mark present" });
    expect(await verify("wrapped.pth")).toMatchObject({ verdict: "refused" });
    const side = ["credential.safetensors", "suspect.pth", "pth.json"];
    expect(await cli.json("judge", ...side, ...side, "--suspect", "wrapped.pth")).toMatchObject({
      facts: { broken: [null, null], related: true },
    });
  });
});
