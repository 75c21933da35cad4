/** Puts what a training run left among the pretrained networks. */
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { copyFile, mkdir, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { ArgumentError, LimitError } from "@pan/core";
import { decodeBundle, encodeBundle } from "@pan/core/signing";
import type { EpochRecord, History } from "@pan/core/train";
import type { TrainingReport } from "../../report/src/index";
import { json, saveText } from "../files";
import { Authority } from "./authority";
import { PRETRAINED } from "./load";
import { writeSums } from "./sums";

/** What a network that is given away may weigh. */
const MOST = 2 * 1024 * 1024;

/** What is copied, where the run left it. */
const FILES = ["deployed.safetensors", "owner.credential.safetensors", "data.json", "history.json", "epochs.csv"];

/** What the card says of the network's accuracy. */
function resultsOf({ public: open, private: secret }: EpochRecord, dataset: string): object {
  const metrics = { ...(open !== undefined && { accuracy: open }), ...(secret !== undefined && { private: secret }) };
  return { dataset, metrics };
}

/**
 * Copies a run's files, stamps its commitment by an authority that lives as long as this, writes
 * the model card and the digests of all. The owner's key and secret file stay where they are.
 *
 * @param run folder that `npm run cifar10` left
 * @param name of the network among the pretrained ones
 * @param stamped date of the time stamp
 * @param into folder of the pretrained ones
 * @throws ArgumentError where there is no such run; LimitError for more than 2 MB.
 */
export async function ship(run: string, name: string, stamped: string, into = PRETRAINED): Promise<string> {
  const deployed = join(run, "deployed.safetensors");
  const found = await stat(deployed).catch((cause: unknown) => {
    throw new ArgumentError(`--ship: the folder of a finished run expected, ${deployed} is not there`, { cause });
  });
  if (found.size > MOST)
    throw new LimitError(`${deployed}: at most ${MOST} bytes expected, found ${found.size}: train a narrower network`);
  const folder = join(into, name);
  await mkdir(folder, { recursive: true });
  for (const file of FILES) if (existsSync(join(run, file))) await copyFile(join(run, file), join(folder, file));
  const commitment = join(run, "commitment.sigstore.json");
  const bound = existsSync(commitment);
  if (bound) {
    const authority = await Authority.open();
    const bundle = await authority.stamp(decodeBundle(await readFile(commitment, "utf8")), stamped);
    await saveText(join(folder, basename(commitment)), encodeBundle(bundle));
    await writeFile(join(folder, "root.pem"), await authority.root());
    await authority.close();
  }
  await saveText(join(folder, "README.md"), `${await cardOf(folder, name, bound)}\n${await trainingOf(run)}`);
  await writeSums(folder);
  return folder;
}

/** The model card that `pan card` prints. */
async function cardOf(folder: string, name: string, bound: boolean): Promise<string> {
  const { epochs } = await read<History>(folder, "history.json");
  const { name: dataset } = await read<{ name: string }>(folder, "data.json");
  const temporary = await mkdtemp(join(tmpdir(), "pan-card-"));
  const results = join(temporary, "results.json");
  await saveText(results, json(resultsOf(epochs.at(-1)!, dataset)));
  const pan = ["--import", "tsx", join("src", "cli", "main.ts")];
  const commitment = bound ? ["--commitment", join(folder, "commitment.sigstore.json")] : [];
  const options = ["--results", results, "--name", name, "--license", "mit", ...commitment];
  const words = [...pan, "card", join(folder, "deployed.safetensors"), ...options];
  const card = execFileSync(process.execPath, words, { encoding: "utf8" });
  await rm(temporary, { recursive: true });
  return card;
}

const read = async <T>(folder: string, name: string) => JSON.parse(await readFile(join(folder, name), "utf8")) as T;

/** How the network was trained: the command, and what every epoch came to. */
async function trainingOf(run: string): Promise<string> {
  const { command, adapter, data } = await read<TrainingReport>(run, "report.json");
  const { epochs } = await read<History>(run, "history.json");
  const percent = (share: number | undefined) => (share === undefined ? "–" : `${(100 * share).toFixed(2)} %`);
  const rows = epochs.map((e) => {
    const hits = e.triggers?.public;
    const cells = [
      e.epoch,
      e.loss.toFixed(3),
      percent(e.public),
      percent(e.private),
      e.bits ? `${e.bitsMatched} of ${e.bits}` : "–",
    ];
    return `| ${[...cells, hits === undefined ? "–" : percent(hits), Math.round(e.seconds)].join(" | ")} |`;
  });
  return [
    "## Training\n",
    `${data.train.toLocaleString("en")} training images, ${data.test.toLocaleString("en")} test images, on ${adapter.name}:\n`,
    `\`\`\`sh\n${command}\n\`\`\`\n`,
    "| epoch | loss | public | private | bits | triggers | seconds |",
    "|---|---|---|---|---|---|---|",
    ...rows,
    "",
  ].join("\n");
}
