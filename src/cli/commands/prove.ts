import { provePossession } from "../../ownership/claim/possession";
import { signerOf } from "../../signing/keys";
import type { Command } from "../command";
import { expectFree, write } from "../files";
import { readKey } from "../key";
import { readNetwork } from "../weights";

export const prove: Command = {
  name: "prove",
  summary: "Answers a verifier's nonce with the claim's key",
  operands: [{ name: "SUSPECT", about: "the network that the claim is held against" }],
  options: {
    nonce: { value: "HEX", about: "the verifier's, 32 to 128 hexadecimal digits" },
    key: { value: "KEY.pem", about: "the private key whose public half the claim names" },
    out: { value: "FILE", about: "where the answer goes" },
    force: { about: "write over a file that is there" },
  },
  notes: [
    "Whoever has seen an opened credential could claim with it, but has not its key. The verifier makes a nonce (`openssl rand -hex 32`) and gives the answer to `pan verify --nonce HEX --signature FILE`.",
  ],
  async run(given, terminal) {
    const [out, nonce] = [given.needed("out"), given.needed("nonce").toLowerCase()];
    await expectFree(out, given.flag("force"));
    const signer = await signerOf(await readKey(given.needed("key"), terminal));
    const { signature } = await provePossession(signer, nonce, await readNetwork(given.operand("SUSPECT")));
    await write(out, signature);
    return { code: 0, json: { signature: out, nonce }, text: (style) => `${style.good("answered")}: ${out}` };
  },
};
