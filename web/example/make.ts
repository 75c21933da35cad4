/**
 * Makes the example that the page loads, beside this file: a network that was trained on CIFAR-10
 * and released, a copy that a thief trained on, and a rival who planted a mark of their own into
 * another copy and claims it. Needs OpenSSL 3 for the time stamps:
 *
 *     npx tsx web/example/make.ts
 *
 * Both credentials are opened for everybody to see, as no owner would: their statements say so. No
 * private key is kept.
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { init, type SafetensorsFile } from "@pan/core";
import { forgeBoundClaim } from "@pan/core/attacks";
import { cifarTransform, subset } from "@pan/core/data";
import { buildNetwork, type ConvNetConfig, loadDeployed } from "@pan/core/models";
import { dawn, saveSafetensors } from "@pan/core/node";
import { cosineLR, SGD } from "@pan/core/optim";
import { bind, boundCredential, commit, newSecret } from "@pan/core/ownership";
import { type Bundle, bundleSignature, encodeBundle, newSigningKey, signerOf, withTimestamp } from "@pan/core/signing";
import { evaluate, Trainer } from "@pan/core/train";
import { pictures } from "../../examples/pictures";

/** The quickstart's network with fewer channels: 160 bits follow from the claim. */
const CONFIG: ConvNetConfig = {
  classes: 10,
  input: [32, 32, 3],
  layers: [
    { channels: 6, kernel: 5, padding: 2, stride: 2 },
    "pool",
    { channels: 64, kernel: 3, padding: 1 },
    "pool",
    { channels: 112, kernel: 1 },
    "pool",
    "pool",
  ],
  scheme: "pan",
  passports: { 2: true, 4: "ME" },
};
const [OWNER, RIVAL] = ["ACME", "Mallory"].map(
  (name) => `Trained by ${name}. A demonstration: this credential was given away to everybody`,
) as [string, string];
const [STAMPED, LATER] = ["2026-03-02T09:00:00Z", "2026-06-03T16:30:00Z"] as const;

const file = (name: string) => join(import.meta.dirname, name);

/** An authority of time stamps that lives as long as this run: OpenSSL's, of any date. */
class Authority {
  private constructor(private readonly folder: string) {}

  static async open(): Promise<Authority> {
    const made = new Authority(await mkdtemp(join(tmpdir(), "pan-example-")));
    await made.#write(
      "ca.cnf",
      `[req]\ndistinguished_name = dn\n[dn]\n[root]\nbasicConstraints = critical, CA:TRUE\nkeyUsage = critical, keyCertSign\n` +
        `[tsa]\nkeyUsage = critical, digitalSignature\nextendedKeyUsage = critical, timeStamping\n`,
    );
    for (const [name, subject] of [
      ["root", "Example stamps root"],
      ["tsa", "Example stamps"],
    ]) {
      made.#openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", `${name}.key`);
      made.#openssl(
        ...["req", "-new", "-config", "ca.cnf", "-key", `${name}.key`, "-subj", `/O=Demonstration/CN=${subject}`],
        ...["-out", `${name}.csr`],
      );
    }
    // `x509 -req` of OpenSSL 3.0 counts days from the day of making: stamps of earlier dates need
    // `ca`.
    const span = ["-startdate", "20260101000000Z", "-enddate", "20991231235959Z"];
    await made.#write("index.txt", "");
    await made.#write("serial", "1000\n");
    await made.#write(
      "db.cnf",
      "[ca]\ndefault_ca = any\n[any]\ndir = .\ndatabase = index.txt\nserial = serial\nnew_certs_dir = .\ndefault_md = sha256\n" +
        "policy = names\nunique_subject = no\n[names]\norganizationName = optional\ncommonName = supplied\n",
    );
    const signed = (name: string, ...by: string[]) =>
      made.#openssl(
        ...["ca", "-batch", "-notext", "-config", "db.cnf", "-extfile", "ca.cnf", "-extensions", name, ...by, ...span],
        ...["-in", `${name}.csr`, "-out", `${name}.pem`],
      );
    signed("root", "-selfsign", "-keyfile", "root.key");
    signed("tsa", "-cert", "root.pem", "-keyfile", "root.key");
    return made;
  }

  root = (): Promise<Buffer> => readFile(join(this.folder, "root.pem"));

  async stamp(bundle: Bundle, iso: string): Promise<Bundle> {
    const imprint = createHash("sha256").update(bundleSignature(bundle)).digest("hex");
    await this.#write(
      "tst.cnf",
      "asn1 = SEQUENCE:tst\n[tst]\nversion = INTEGER:1\npolicy = OID:1.2.3.4.1\nimprint = SEQUENCE:imprint\nserial = INTEGER:7\n" +
        `time = GENERALIZEDTIME:${iso.replace(/\D/g, "")}Z\naccuracy = SEQUENCE:accuracy\n[accuracy]\nseconds = INTEGER:1\n` +
        `[imprint]\ndigest = SEQUENCE:sha256\nvalue = FORMAT:HEX,OCTETSTRING:${imprint}\n[sha256]\nname = OID:sha256\nnone = NULL\n`,
    );
    this.#openssl("asn1parse", "-genconf", "tst.cnf", "-noout", "-out", "tst.der");
    this.#openssl(
      ...["cms", "-sign", "-binary", "-nodetach", "-nosmimecap", "-econtent_type", "1.2.840.113549.1.9.16.1.4"],
      ...["-md", "sha256", "-cades", "-signer", "tsa.pem", "-inkey", "tsa.key", "-in", "tst.der"],
      ...["-outform", "DER", "-out", "stamp.der"],
    );
    return withTimestamp(bundle, await readFile(join(this.folder, "stamp.der")));
  }

  close = (): Promise<void> => rm(this.folder, { recursive: true });

  #write = (name: string, text: string) => writeFile(join(this.folder, name), text);

  #openssl(...args: string[]): void {
    execFileSync("openssl", args, { cwd: this.folder, stdio: ["ignore", "ignore", "pipe"] });
  }
}

async function save(name: string, value: SafetensorsFile | Bundle | Uint8Array): Promise<void> {
  if (value instanceof Uint8Array) await writeFile(file(name), value);
  else if ("tensors" in value) await saveSafetensors(file(name), value);
  else await writeFile(file(name), encodeBundle(value));
}

await init({ gpu: await dawn() });
const data = await pictures();
const authority = await Authority.open();

// The owner.
const key = await newSigningKey();
const model = buildNetwork(CONFIG, { seed: 1 });
const binding = { statement: OWNER, secret: newSecret(), publicKey: key.publicKey };
await bind(model, binding);
const optimizer = new SGD(model.parameters(), { lr: 0.05, momentum: 0.9, weightDecay: 5e-4, nesterov: true });
const views = { transform: cifarTransform("train"), testTransform: cifarTransform("test"), batchSize: 50 };
const trainer = new Trainer(model, optimizer, { ...views, seed: 1, schedule: cosineLR({ epochs: 2, warmup: 0.5 }) });
for await (const epoch of trainer.fit(data.train, { epochs: 2, test: data.test }))
  console.log(`epoch ${epoch.epoch}: public ${epoch.public}, ${epoch.bitsMatched} of ${epoch.bits} bits`);
const accuracy = await evaluate(model, data.test, { transform: cifarTransform("test") });
const released = await model.deployed();
const credential = await boundCredential(await model.credential(accuracy), binding);
const commitment = await commit(credential, released, await signerOf(key.privateKey), {
  name: "released.safetensors",
});

// A thief trains a copy on.
const copy = loadDeployed(released);
const further = new Trainer(copy, new SGD(copy.parameters(), { lr: 0.002, momentum: 0.9 }), { ...views, seed: 2 });
for await (const _ of further.fit(subset(data.train, 0, 1000), { epochs: 1 }));
const suspect = { tensors: await copy.stateDict(), metadata: released.metadata };

// A rival plants a mark of their own into another copy.
const rivalKey = await newSigningKey();
const forged = await forgeBoundClaim(released, CONFIG, { statement: RIVAL, publicKey: rivalKey.publicKey });
const rival = await commit(forged.credential, forged.network, await signerOf(rivalKey.privateKey), {
  name: "rival.released.safetensors",
});

await save("suspect.safetensors", suspect);
await save("owner.credential.safetensors", credential);
await save("released.safetensors", released);
await save("commitment.sigstore.json", await authority.stamp(commitment, STAMPED));
await save("root.pem", await authority.root());
await save("rival.credential.safetensors", forged.credential);
await save("rival.released.safetensors", forged.network);
await save("rival.commitment.sigstore.json", await authority.stamp(rival, LATER));
await authority.close();
console.log(`the rival's copy bears ${forged.matched} of ${forged.bits} bits`);
