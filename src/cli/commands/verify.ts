import { ArgumentError } from "../../errors";
import type { Verification } from "../../ownership/verdict/verification";
import type { Command, Given, Outcome } from "../command";
import { openDevice, readSamples } from "../device";
import { readBytes, readCertificate, readText } from "../files";
import { line } from "../printable";
import type { Style, Terminal } from "../terminal";
import { readNetwork } from "../weights";
import { datedText, list, markText, pairs, relationText } from "../words";

/** Verdicts that a claim stands with. */
const HOLDS: readonly string[] = ["holds as released", "holds", "copy of the committed network"];

export const verify: Command = {
  name: "verify",
  summary: "Says what a claim of ownership is worth on a suspect network",
  operands: [
    {
      name: "SUSPECT",
      about:
        "weights of the suspect: safetensors, PyTorch, ONNX, TensorFlow.js' model.json, or the index of several files",
    },
    { name: "CREDENTIAL", about: "the claimant's credential, opened for this" },
  ],
  options: {
    commitment: { value: "FILE", about: "what the owner published before the release (a Sigstore bundle)" },
    released: { value: "FILE", about: "the file that was committed to and released, byte for byte" },
    base: { value: "FILE", about: "a network that was public before and that suspect and release may be made from" },
    root: { value: "FILE", many: true, about: "certificate of a time-stamping authority that you trust, PEM or DER" },
    published: { value: "DATE", about: "when the suspect was there at the latest, such as 2026-11-02" },
    nonce: { value: "HEX", about: "what you asked the claimant to sign, with --signature" },
    signature: { value: "FILE", about: "the claimant's answer to the nonce, as `pan prove` writes it" },
    suspects: { value: "N", about: "networks that were looked at before this one was accused (1)" },
    fpr: { value: "X", about: "false-positive rate of the verdict (1e-6)" },
    run: {
      about: "run the network: ask the claim's triggers, of networks of this package; needs `webgpu` and an adapter",
    },
    test: {
      value: "FILE",
      about:
        "test images, for accuracies, with --run: test_batch.bin of CIFAR-10 or test.bin of CIFAR-100, binary version",
    },
  },
  notes: [
    "Exit code 0: holds as released, holds, or copy of the committed network; 1: mark present, or refused.",
    "Bits, commitment, dates and relation follow from the files alone. Triggers have to run a network: --run does it on this machine, with `npm install webgpu` (`pan doctor` looks for an adapter); `pan challenge` and `pan answers` ask one that only answers.",
  ],
  run,
};

async function run(given: Given, terminal: Terminal): Promise<Outcome> {
  const [run, test] = [given.flag("run"), given.text("test")];
  if (test !== undefined && !run)
    throw new ArgumentError("expected --run beside --test, got --test alone: accuracies have to run the network");
  const [commitment, released, base] = [given.text("commitment"), given.text("released"), given.text("base")];
  const [suspects, rate, published] = [given.number("suspects"), given.number("fpr"), given.text("published")];
  terminal.step("reading files");
  const suspect = await readNetwork(given.operand("SUSPECT"));
  const credential = await readBytes(given.operand("CREDENTIAL"));
  const roots = await Promise.all(given.texts("root").map(readCertificate));
  const nonce = given.text("nonce")?.toLowerCase();
  const possession =
    nonce === undefined && given.text("signature") === undefined
      ? undefined
      : { nonce: nonce ?? given.needed("nonce"), signature: await readBytes(given.needed("signature")) };
  const options = {
    ...(commitment !== undefined && { commitment: await readText(commitment) }),
    ...(released !== undefined && { released: await readNetwork(released) }),
    ...(base !== undefined && { base: await readNetwork(base) }),
    ...(roots.length && { roots }),
    ...(published !== undefined && { published }),
    ...(possession && { possession }),
    ...(suspects !== undefined && { suspects }),
    ...(rate !== undefined && { falsePositiveRate: rate }),
  };
  const samples = test === undefined ? {} : await readSamples(test);
  const verdict = run ? await running(terminal) : (await import("../../ownership/verdict/verify-files")).verifyFiles;
  terminal.step(run ? "running the network" : "verifying");
  const found = await verdict(suspect, credential, { ...options, ...samples });
  const code = HOLDS.includes(found.verdict) ? 0 : 1;
  return {
    code,
    json: found,
    text: (style) => described(found, { published, inParts: suspect.bytes === null, run, style }),
  };
}

/** `verify` with a device to run networks on. */
async function running(terminal: Terminal) {
  await openDevice(terminal);
  return (await import("../../ownership/verdict/verify")).verify;
}

interface Told {
  readonly published: string | undefined;
  /** Whether the suspect is in several files. */
  readonly inParts: boolean;
  /** Whether networks could be run. */
  readonly run: boolean;
  readonly style: Style;
}

/** How triggers come to be asked. */
const TO_ASK =
  "the claim has some, and nothing was run. `pan verify … --run` asks a network of this package on this machine; `pan challenge` and `pan answers` ask one that only answers.";

/** Accuracies of the branches, where they were measured. */
const accuracies = ({ examination }: Verification): [string, string][] =>
  Object.entries(examination?.accuracy ?? {}).map(([branch, share]) => [
    `accuracy, ${branch} branch`,
    `${(100 * share).toFixed(2)} %`,
  ]);

/** A verdict, what it goes by, and what it leaves open. */
function described(found: Verification, { published, inParts, run, style }: Told): string {
  const { verdict, sentence, bound, statement, dated, mark, released, relation, version } = found;
  const colour = HOLDS.includes(verdict) ? style.good : verdict === "mark present" ? style.warn : style.bad;
  const evidence: [string, string][] = [
    ["claim", `${statement === "" ? "none" : JSON.stringify(statement)}, version ${version}`],
    ["suspect", `SHA-256 ${found.suspectSha256}${inParts ? ", of the one file that `pan convert` makes of it" : ""}`],
    ["mark in the suspect", markText(mark)],
    ...(released ? [["mark in the released file", markText(released)] as [string, string]] : []),
    ...(relation ? [["relation", relationText(relation)] as [string, string]] : []),
    ...accuracies(found),
  ];
  const timeline: [string, string][] = [
    ["committed", dated ? datedText(dated) : "no date that counts"],
    ["suspect published", published ?? "nobody says when (--published)"],
  ];
  const unasked = !run && [sentence, ...found.reasons].some((told) => told.includes("triggers were not asked"));
  return [
    `${colour(style.bold(verdict))}\n${line(sentence)}`,
    ...(bound === null
      ? []
      : [
          `A network that has nothing to do with the claim gets this verdict with a chance of ${bound.toExponential(1)} at most.`,
        ]),
    ...(unasked ? [`${style.warn("triggers not asked")}: ${TO_ASK}`] : []),
    `${style.bold("evidence")}\n${pairs(evidence)}`,
    `${style.bold("timeline")}\n${pairs(timeline)}`,
    ...list("left open", found.open, style),
    ...list("reasons", found.reasons, style),
  ].join("\n\n");
}
