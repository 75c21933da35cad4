import { oneOf } from "../../demand";
import { newSigningKey } from "../../signing/keys";
import type { Command } from "../command";
import { expectFree, write } from "../files";

const ALGORITHMS = { "ecdsa-p256": "ECDSA-P256", ed25519: "Ed25519" } as const;

export const keygen: Command = {
  name: "keygen",
  summary: "Makes a signing key, and prints its public half",
  operands: [{ name: "KEY", about: "file that the private key is written to, its owner's alone (0600)" }],
  options: { algorithm: { value: "NAME", about: "ecdsa-p256 (default) or ed25519" } },
  notes: [
    "The public key goes into the claim, before training: bind(…, { publicKey }). Who loses the private one cannot commit, nor answer a verifier; a key that is there is never written over.",
  ],
  async run(given) {
    const path = given.operand("KEY");
    const names = Object.keys(ALGORITHMS) as (keyof typeof ALGORITHMS)[];
    const name = oneOf("keygen", "--algorithm", given.text("algorithm") ?? "ecdsa-p256", names);
    await expectFree(path, false);
    const { privateKey, publicKey } = await newSigningKey({ algorithm: ALGORITHMS[name] });
    await write(path, privateKey, { secret: true });
    return { code: 0, json: { key: path, algorithm: ALGORITHMS[name], publicKey }, text: () => publicKey.trimEnd() };
  },
};
