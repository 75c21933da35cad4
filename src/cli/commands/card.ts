import { basename } from "node:path";
import { ArgumentError, FormatError } from "../../errors";
import { sha256Hex, sha512Hex } from "../../io/digest";
import { isObject } from "../../io/shown";
import type { WeightsFile } from "../../io/weights";
import { CLAIM_PREDICATE, type CommittedClaim } from "../../ownership/claim/commitment";
import { tensorsDigest } from "../../ownership/network-file";
import { fromBase64 } from "../../signing/base64";
import { type Bundle, decodeBundle, verifyBundle } from "../../signing/bundle";
import { decodeStatement, findSubject, IN_TOTO } from "../../signing/statement";
import type { Command } from "../command";
import { committedClaimOf } from "../commitment";
import { readJson, readText } from "../files";
import { line } from "../printable";
import { word } from "../shell";
import { isPrivate, readReleased } from "../weights";

export const card: Command = {
  name: "card",
  summary: "Prints a model card: results, digests, the public part of the claim",
  operands: [{ name: "RELEASED", about: "the file that is released" }],
  options: {
    commitment: { value: "FILE", about: "its commitment, to be published beside it" },
    results: { value: "FILE", about: '{ "dataset", "metrics": { "accuracy": 0.91 } }, or a list of these' },
    name: { value: "NAME", about: "of the model (the file's)" },
    license: { value: "ID", about: "as model hubs name it, such as apache-2.0" },
  },
  notes: ["For a hub: pan card network.safetensors --commitment commitment.json > README.md"],
  async run(given) {
    const path = given.operand("RELEASED");
    const weights = await readReleased(path);
    const { bytes } = weights;
    if (isPrivate(weights))
      throw new ArgumentError(
        `${path}: expected a file that may be given away, got one with private tensors: name the deployed network`,
      );
    const [commitment, results] = [given.text("commitment"), given.text("results")];
    const text = cardText({
      file: basename(path),
      name: given.text("name") ?? basename(path).replace(/\.[^.]*$/, ""),
      license: given.text("license"),
      weights,
      digests: {
        sha256: await sha256Hex(bytes),
        sha512: await sha512Hex(bytes),
        tensors: await tensorsDigest(weights),
      },
      results: results === undefined ? [] : resultsOf(await readJson(results), results),
      claim: commitment === undefined ? null : await claimOf(commitment, bytes),
    });
    return { code: 0, exact: true, json: { card: text }, text: () => text.trimEnd() };
  },
};

/** What was measured on one data set. */
interface Result {
  readonly dataset: string;
  readonly task: string;
  readonly metrics: Readonly<Record<string, number>>;
}

/** @throws FormatError naming what is no result. */
function resultsOf(value: unknown, path: string): Result[] {
  return (Array.isArray(value) ? value : [value]).map((one: unknown): Result => {
    const { dataset = "test", task = "image-classification", metrics } = isObject(one) ? one : {};
    const numbers = isObject(metrics) && Object.values(metrics).every((v) => typeof v === "number");
    if (typeof dataset !== "string" || typeof task !== "string" || !numbers)
      throw new FormatError(`${path}: expected { "dataset", "metrics": { name: number } }, got another document`);
    return { dataset, task, metrics: metrics as Record<string, number> };
  });
}

/** What a commitment says in public. */
interface PublicClaim {
  readonly said: CommittedClaim;
  readonly bundle: Bundle;
  /** The name of its file. */
  readonly file: string;
}

/** @throws FormatError for a commitment to another file, or one whose own key did not sign it. */
async function claimOf(path: string, released: Uint8Array): Promise<PublicClaim> {
  const bundle = decodeBundle(await readText(path));
  const statement = decodeStatement(bundle.envelope.payload, CLAIM_PREDICATE);
  const said = committedClaimOf(statement.predicate);
  await verifyBundle(bundle, fromBase64(said.publicKey, "the commitment's key"), IN_TOTO);
  await findSubject(statement, released);
  return { said, bundle, file: basename(path) };
}

interface Card {
  readonly file: string;
  readonly name: string;
  readonly license: string | undefined;
  readonly weights: WeightsFile;
  readonly digests: Readonly<Record<"sha256" | "sha512" | "tensors", string>>;
  readonly results: readonly Result[];
  readonly claim: PublicClaim | null;
}

// JSON's texts are YAML's too.
const yaml = (text: string): string => JSON.stringify(text);
/** Words in a line or a cell of Markdown, whatever they are: no marks of it, no HTML, no lines. */
const cell = (text: string): string => line(text.replace(/[\r\n]+/g, " ")).replace(/[\\`*_[\]<>&#|~]/g, "\\$&");
/** Words in Markdown's type of code, which knows no escapes. */
const code = (text: string): string => `\`${line(text).replace(/[`|]/g, "?")}\``;

function cardText(card: Card): string {
  const { name, results, claim } = card;
  return `${[
    frontMatter(card),
    `# ${cell(name)}`,
    ...(results.length ? [resultsTable(results)] : []),
    filesTable(card),
    ...(claim ? [claimText(card, claim)] : []),
  ].join("\n\n")}\n`;
}

function frontMatter({ name, license, results, weights, claim }: Card): string {
  const index = results.flatMap(({ dataset, task, metrics }) => [
    `      - task:\n          type: ${yaml(task)}`,
    `        dataset:\n          name: ${yaml(dataset)}\n          type: ${yaml(dataset)}`,
    `        metrics:\n${Object.entries(metrics)
      .map(([type, value]) => `          - type: ${yaml(type)}\n            value: ${value}`)
      .join("\n")}`,
  ]);
  return [
    "---",
    ...(license === undefined ? [] : [`license: ${yaml(license)}`]),
    'library_name: "@pan/core"',
    `tags:\n  - ${[weights.format, ...(claim ? ["passport", "ownership"] : [])].join("\n  - ")}`,
    ...(index.length ? [`model-index:\n  - name: ${yaml(name)}\n    results:\n${index.join("\n")}`] : []),
    "---",
  ].join("\n");
}

const resultsTable = (results: readonly Result[]): string =>
  [
    "## Results\n",
    "| data set | metric | value |\n|---|---|---|",
    ...results.flatMap(({ dataset, metrics }) =>
      Object.entries(metrics).map(([metric, value]) => `| ${cell(dataset)} | ${cell(metric)} | ${value} |`),
    ),
  ].join("\n");

function filesTable({ file, digests, weights }: Card): string {
  const numbers = [...weights.tensors.values()].reduce((n, { data }) => n + data.length, 0);
  return [
    `## Files\n\n${code(file)}: ${weights.tensors.size} tensors, ${numbers} numbers.\n`,
    "| digest | value |\n|---|---|",
    `| SHA-256 | \`${digests.sha256}\` |`,
    `| SHA-512 | \`${digests.sha512}\` |`,
    `| SHA-512 of the tensors, whatever file they are in | \`${digests.tensors}\` |`,
  ].join("\n");
}

function claimText({ file }: Card, { said, bundle, file: commitment }: PublicClaim): string {
  const { statement, bits, triggers, publicKey, claim, parent } = said;
  const stamps = bundle.timestamps.length;
  return [
    "## Ownership\n",
    `> ${cell(statement)}\n`,
    `This file was committed to by the key below, ${stamps ? `with ${stamps} time ${stamps === 1 ? "stamp" : "stamps"} of RFC 3161` : "without a time stamp so far"}. The claim has ${bits} bits${triggers ? ` and ${triggers.groups} ${triggers.groups === 1 ? "group" : "groups"} of ${triggers.count} triggers` : ""} that follow from a secret of its owner's.\n`,
    "| | |\n|---|---|",
    `| public key (SubjectPublicKeyInfo) | ${code(publicKey)} |`,
    `| digest of the claim | \`${claim}\` |`,
    ...(parent === null ? [] : [`| digest of the claim of the release before | \`${parent}\` |`]),
    "\nWith the owner's credential, opened for it, anybody holds a suspect against this claim:\n",
    `\`\`\`sh\nnpx @pan/core verify SUSPECT CREDENTIAL --commitment ${line(word(commitment))} --released ${line(word(file))} --root AUTHORITY.pem --published DATE\n\`\`\``,
  ].join("\n");
}
