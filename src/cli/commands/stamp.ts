import { bundleSignature, decodeBundle, encodeBundle, withTimestamp } from "../../signing/bundle";
import { verifyTimestamp } from "../../signing/timestamp";
import type { Command } from "../command";
import { expectFree, readBytes, readCertificate, readText, write } from "../files";

export const stamp: Command = {
  name: "stamp",
  summary: "Adds an authority's time stamp to a commitment",
  operands: [
    { name: "COMMITMENT", about: "as `pan commit` wrote it" },
    { name: "REPLY", about: "what the authority answered (.tsr)" },
  ],
  options: {
    out: { value: "FILE", about: "where the stamped commitment goes" },
    root: {
      value: "FILE",
      many: true,
      about: "certificate of the authority: the stamp is verified before it is added",
    },
    force: { about: "write over a file that is there, the commitment itself too" },
  },
  notes: ["Stamps that are there stay; verifiers go by the earliest that one of their roots vouches for."],
  async run(given) {
    const out = given.needed("out");
    await expectFree(out, given.flag("force"));
    const before = decodeBundle(await readText(given.operand("COMMITMENT")));
    const reply = await readBytes(given.operand("REPLY"));
    const bundle = await withTimestamp(before, reply);
    const roots = await Promise.all(given.texts("root").map(readCertificate));
    const added = bundle.timestamps.at(-1)!;
    const checked = roots.length ? await verifyTimestamp(added, bundleSignature(bundle), { roots }) : null;
    await write(out, encodeBundle(bundle));
    const stamps = bundle.timestamps.length;
    const date = checked ? `${checked.time.toISOString()}, ${checked.authority}` : null;
    return {
      code: 0,
      json: { commitment: out, stamps, verified: date },
      text: (style) =>
        `${style.good("stamped")}: ${out} has ${stamps} time ${stamps === 1 ? "stamp" : "stamps"}${
          date ? `; this one is of ${date}` : "; it was not verified: give the authority's certificate, --root"
        }`,
    };
  },
};
