/** Each command of `pan` on files of a small trained network, as an owner and a verifier use it. */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { disguise } from "../../src/attacks";
import { decodeNpy } from "../../src/io/npy";
import { decodeSafetensors, encodeSafetensors, type SafetensorsFile } from "../../src/io/safetensors";
import { buildNetwork, buildPlain } from "../../src/models";
import {
  bind,
  boundCredential,
  openedTriggers,
  openGroup,
  triggersLike,
  verify,
  verifyAnswers,
} from "../../src/ownership";
import { CLAIM_PREDICATE } from "../../src/ownership/claim/commitment";
import { encodeBundle, signBundle } from "../../src/signing/bundle";
import { signerOf } from "../../src/signing/keys";
import { signModel } from "../../src/signing/openssf";
import { type Pan, pan } from "../support/cli";
import { TINY_CLOUD, tinyClouds } from "../support/clouds";
import { gpu } from "../support/gpu";
import { authority, bindingFor, MARKED, MARKED_TRIGGERS, type Owned, privateKeyFor, train } from "../support/owner";

const STAMPED = "2026-01-01T00:00:00Z";
let cli: Pan;
let owned: Owned;
let server: Server;
let url: string;

const at = (name: string) => join(cli.folder, name);
const bytesOf = ({ tensors, metadata }: SafetensorsFile) => encodeSafetensors(tensors, metadata);
const save = (name: string, file: SafetensorsFile) => writeFileSync(at(name), bytesOf(file));
const json = (name: string) => JSON.parse(readFileSync(at(name), "utf8"));
const mode = (name: string) => statSync(at(name)).mode & 0o777;

beforeAll(async () => {
  await gpu();
  cli = await pan();
  const stamps = await authority();
  server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on("data", (part: Buffer) => parts.push(part));
    request.on("end", async () => {
      const asks = request.headers["content-type"] === "application/timestamp-query";
      // What a network with a sign-in answers, and an authority that refuses.
      if (request.url === "/page") return void response.end("<html>Please sign in to the hotel's WiFi</html>");
      if (request.url === "/refuse") return void response.end(Uint8Array.of(0x30, 0x05, 0x30, 0x03, 0x02, 0x01, 0x02));
      if (!asks || request.url !== "/tsr") return void response.writeHead(503).end();
      response.end(await stamps.answer(new Uint8Array(Buffer.concat(parts)), STAMPED));
    });
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  owned = await train("acme", { triggers: { ...MARKED_TRIGGERS, count: 80 }, epochs: 8 });
  save("released.safetensors", owned.released);
  save("owner.safetensors", owned.credential);
  save("copy.safetensors", disguise(owned.released, { permute: true, negate: 0.5, seed: 3 }));
  const model = buildPlain(MARKED, { seed: 9 });
  save("stranger.safetensors", { ...owned.released, tensors: await model.stateDict() });
  model.dispose();
  writeFileSync(at("acme.pem"), privateKeyFor("acme"), { mode: 0o600 });
  writeFileSync(at("mallory.pem"), privateKeyFor("mallory"), { mode: 0o600 });
  writeFileSync(at("root.der"), stamps.root);
  const pem = Buffer.from(stamps.root)
    .toString("base64")
    .match(/.{1,64}/g)!;
  writeFileSync(at("root.pem"), ["-----BEGIN CERTIFICATE-----", ...pem, "-----END CERTIFICATE-----", ""].join("\n"));
  const made = await cli.run(...COMMIT, "--out", "commitment.json", "--timestamp", `${url}/tsr`);
  expect(made).toMatchObject({ code: 0, err: "" });
}, 300_000);

afterAll(() => {
  server?.close();
  cli?.remove();
});

const COMMIT = ["commit", "owner.safetensors", "released.safetensors", "--key", "acme.pem"];
const CLAIM = ["--commitment", "commitment.json", "--released", "released.safetensors", "--root", "root.der"];

/** No secret of the owner's is in what was printed. */
function expectNoSecret(...texts: string[]): void {
  for (const text of texts) {
    expect(text).not.toContain(owned.binding.secret);
    expect(text).not.toContain(privateKeyFor("acme").split("\n")[1]);
  }
}

describe("keygen", () => {
  it("writes a key for its owner alone, prints the public one, and writes over none", async () => {
    const { code, out, err } = await cli.run("keygen", "own.pem");
    expect([code, err]).toEqual([0, ""]);
    expect(out).toMatch(/^-----BEGIN PUBLIC KEY-----\n[^-]+-----END PUBLIC KEY-----\n$/);
    expect(mode("own.pem")).toBe(0o600);
    const before = readFileSync(at("own.pem"), "utf8");
    expect(before).toMatch(/PRIVATE KEY/);
    expect(await cli.run("keygen", "own.pem")).toMatchObject({
      code: 2,
      err: expect.stringMatching(/expected a name that is free/),
    });
    expect(readFileSync(at("own.pem"), "utf8")).toBe(before);
    expect(await cli.json("keygen", "ed.pem", "--algorithm", "ed25519")).toMatchObject({ algorithm: "Ed25519" });
    expect(await cli.run("keygen", "x.pem", "--algorithm", "rsa")).toMatchObject({ code: 2 });
  });
});

describe("commit and stamp", () => {
  it("write a commitment that an authority dated", () => {
    expect(json("commitment.json").verificationMaterial.timestampVerificationData.rfc3161Timestamps).toHaveLength(1);
    expect(existsSync(at("commitment.tsq"))).toBe(false);
    expectNoSecret(readFileSync(at("commitment.json"), "utf8"));
  });

  it("write the question where none answers, and take the answer later", async () => {
    const undated = await cli.run(...COMMIT, "--out", "later.json", "--timestamp", `${url}/busy`);
    expect(undated.code).toBe(0);
    expect(undated.err).toMatch(/warning: no time stamp of .*: expected an answer, got status 503/);
    expect(undated.out).toMatch(/curl -sS .*--data-binary @later\.tsq -o later\.tsr/);
    expect(undated.out).toMatch(/pan stamp later\.json later\.tsr/);
    expectNoSecret(undated.out, undated.err);
    const answer = await fetch(`${url}/tsr`, {
      method: "POST",
      headers: { "content-type": "application/timestamp-query" },
      body: readFileSync(at("later.tsq")),
    });
    writeFileSync(at("later.tsr"), new Uint8Array(await answer.arrayBuffer()));
    const words = ["stamp", "later.json", "later.tsr", "--out", "stamped.json", "--root", "root.pem"];
    expect(await cli.json(...words)).toMatchObject({
      stamps: 1,
      verified: expect.stringMatching(/2026-01-01T00:00:00/),
    });
    const found = await cli.json(
      "verify",
      "copy.safetensors",
      "owner.safetensors",
      "--commitment",
      "stamped.json",
      "--released",
      "released.safetensors",
      "--root",
      "root.pem",
    );
    expect(found).toMatchObject({ dated: { time: "2026-01-01T00:00:00.000Z" } });
    // A stamp over another signature is not added where the root is given.
    const other = await cli.run("stamp", "commitment.json", "later.tsr", "--out", "wrong.json", "--root", "root.pem");
    expect(other.code).toBe(2);
    expect(existsSync(at("wrong.json"))).toBe(false);
  });

  it("count what is no time stamp as none", async () => {
    for (const [path, why] of [
      ["page", /the time stamp/],
      ["refuse", /a stamp expected, found a refusal \(2\)/],
    ] as const) {
      const words = [...COMMIT, "--out", `${path}.json`, "--timestamp", `${url}/${path}`];
      const { code, err, out } = await cli.run(...words);
      expect([code, err]).toEqual([0, expect.stringMatching(why)]);
      expect(err).toMatch(/^warning: no time stamp of http:/);
      expect(out).toMatch(/time stamps +none yet/);
      expect(existsSync(at(`${path}.tsq`))).toBe(true);
      writeFileSync(at(`${path}.tsr`), new Uint8Array(await (await fetch(`${url}/${path}`)).arrayBuffer()));
      for (const reply of [`${path}.tsr`, `${path}.tsq`])
        expect(await cli.run("stamp", `${path}.json`, reply, "--out", `${path}2.json`)).toMatchObject({ code: 2 });
      expect(existsSync(at(`${path}2.json`))).toBe(false);
    }
  });

  it.skipIf(process.platform === "win32")("print lines that a shell reads, whatever files are called", async () => {
    mkdirSync(at("my folder's"), { recursive: true });
    const { out } = await cli.run(...COMMIT, "--out", "my folder's/c $(x).json");
    const lines = out.split("\n").filter((line) => /^ {2}(curl|pan) /.test(line));
    expect(lines).toHaveLength(2);
    for (const line of lines) {
      const words = execFileSync("bash", ["-c", `printf '%s\\n' ${line}`], { encoding: "utf8" }).split("\n");
      const files = words.filter((word) => word.includes("my folder's"));
      expect(files.length).toBeGreaterThan(1);
      for (const file of files) expect(file).toMatch(/^@?my folder's\/c \$\(x\)\.(json|tsq|tsr)$/);
    }
  });

  it("read the mark as a verifier will, and warn where he would refuse the release", async () => {
    const fine = await cli.run(...COMMIT, "--out", "fine.json");
    expect(fine).toMatchObject({ code: 0, err: "" });
    expect(fine.out).toMatch(/mark +found: bits (\d+) of \1 fit, \d+ needed\n/);
    const { tensors, metadata } = owned.released;
    const averaged = [...tensors].map(
      ([name, t]) => [`ema.${name}`, { ...t, data: t.data.slice().reverse() as typeof t.data }] as const,
    );
    save("averaged.safetensors", { tensors: new Map([...tensors, ...averaged]), metadata });
    for (const [file, why] of [
      [
        "averaged.safetensors",
        /the file holds 2 different networks of that structure, .*: give the tensors of one\.\n/,
      ],
      ["stranger.safetensors", /does not bear the claim's mark, read as it stands; its triggers were not asked\.\n/],
    ] as const) {
      const warned = await cli.run("commit", "owner.safetensors", file, "--key", "acme.pem", "--out", `${file}.json`);
      expect(warned).toMatchObject({ code: 0, err: expect.stringMatching(/^warning: a verifier would refuse/) });
      expect(warned.err).toMatch(why);
      expectNoSecret(warned.err, warned.out);
    }
  });

  it("write over nothing, take no other key, and warn of one that others may read", async () => {
    const before = readFileSync(at("commitment.json"), "utf8");
    expect(await cli.run(...COMMIT, "--out", "commitment.json")).toMatchObject({ code: 2 });
    expect(readFileSync(at("commitment.json"), "utf8")).toBe(before);
    writeFileSync(at("kept.tsq"), "mine");
    const asking = await cli.run(...COMMIT, "--out", "kept.json");
    expect(asking).toMatchObject({ code: 2, err: expect.stringMatching(/kept\.tsq: expected a name that is free/) });
    expect([existsSync(at("kept.json")), readFileSync(at("kept.tsq"), "utf8")]).toEqual([false, "mine"]);
    expect(await cli.run(...COMMIT, "--out", "kept.json", "--force")).toMatchObject({ code: 0, err: "" });
    expect(readFileSync(at("kept.tsq"), "utf8")).not.toBe("mine");
    const other = await cli.run(
      "commit",
      "owner.safetensors",
      "released.safetensors",
      "--key",
      "mallory.pem",
      "--out",
      "m.json",
    );
    expect(other).toMatchObject({ code: 2, err: expect.stringMatching(/found another key/) });
    expect(existsSync(at("m.json"))).toBe(false);
    chmodSync(at("acme.pem"), 0o644);
    const open = await cli.run(...COMMIT, "--out", "open.json");
    chmodSync(at("acme.pem"), 0o600);
    expect(open.err).toMatch(/warning: acme\.pem: others may read this private key \(mode 644\): chmod 600/);
    expect(await cli.run("commit", "owner.safetensors", "released.safetensors")).toMatchObject({
      code: 2,
      err: expect.stringMatching(/expected --key, got none/),
    });
  });
});

describe("verify", () => {
  it("says what the library says, in words and in JSON", async () => {
    const words = ["verify", "released.safetensors", "owner.safetensors", ...CLAIM, "--published", "2026-06-01"];
    const [told, found] = [await cli.run(...words), await cli.json(...words)];
    expect(told).toMatchObject({ code: 0, err: "" });
    expect(told.out).toMatch(/^holds as released\nThe suspect is, byte for byte, the file/);
    expect(told.out).toMatch(/"Trained by acme", version 2/);
    expect(told.out).toMatch(/found: bits \d+ of 224 fit, \d+ needed/);
    expect(told.out).toMatch(/committed +2026-01-01T00:00:00.000Z \(± 1 s\), stamped by CN=stamps/);
    expect(told.out).toMatch(/left open\n {2}- Who made the network first/);
    expect(told.out).not.toContain("\u001b");
    expectNoSecret(told.out, JSON.stringify(found));
    const library = await verify(readFileSync(at("released.safetensors")), readFileSync(at("owner.safetensors")), {
      commitment: readFileSync(at("commitment.json"), "utf8"),
      released: readFileSync(at("released.safetensors")),
      roots: [readFileSync(at("root.der"))],
      published: "2026-06-01",
    });
    const { verdict, sentence, bound, open, dated } = library;
    expect(found).toMatchObject(JSON.parse(JSON.stringify({ verdict, sentence, bound, open, dated })));
  });

  it.each([
    ["copy.safetensors", 0, /^copy of the committed network\n/],
    ["stranger.safetensors", 1, /^refused\n/],
  ])("%s: exit code %i", async (suspect, code, what) => {
    const found = await cli.run("verify", suspect, "owner.safetensors", ...CLAIM, "--published", "2026-06-01");
    expect([found.code, found.err]).toEqual([code, ""]);
    expect(found.out).toMatch(what);
    expect(found.out).toMatch(/triggers were not asked/);
  });

  it("holds a mark without dates for a mark, which is no ownership", async () => {
    const found = await cli.run("verify", "released.safetensors", "owner.safetensors");
    expect(found.code).toBe(1);
    expect(found.out).toMatch(/^mark present\n.*no commitment was given/);
  });

  it("takes the answer to a nonce, and refuses another key's", async () => {
    const nonce = "00112233445566778899aabbccddeeff";
    const words = [
      "verify",
      "released.safetensors",
      "owner.safetensors",
      ...CLAIM,
      "--published",
      "2026-06-01",
      "--nonce",
      nonce,
    ];
    for (const [who, code] of [
      ["acme", 0],
      ["mallory", 1],
    ] as const) {
      const made = await cli.run(
        "prove",
        "released.safetensors",
        "--nonce",
        nonce,
        "--key",
        `${who}.pem`,
        "--out",
        `${who}.sig`,
      );
      expect(made).toMatchObject({ code: 0, err: "" });
      expect((await cli.run(...words, "--signature", `${who}.sig`)).code, who).toBe(code);
    }
    expect(await cli.run(...words)).toMatchObject({ code: 2, err: expect.stringMatching(/expected --signature/) });
  });

  it("says which half is the wrong one", async () => {
    const found = await cli.run("verify", "owner.safetensors", "released.safetensors");
    expect(found).toMatchObject({
      code: 2,
      err: expect.stringMatching(/are the deployed model and the credential exchanged\?/),
    });
  });
});

describe("verify --run", () => {
  it("says what to install where there is no webgpu, and asks nothing", async () => {
    const { code, out, err } = await cli.run("verify", "copy.safetensors", "owner.safetensors", "--run");
    expect([code, out]).toEqual([2, ""]);
    expect(err).toMatch(/the `webgpu` package: it is not installed[\s\S]*npm install webgpu/);
    expect(await cli.run("verify", "copy.safetensors", "owner.safetensors", "--test", "words")).toMatchObject({
      code: 2,
      err: expect.stringMatching(/expected --run beside --test/),
    });
    writeFileSync(at("no-records"), "words");
    const words = ["verify", "copy.safetensors", "owner.safetensors", "--run", "--test", "no-records"];
    expect(await cli.run(...words)).toMatchObject({
      code: 2,
      err: expect.stringMatching(/expected records of CIFAR-10 or CIFAR-100, .*, got 5 bytes/),
    });
  });

  it("asks the triggers, and says how where it is not given", async () => {
    const files = ["released.safetensors", "owner.safetensors"].map(at);
    const dry = await cli.run("verify", ...files);
    expect(dry.out).toMatch(/triggers not asked: .*`pan verify … --run` .*`pan challenge` and `pan answers`/);
    const running = await pan({ packages: true });
    try {
      const { code, out, err } = await running.run("verify", ...files, "--run");
      expect([code, err]).toEqual([1, ""]);
      expect(out).toMatch(/^mark present\n/);
      expect(out).not.toMatch(/not asked/);
      const { mark } = await verify(readFileSync(files[0]!), readFileSync(files[1]!));
      const { hits, count, needed } = mark!.triggers!;
      expect(out).toContain(`triggers ${hits} of ${count} fit, ${needed} needed`);
      const rival = [...files.toReversed(), at("commitment.json")];
      const judged = await running.json("judge", ...rival, ...rival, "--run");
      expect(judged).toMatchObject({ marks: { aInA: { triggers: { hits, count } } } });
    } finally {
      running.remove();
    }
  });
});

describe("judge", () => {
  const RIVAL = ["owner.safetensors", "released.safetensors", "commitment.json"];

  it("rules in words and by exit code", async () => {
    const model = buildNetwork(MARKED, { seed: 5 });
    const binding = await bindingFor("mallory");
    await bind(model, binding);
    save("m.released.safetensors", await model.deployed());
    save("m.owner.safetensors", await boundCredential(await model.credential(), binding));
    model.dispose();
    expect(
      (
        await cli.run(
          "commit",
          "m.owner.safetensors",
          "m.released.safetensors",
          "--key",
          "mallory.pem",
          "--out",
          "m.commitment.json",
        )
      ).code,
    ).toBe(0);
    const untrained = ["m.owner.safetensors", "m.released.safetensors", "m.commitment.json"];
    const found = await cli.run("judge", ...RIVAL, ...untrained, "--root", "root.der");
    expect(found).toMatchObject({ code: 0, err: "" });
    expect(found.out).toMatch(/^A prevails\nB's claim falls: its mark is not in the file/);
    expect(found.out).toMatch(/A's in A's file +found: bits/);
    const neither = await cli.run("judge", ...untrained, ...untrained);
    expect(neither).toMatchObject({ code: 1, err: "" });
    expect(await cli.json("judge", ...untrained, ...RIVAL)).toMatchObject({
      ruling: "B",
      statements: ["Trained by mallory", "Trained by acme"],
    });
    expectNoSecret(found.out);
  });
});

describe("inspect and hash", () => {
  it("tell the halves apart, and warn of the private one without a secret of it", async () => {
    const deployed = await cli.run("inspect", "released.safetensors");
    expect(deployed.out).toMatch(/the deployed half of a network: it may be given away/);
    expect(deployed.out).toMatch(/features\.0\.conv\.weight +F32 \[16, 3, 3, 3\]/);
    expect(deployed.out).not.toMatch(/PRIVATE/);
    const secret = await cli.run("inspect", "owner.safetensors");
    expect(secret.out).toMatch(/a credential, the owner's half/);
    expect(secret.out).toMatch(/PRIVATE: .*Never publish it/);
    expect(secret.out).toMatch(/claim +"Trained by acme": it follows from its secret/);
    expect(secret.out).toMatch(/metadata claim +\d+ characters, not shown/);
    expect(secret.out).toMatch(/triggers +2 groups of 80 images/);
    const data = await cli.json("inspect", "owner.safetensors");
    expect(data).toMatchObject({ private: true, claim: { bits: 224 } });
    expectNoSecret(secret.out, JSON.stringify(data));
    const commitment = await cli.run("inspect", "commitment.json");
    expect(commitment.out).toMatch(/a commitment, to be published/);
    expect(commitment.out).toMatch(/released\.safetensors, SHA-256 [0-9a-f]{64}/);
  });

  it("take nothing in a commitment for what it is not", async () => {
    const signer = await signerOf(privateKeyFor("acme"));
    const bytes = readFileSync(at("released.safetensors"));
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    const honest = JSON.parse(Buffer.from(json("commitment.json").dsseEnvelope.payload, "base64").toString()) as Record<
      string,
      unknown
    >;
    const { predicate } = honest as { predicate: Record<string, unknown> };
    const write = async (name: string, change: object) => {
      const payload = new TextEncoder().encode(JSON.stringify({ ...honest, ...change }));
      writeFileSync(at(name), encodeBundle(await signBundle(payload, "application/vnd.in-toto+json", signer)));
    };
    await write("same.json", {});
    expect((await cli.run("inspect", "same.json")).out).toMatch(/a commitment[\s\S]*statement +"Trained by acme"/);
    const odd = [{ toString: 1 }, [], 5, "x".repeat(2 ** 20), "` |\n\n# free <script>", null];
    for (const field of Object.keys(predicate))
      for (const value of odd) {
        const isText = field === "statement" && typeof value === "string" && value.length < 100;
        const fits = isText || (value === null && /triggers|parent/.test(field)) || (value === 5 && field === "bits");
        if (fits) continue;
        await write("odd.json", { predicate: { ...predicate, [field]: value } });
        for (const words of [
          ["inspect", "odd.json"],
          ["card", "released.safetensors", "--commitment", "odd.json"],
        ]) {
          const { code, err } = await cli.run(...words);
          expect([code, err], `${field} ${words[0]}`).toEqual([2, expect.stringMatching(/^error: the commitment: /)]);
        }
        if (field !== "claim") break;
      }
    await write("odd.json", { subject: [{ name: { toString: 1 }, digest: { sha256 } }] });
    expect(await cli.run("inspect", "odd.json")).toMatchObject({
      code: 2,
      err: expect.stringMatching(/a subject's name/),
    });
    await write("odd.json", { subject: [{ name: "x\n  time stamps    3, verified", digest: { sha256 } }] });
    expect((await cli.run("inspect", "odd.json")).out).toMatch(/released file +x\\u000a {2}time stamps/);
    await write("odd.json", { predicateType: "https://example.com/other" });
    const other = await cli.run("inspect", "odd.json");
    expect(other.out).toMatch(/a signed statement of another kind/);
    expect(other.out).toMatch(/type +https:\/\/example\.com\/other/);
    expect(other.out).not.toMatch(/a commitment/);
    expect(honest["predicateType"]).toBe(CLAIM_PREDICATE);
    writeFileSync(at("model.sig"), await signModel(bytes, signer, { name: "net" }));
    expect((await cli.run("inspect", "model.sig")).out).toMatch(/^model\.sig: a signature of a model \(/);
    await write("odd.json", { predicate: { ...predicate, statement: "by <b>me</b>\n\n# free `code` | [x](y)" } });
    const { out } = await cli.run("card", "released.safetensors", "--commitment", "odd.json");
    expect(out).toContain("\n> by \\<b\\>me\\</b\\> \\# free \\`code\\` \\| \\[x\\](y)\n");
    writeFileSync(at("group.json"), JSON.stringify({ format: "pan-opening-2", group: { toString: 1 } }));
    expect((await cli.run("inspect", "group.json")).out).toMatch(/group +\{"toString":1\}/);
    for (const format of ["constructor", "toString", "__proto__"]) {
      save("format.safetensors", { tensors: owned.released.tensors, metadata: { format } });
      expect((await cli.run("inspect", "format.safetensors")).out).toMatch(/: weights of another program\n/);
    }
  }, 120_000);

  it("hash as sha256sum and sha512sum do, and tensors in whatever container", async () => {
    const bytes = readFileSync(at("released.safetensors"));
    for (const [name, ...flags] of [["sha256"], ["sha512", "--sha512"]] as const) {
      const digest = createHash(name).update(bytes).digest("hex");
      const { out } = await cli.run("hash", "released.safetensors", "commitment.json", ...flags);
      expect(out.split("\n")[0]).toBe(`${digest}  released.safetensors`);
      expect(out.trimEnd().split("\n")).toHaveLength(2);
    }
    const again = { tensors: new Map([...owned.released.tensors].reverse()), metadata: { by: "another program" } };
    save("other.safetensors", again);
    const [one, two] = (await cli.run("hash", "--tensors", "released.safetensors", "other.safetensors")).out.split(
      "\n",
    );
    expect(one!.slice(0, 128)).toBe(two!.slice(0, 128));
    expect(one).toMatch(/^[0-9a-f]{128} {2}released\.safetensors$/);
    expect(await cli.run("hash", "--tensors", "commitment.json")).toMatchObject({ code: 2 });
    expect(await cli.json("hash", "commitment.json")).toMatchObject([{ tensors: null }]);
    writeFileSync(at("odd\\name"), "x");
    expect((await cli.run("hash", "odd\\name")).out).toMatch(/^\\[0-9a-f]{64} {2}odd\\\\name\n$/);
  });
});

describe("convert", () => {
  it("takes --tensor for NPY alone", async () => {
    const words = ["convert", "released.safetensors", "some.safetensors", "--tensor", "features.0.conv.weight"];
    expect(await cli.run(...words)).toMatchObject({
      code: 2,
      err: expect.stringMatching(/expected --tensor for an NPY file alone/),
    });
    expect(existsSync(at("some.safetensors"))).toBe(false);
  });

  it("writes one tensor as NPY and back, the same bits", async () => {
    const name = "features.0.conv.weight";
    const words = ["convert", "released.safetensors", "first.npy"];
    expect(await cli.run(...words)).toMatchObject({
      code: 2,
      err: expect.stringMatching(/expected one tensor for an NPY file, got \d+: name one/),
    });
    expect((await cli.run(...words, "--tensor", name)).code).toBe(0);
    const own = owned.released.tensors.get(name)!;
    expect(decodeNpy(new Uint8Array(readFileSync(at("first.npy"))))).toEqual(own);
    expect((await cli.run("convert", "first.npy", "back.safetensors")).code).toBe(0);
    expect(decodeSafetensors(new Uint8Array(readFileSync(at("back.safetensors")))).tensors.get("array")).toEqual(own);
    expect(await cli.run("convert", "first.npy", "first.pth")).toMatchObject({
      code: 2,
      err: expect.stringMatching(/ends in \.safetensors or \.npy/),
    });
  });

  it("keeps what is private to its owner", async () => {
    const { code, err } = await cli.run("convert", "owner.safetensors", "own-copy.safetensors");
    expect(code).toBe(0);
    expect(err).toMatch(/warning: own-copy\.safetensors holds private tensors/);
    expect(mode("own-copy.safetensors")).toBe(0o600);
  });
});

describe("challenge and answers", () => {
  it("write a group's images as they are, a form, and an opening of nothing else", async () => {
    const { code, out, err } = await cli.run("challenge", "owner.safetensors", "1", "asked");
    expect([code, err]).toEqual([0, ""]);
    expect(out).toMatch(/opened group 1 of 2/);
    expectNoSecret(out, readFileSync(at("asked/opening.json"), "utf8"));
    expect(mode("asked/opening.json")).toBe(0o600);
    const opening = await openGroup(owned.credential, 1);
    expect(json("asked/opening.json")).toEqual(JSON.parse(JSON.stringify(opening)));
    const { set } = await openedTriggers(opening);
    const names = readdirSync(at("asked/inputs")).sort();
    expect(names).toHaveLength(80);
    const { images } = set as unknown as { images: Uint8Array };
    for (const i of [0, 41, 79]) {
      const { data, info } = await sharp(at(`asked/inputs/${names[i]}`))
        .raw()
        .toBuffer({ resolveWithObject: true });
      expect(info).toMatchObject({ width: 8, height: 8, channels: 3 });
      // The set has planes, a picture has pixels.
      const pixels = Uint8Array.from({ length: 192 }, (_, at) => images[i * 192 + (at % 3) * 64 + Math.floor(at / 3)]!);
      expect(new Uint8Array(data)).toEqual(pixels);
    }
    const form = json("asked/answers.json");
    expect(form).toMatchObject({ classes: ["red", "green", "blue"], normalize: null });
    expect(Object.keys(form.answers)).toEqual(names);
    expect(JSON.stringify(form)).not.toContain("labels");
  });

  it("hold answers against the opening and its commitment", async () => {
    const opening = await openGroup(owned.credential, 1);
    const { set } = await openedTriggers(opening);
    const { labels } = set;
    const names = readdirSync(at("asked/inputs")).sort();
    const words = ["answers", "asked/opening.json", "asked/answers.json"];
    const unanswered = await cli.run(...words);
    expect(unanswered).toMatchObject({
      code: 2,
      err: expect.stringMatching(/00\.png: expected a class \(red, green, blue\)/),
    });
    const form = json("asked/answers.json");
    const byName = Object.fromEntries(names.map((name, i) => [name, form.classes[labels[i]!]]));
    writeFileSync(at("asked/answers.json"), JSON.stringify({ ...form, answers: byName }));
    const right = await cli.run(...words, "--commitment", "commitment.json", "--root", "root.der");
    expect(right).toMatchObject({ code: 0, err: "" });
    expect(right.out).toMatch(/^marked\n80 of 80 answers are the claim's labels/);
    expect(right.out).toMatch(/commitment +2026-01-01/);
    writeFileSync(at("numbers.json"), JSON.stringify(Array.from(labels, (label) => (label + 1) % 3)));
    const wrong = await cli.run("answers", "asked/opening.json", "numbers.json");
    expect(wrong.code).toBe(1);
    expect(wrong.out).toMatch(/^not marked\n0 of 80/);
    const refused = async (answers: unknown, why: RegExp) => {
      writeFileSync(at("other.json"), JSON.stringify(answers));
      const { code, err } = await cli.run("answers", "asked/opening.json", "other.json");
      expect([code, err]).toEqual([2, expect.stringMatching(why)]);
      expect(err).toMatch(/^error: other\.json: /);
    };
    const renamed = (to: (name: string, i: number) => string) =>
      Object.fromEntries(Object.entries(byName).map(([name, answer], i) => [to(name, i), answer]));
    await refused({ answers: renamed((_, i) => `${i}.png`) }, /of 00\.png to 79\.png .* \(0\.png, .*none of 00\.png/);
    await refused({ answers: renamed((name) => name.replace("00", "O0")) }, /\(O0\.png\), and none of 00\.png/);
    await refused({ answers: renamed((name) => `inputs/${name}`) }, /inputs\/00\.png/);
    await refused({ answers: { ...byName, "80.png": "red" } }, /\(80\.png\), and none of none/);
    await refused({ answers: { ...byName, "07.png": 3 } }, /07\.png: expected a class \(red, green, blue\)/);
    await refused({ answers: { ...byName, "07.png": "toString" } }, /07\.png: expected a class/);
    await refused(
      Array.from(labels, () => 3),
      /answer 0: expected a class/,
    );
    await refused(Array.from(labels).slice(1), /expected answers of 80 inputs, got 79 answers/);
    await refused([], /got 0 answers/);
    // By their names, in whatever order.
    writeFileSync(at("turned.json"), JSON.stringify({ answers: Object.fromEntries(Object.entries(byName).reverse()) }));
    expect(await cli.run("answers", "asked/opening.json", "turned.json")).toMatchObject({ code: 0, err: "" });
    await expect(
      verifyAnswers(
        Array.from(labels, () => 3),
        opening,
      ),
    ).rejects.toThrow(/from 0 to 2/);
    const foreign = await cli.run(...words, "--commitment", "m.commitment.json");
    expect(foreign.code).toBe(2);
    expect(await cli.run("challenge", "owner.safetensors", "2", "none")).toMatchObject({
      code: 2,
      err: expect.stringMatching(/group/),
    });
    expect(await cli.run("challenge", "owner.safetensors", "1", "asked")).toMatchObject({
      code: 2,
      err: expect.stringMatching(/free/),
    });
  });

  it("repeat no secret of a document in the wrong place, and make no folder in a file", async () => {
    const { secret } = owned.binding;
    for (const document of [owned.binding, { answers: secret }, secret, { ...json("asked/opening.json"), secret }]) {
      writeFileSync(at("binding.json"), JSON.stringify(document));
      for (const words of [
        ["answers", "binding.json", "asked/answers.json"],
        ["answers", "asked/opening.json", "binding.json"],
        ["card", "released.safetensors", "--results", "binding.json"],
        ["card", "released.safetensors", "--commitment", "binding.json"],
        ["inspect", "binding.json"],
        ["stamp", "binding.json", "binding.json", "--out", "x.json"],
        ["prove", "released.safetensors", "--nonce", "0", "--key", "binding.json", "--out", "x.sig"],
      ]) {
        const { code, out, err } = await cli.run(...words);
        expect([code, out], words.join(" ")).toEqual(words[0] === "inspect" && code === 0 ? [0, out] : [2, ""]);
        for (let i = 0; i + 12 <= secret.length; i += 4) expect(out + err).not.toContain(secret.slice(i, i + 12));
      }
    }
    writeFileSync(at("plain"), "words");
    for (const folder of ["plain", "plain/x"])
      expect(await cli.run("challenge", "owner.safetensors", "1", folder)).toMatchObject({
        code: 2,
        err: expect.stringMatching(/^error: plain\S*inputs: expected a folder that can be made, got a /),
      });
  }, 120_000);

  it("write over no inputs", async () => {
    mkdirSync(at("mine/inputs"), { recursive: true });
    writeFileSync(at("mine/inputs/07.png"), "mine");
    const words = ["challenge", "owner.safetensors", "1", "mine"];
    expect(await cli.run(...words)).toMatchObject({
      code: 2,
      err: expect.stringMatching(/07\.png: expected a name that is free/),
    });
    expect([readdirSync(at("mine")), readdirSync(at("mine/inputs"))]).toEqual([["inputs"], ["07.png"]]);
    expect(readFileSync(at("mine/inputs/07.png"), "utf8")).toBe("mine");
    expect(await cli.run(...words, "--force")).toMatchObject({ code: 0, err: "" });
    expect(readdirSync(at("mine/inputs"))).toHaveLength(80);
    expect(readFileSync(at("mine/inputs/07.png"))[0]).toBe(0x89);
  });

  it("write clouds as arrays", async () => {
    const model = buildNetwork(TINY_CLOUD, { seed: 3 });
    const triggers = triggersLike(tinyClouds(6, 1), { count: 12, groups: 1 });
    const binding = await bindingFor("acme", { triggers });
    const derived = await bind(model, binding);
    save("clouds.owner.safetensors", await boundCredential(await model.credential(), binding));
    model.dispose();
    expect((await cli.run("challenge", "clouds.owner.safetensors", "0", "clouds")).code).toBe(0);
    const names = readdirSync(at("clouds/inputs")).sort();
    expect(names).toHaveLength(12);
    const { shape, data } = decodeNpy(new Uint8Array(readFileSync(at(`clouds/inputs/${names[7]}`))));
    expect(shape).toEqual([16, 3]);
    expect(data).toEqual((derived.groups[0]!.inputs as Float32Array).slice(7 * 48, 8 * 48));
  });
});

describe("card and doctor", () => {
  it("prints a card of what is public", async () => {
    writeFileSync(at("results.json"), JSON.stringify({ dataset: "CIFAR-10", metrics: { accuracy: 0.91 } }));
    const words = [
      "card",
      "released.safetensors",
      "--commitment",
      "commitment.json",
      "--results",
      "results.json",
      "--license",
      "mit",
    ];
    const { code, out, err } = await cli.run(...words);
    expect([code, err]).toEqual([0, ""]);
    const digest = createHash("sha256")
      .update(readFileSync(at("released.safetensors")))
      .digest("hex");
    expect(out).toMatch(/^---\nlicense: "mit"\nlibrary_name: "@pan\/core"\n[\s\S]*\n---\n\n# released\n/);
    expect(out).toContain(`| SHA-256 | \`${digest}\` |`);
    expect(out).toMatch(/\| CIFAR-10 \| accuracy \| 0\.91 \|/);
    expect(out).toMatch(/> Trained by acme\n/);
    expect(out).toMatch(/with 1 time stamp of RFC 3161\. The claim has 224 bits and 2 groups of 80 triggers/);
    expectNoSecret(out);
    expect(await cli.run("card", "owner.safetensors")).toMatchObject({
      code: 2,
      err: expect.stringMatching(/private tensors/),
    });
    const foreign = await cli.run("card", "stranger.safetensors", "--commitment", "commitment.json");
    expect(foreign.code).toBe(2);
  });

  it("says what helps where webgpu is not installed", async () => {
    const { code, out, err } = await cli.run("doctor");
    expect([code, err]).toEqual([1, ""]);
    expect(out).toMatch(/webgpu +not installed: npm install webgpu/);
    expect(out).toMatch(/@pan\/core +1\.2\.3/);
    expect(await cli.json("doctor")).toMatchObject({ adapter: null, packages: { webgpu: null } });
  });
});
