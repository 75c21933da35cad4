import { basename } from "node:path";
import { PanError } from "../../errors";
import { commit as commitTo } from "../../ownership/claim/commitment";
import type { NetworkFile } from "../../ownership/network-file";
import type { Mark } from "../../ownership/verdict/mark";
import { verifyFiles } from "../../ownership/verdict/verify-files";
import { type Bundle, bundleSignature, encodeBundle, withTimestamp } from "../../signing/bundle";
import { signerOf } from "../../signing/keys";
import { timestampQuery } from "../../signing/timestamp-query";
import type { Command, Given, Outcome } from "../command";
import { expectFree, readBytes, write } from "../files";
import { readKey } from "../key";
import { word } from "../shell";
import { askAuthority, curlLine } from "../stamps";
import type { Terminal } from "../terminal";
import { readReleased } from "../weights";
import { markText, pairs } from "../words";

export const commit: Command = {
  name: "commit",
  summary: "Commits a credential to the file that shall be released, signed and dated",
  operands: [
    { name: "CREDENTIAL", about: "the owner's credential, with its claim" },
    {
      name: "RELEASED",
      about: "the file that shall be released, of any format that is read; commit to what you release",
    },
  ],
  options: {
    key: { value: "KEY.pem", about: "the private key whose public half the claim names" },
    out: { value: "FILE", about: "where the commitment goes (commitment.json)" },
    timestamp: { value: "URL", many: true, about: "authority of RFC 3161 that dates it; two are better than one" },
    force: { about: "write over files that are there" },
  },
  notes: [
    "Without an authority, or where none answers, the question to one is written beside the commitment (.tsq), and the line is printed that asks it; `pan stamp` adds the answer.",
    "Publish the commitment before the release, or with it. The credential and the key stay with you.",
  ],
  run,
};

/**
 * The claim's mark in what shall be released, as a verifier reads it; says where he would find
 * none.
 */
async function markOf(
  credential: NetworkFile,
  released: NetworkFile,
  commitment: Bundle,
  terminal: Terminal,
): Promise<Mark | null> {
  const found = await verifyFiles(released, credential, { commitment, released });
  const unread = found.released?.bits === null ? ` ${found.released.notes[0]}.` : "";
  if (found.verdict === "refused") terminal.warn(`a verifier would refuse this release. ${found.sentence}${unread}`);
  return found.released;
}

async function run(given: Given, terminal: Terminal): Promise<Outcome> {
  const out = given.text("out") ?? "commitment.json";
  const query = out.replace(/(\.json)?$/, ".tsq");
  const key = given.needed("key");
  // The question is written where no authority answers, which nobody knows before it was asked.
  for (const file of [out, query]) await expectFree(file, given.flag("force"));
  const signer = await signerOf(await readKey(key, terminal));
  terminal.step("working out what follows from the claim");
  const released = given.operand("RELEASED");
  const files = [await readBytes(given.operand("CREDENTIAL")), await readReleased(released)] as const;
  let bundle = await commitTo(...files, signer, { name: basename(released) });
  const mark = await markOf(...files, bundle, terminal);
  const question = await timestampQuery(bundleSignature(bundle));
  const stamped: string[] = [];
  for (const url of given.texts("timestamp")) {
    terminal.step(`asking ${url}`);
    try {
      bundle = await withTimestamp(bundle, await askAuthority(url, question));
      stamped.push(url);
    } catch (cause) {
      if (!(cause instanceof PanError)) throw cause;
      terminal.warn(`no time stamp of ${url}: ${cause.message}`);
    }
  }
  await write(out, encodeBundle(bundle));
  const undated = stamped.length === 0;
  if (undated) await write(query, question);
  const next = curlLine(query, given.texts("timestamp")[0]);
  const stamps = bundle.timestamps.length;
  return {
    code: 0,
    json: { commitment: out, mark, stamps, stampedBy: stamped, query: undated ? query : null },
    text: (style) =>
      [
        `${style.good("committed")}\n${pairs([
          ["commitment", `${out}, to be published`],
          ["mark", markText(mark)],
          [
            "time stamps",
            undated ? `none yet: the question to an authority is ${query}` : `${stamps}, of ${stamped.join(", ")}`,
          ],
        ])}`,
        ...(undated
          ? [
              `Ask an authority and add what it answers:\n  ${next}\n  pan stamp ${word(out)} ${word(query.replace(/tsq$/, "tsr"))} --out ${word(out)} --force`,
            ]
          : []),
      ].join("\n\n"),
  };
}
