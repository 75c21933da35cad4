/**
 * Owners with keys, claims of version 2 on a small trained network, and an authority that dates
 * them.
 */

import type { SafetensorsFile } from "../../src/io/safetensors";
import { buildNetwork, type NetworkConfig } from "../../src/models";
import { SGD } from "../../src/optim";
import { type Binding, bind, boundCredential, boundTriggers, commit, type DerivedClaim } from "../../src/ownership";
import type { TriggerSpec } from "../../src/ownership/claim/spec";
import { type Bundle, bundleSignature, withTimestamp } from "../../src/signing/bundle";
import { sequence } from "../../src/signing/der-writer";
import { publicKeyPem, signerOf } from "../../src/signing/keys";
import { Generator } from "../../src/tensor/random";
import { evaluate, Trainer } from "../../src/train";
import {
  certificate,
  generalizedTime,
  isAuthority,
  newKey,
  number,
  octets,
  SHA256,
  stamp,
  timeStamping,
} from "./authority";
import { TINY, tinySet } from "./tiny";

/** Keys of P-256 for tests alone: a claim's bits hang on its key. */
const KEYS = {
  acme: `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgdvUFWOzjqifBI6iq
NVT3dHz7lrPRngtf1FCZIgNiWkuhRANCAAQG/cnpM1JzTF7xfrp9+bCv0n1RTpvz
FGAByjrP3z/Rl6ypnd4VShMAbktR7ueaDFqGxeMlXZdkG1Li0NZZKI0e
-----END PRIVATE KEY-----`,
  mallory: `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgXCMcfgJ7hUIrlerA
NapbmsI05khZf7lt04eVVGEURAOhRANCAATJt4eaCFfgVcTD9cu+oNYzM0Hm2nOC
9zGkkWQ7Dl/7ioZ0xJPRPxtRnwbphWgO98vx4F/1pg9tVB/kpHqZAL3j
-----END PRIVATE KEY-----`,
};

/** Who owns a network, or says so. */
export type Who = keyof typeof KEYS;

/** The private key of an owner, PEM. */
export const privateKeyFor = (who: Who): string => `${KEYS[who]}\n`;

export const signerFor = (who: Who) => signerOf(KEYS[who]);

export const publicKeyFor = async (who: Who): Promise<string> => publicKeyPem((await signerFor(who)).publicKey);

/** Two passport layers of 96 and 128 bits, a stride, a bias, all of it in seconds. */
export const MARKED: NetworkConfig = {
  ...TINY,
  layers: [{ channels: 16, kernel: 3, padding: 1 }, "pool", { channels: 96, kernel: 3 }, { channels: 128, kernel: 1 }],
  passports: { 2: true, 3: true },
};

/** Sixty images of three classes: 60 hits of 3 · 2 groups of 90 are by chance. */
export const MARKED_TRIGGERS: TriggerSpec = {
  kind: "images",
  shape: [8, 8, 3],
  classes: ["red", "green", "blue"],
  count: 60,
  groups: 2,
  grid: 3,
  normalize: null,
};

/** A binding of an owner. */
export const bindingFor = async (who: Who, more: Partial<Binding> = {}): Promise<Binding> => ({
  statement: `Trained by ${who}`,
  secret: (who === "acme" ? "0123456789abcdef" : "fedcba9876543210").repeat(4),
  publicKey: await publicKeyFor(who),
  ...more,
});

/** What an owner has after a training. */
export interface Owned {
  who: Who;
  binding: Binding;
  derived: DerivedClaim;
  released: SafetensorsFile;
  credential: SafetensorsFile;
}

/** Trains a network of an owner, from whatever it starts as. */
export async function train(
  who: Who,
  {
    seed = 3,
    epochs = 10,
    start,
    ...more
  }: Partial<Binding> & { seed?: number; epochs?: number; start?: SafetensorsFile } = {},
): Promise<Owned> {
  const model = buildNetwork(MARKED, { seed });
  if (start) model.network.loadStateDict(start.tensors);
  const binding = await bindingFor(who, more);
  const derived = await bind(model, binding);
  const optimizer = new SGD(model.parameters(), { lr: 0.01, momentum: 0.9 });
  const trainer = new Trainer(model, optimizer, {
    batchSize: 12,
    seed: 5,
    signLoss: { alpha: 1 },
    ...(derived.spec.triggers && { triggers: boundTriggers(derived, { batchSize: 12 }) }),
  });
  for await (const _ of trainer.fit(tinySet(60, 1), { epochs }));
  const accuracy = await evaluate(model, tinySet(30, 2));
  const released = await model.deployed();
  const credential = await boundCredential(await model.credential(accuracy), binding);
  optimizer.dispose();
  model.dispose();
  return { who, binding, derived, released, credential };
}

let acmes: Promise<Owned> | null = null;

/** A trained network of ACME's; one for all test files of a process: nobody changes it. */
export const acme = (): Promise<Owned> => (acmes ??= train("acme"));

/** A time-stamping authority: its root, and stamps of any date. */
export async function authority(name = "stamps") {
  const [rootKey, key] = [await newKey(), await newKey()];
  const root = await certificate({ name: `${name} root`, key: rootKey, extensions: [isAuthority()] });
  const own = await certificate({
    name,
    key,
    issuer: { name: `${name} root`, key: rootKey },
    extensions: [timeStamping()],
  });
  const token = (iso: string, of: { over: Uint8Array; imprint?: Uint8Array }, accuracy = 1) =>
    stamp({
      ...of,
      certificate: own,
      issuer: `${name} root`,
      key,
      time: generalizedTime(`${iso.replace(/\D/g, "").slice(0, 14)}Z`),
      rest: [sequence(number(accuracy))],
    });
  return {
    root,
    /** Stamps a bundle at a date. @param accuracy seconds */
    stamp: async (bundle: Bundle, iso: string, accuracy = 1): Promise<Bundle> =>
      withTimestamp(bundle, await token(iso, { over: bundleSignature(bundle) }, accuracy)),
    /**
     * Answers a question over the network, whose imprint stands in front of its last three bytes.
     */
    answer: (query: Uint8Array, iso: string): Promise<Uint8Array> =>
      token(iso, { over: query, imprint: sequence(SHA256, octets(query.slice(-35, -3))) }),
  };
}

/** A commitment of an owner's, dated. */
export async function dated(owned: Owned, stamps: Awaited<ReturnType<typeof authority>>, iso: string): Promise<Bundle> {
  return stamps.stamp(await commit(owned.credential, owned.released, await signerFor(owned.who)), iso);
}

/** Random numbers for attacks. */
export const random = (seed: number) => new Generator(seed);
