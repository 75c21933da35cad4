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
import { PRETRAINED, pretrainedNames } from "./load";
import { writeSums } from "./sums";

/** What a network that is given away may weigh. */
const MOST = 2 * 1024 * 1024;

/** What is copied, where the run left it. */
const FILES = ["deployed.safetensors", "owner.credential.safetensors", "data.json", "history.json", "epochs.csv"];

/** What the card says of the network's accuracy. */
function resultsOf({ public: accuracy, private: secret, passport }: EpochRecord, dataset: string): object {
  const measured = Object.entries({ accuracy, private: secret, passport }).filter(([, share]) => share !== undefined);
  return { dataset, metrics: Object.fromEntries(measured) };
}

/**
 * Copies a run's files, stamps its commitment by an authority that lives as long as this, writes
 * the model card, the digests of all and the table in README.md. The owner's key and secret file
 * stay where they are.
 *
 * @param run folder that `npm run cifar10` left
 * @param name of the network among the pretrained ones
 * @param stamped date of the time stamp
 * @param into folder of the pretrained ones
 * @throws ArgumentError where there is no such run, or a network of the name; LimitError for more
 * than 2 MB.
 */
export async function ship(run: string, name: string, stamped: string, into = PRETRAINED): Promise<string> {
  const deployed = join(run, "deployed.safetensors");
  const found = await stat(deployed).catch((cause: unknown) => {
    throw new ArgumentError(`--ship: the folder of a finished run expected, ${deployed} is not there`, { cause });
  });
  if (found.size > MOST)
    throw new LimitError(`${deployed}: at most ${MOST} bytes expected, found ${found.size}: train a narrower network`);
  const folder = join(into, name);
  // Files of a network that was there would stay, and be taken for this one's.
  if (existsSync(folder))
    throw new ArgumentError(`--as: a name that is free expected, found "${name}": remove ${folder}, or name another`);
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
  const published = await publishedOf(run);
  await saveText(join(folder, "run.json"), json(published));
  const training = trainingOf(published, await read<History>(folder, "history.json"));
  await saveText(join(folder, "README.md"), `${await cardOf(folder, name, bound)}\n${training}`);
  await writeSums(folder);
  await updateTable(into);
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

/** What of a run's report is published with its network. */
type Published = Pick<
  TrainingReport,
  "command" | "adapter" | "seconds" | "network" | "data" | "settings" | "forged"
> & {
  mark: NonNullable<TrainingReport["verdict"]>["mark"];
};

async function publishedOf(run: string): Promise<Published> {
  const report = await read<TrainingReport>(run, "report.json");
  const { command, adapter, seconds, network, data, settings, forged, verdict } = report;
  return { command, adapter, seconds, network, data, settings, forged, mark: verdict?.mark ?? null };
}

const percent = (share: number | undefined) => (share === undefined ? "–" : `${(100 * share).toFixed(1)} %`);
const row = (cells: readonly (string | number)[]) => `| ${cells.join(" | ")} |`;

/** How the network was trained: the command, and what every epoch came to. */
function trainingOf({ command, adapter, data }: Published, { epochs }: History): string {
  const rows = epochs.map((e) =>
    row([
      ...[e.epoch, e.loss.toFixed(3), percent(e.public), percent(e.private ?? e.passport)],
      ...[e.bits ? `${e.bitsMatched} of ${e.bits}` : "–", percent(e.triggers?.public), Math.round(e.seconds)],
    ]),
  );
  return [
    "## Training\n",
    `${data.train.toLocaleString("en")} training images, ${data.test.toLocaleString("en")} test images, on ${adapter.name}:\n`,
    `\`\`\`sh\n${command}\n\`\`\`\n`,
    row(["epoch", "loss", "public", "private / passport", "bits", "triggers", "seconds"]),
    "|---|---|---|---|---|---|---|",
    ...rows,
    "",
  ].join("\n");
}

/** A table of all networks in a folder, each from its own files. */
export async function tableOf(within = PRETRAINED): Promise<string> {
  const rows = (await pretrainedNames(within)).map(async (name) => {
    const folder = join(within, name);
    const { network, settings, mark, forged, seconds } = await read<Published>(folder, "run.json");
    const { epochs } = await read<History>(folder, "history.json");
    const last = epochs.at(-1)!;
    const { bits, triggers } = mark ?? {};
    const most = forged.length ? Math.max(...forged.map((f) => f.accuracy)) : undefined;
    return row([
      `[${name}](${name}/README.md)`,
      `${network.arch}, ${network.scheme}, width ${settings["width"]}`,
      network.parameters.toLocaleString("en"),
      ...[percent(last.public), percent(last.private ?? last.passport), percent(most)],
      bits ? `${bits.hits} of ${bits.count} (${bits.needed})` : "–",
      triggers ? `${triggers.hits} of ${triggers.count} (${triggers.needed})` : "–",
      ...[epochs.length, (seconds / 3600).toFixed(1)],
    ]);
  });
  return [
    row([
      ...["folder", "network", "parameters", "public", "private / passport", "random passports"],
      ...["bits (needed)", "triggers (needed)", "epochs", "hours"],
    ]),
    `|${"---|".repeat(10)}`,
    ...(await Promise.all(rows)),
  ].join("\n");
}

const TABLE = /<!-- networks -->.*<!-- \/networks -->/s;

/** Puts the table of the networks into the folder's README.md, where there is one. */
async function updateTable(within: string): Promise<void> {
  const path = join(within, "README.md");
  const text = await readFile(path, "utf8").catch(() => null);
  if (text === null) return;
  await saveText(path, text.replace(TABLE, `<!-- networks -->\n${await tableOf(within)}\n<!-- /networks -->`));
}
