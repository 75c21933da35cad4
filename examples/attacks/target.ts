import { createHash } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { ArgumentError, encodeSafetensors, FormatError, type SafetensorsFile } from "@pan/core";
import type { SampleSet } from "@pan/core/data";
import { buildPlain, type NetworkConfig } from "@pan/core/models";
import { loadSafetensors } from "@pan/core/node";
import { type Binding, boundCredential, openedTriggers, openGroup } from "@pan/core/ownership";
import { protectAs, type SecretPlan } from "@pan/core/passport";
import { decodeCheckpoint, type History } from "@pan/core/train";
import type { Convergence } from "../../report/src/index";
import { accuracies } from "../claim";
import { checkSums } from "../pretrained/sums";

/** A trained network to attack, and what its training left beside it. */
export interface Trained {
  /** Folder of the run. */
  folder: string;
  /** What is attacked: the folder, or a checkpoint in it. */
  path: string;
  /** Where results go. */
  out: string;
  deployed: SafetensorsFile;
  credential: SafetensorsFile;
  /** Text of the bundle; null where the network is not bound. */
  commitment: string | null;
  history: History | null;
  convergence: Convergence | null;
  /** SHA-256 of the deployed file: records of another network are made anew. */
  digest: string;
}

/** SHA-256 of a file as it is saved. */
export const digestOf = ({ tensors, metadata }: SafetensorsFile): string =>
  createHash("sha256").update(encodeSafetensors(tensors, metadata)).digest("hex");

const json = async <T>(path: string): Promise<T | null> => {
  const text = await readFile(path, "utf8").catch(() => null);
  return text === null ? null : (JSON.parse(text) as T);
};

/** Both halves out of a checkpoint, bound where the run was. */
async function fromCheckpoint(path: string): Promise<Pick<Trained, "deployed" | "credential" | "history">> {
  const { fingerprint, model: state, history } = await decodeCheckpoint(await readFile(path));
  const { network } = JSON.parse(fingerprint) as { network?: SecretPlan & { model?: string } };
  if (!network?.model) throw new FormatError(`${path}: a checkpoint of a network of this package expected`);
  const model = protectAs(buildPlain(JSON.parse(network.model) as NetworkConfig), network);
  try {
    model.loadStateDict(state);
    const binding = await json<Binding>(join(dirname(path), "binding.secret.json"));
    const credential = await model.credential(accuracies(history.epochs.at(-1) ?? {}));
    return {
      deployed: await model.deployed(),
      credential: binding ? await boundCredential(credential, binding) : credential,
      history,
    };
  } finally {
    model.dispose();
  }
}

async function fromFolder(folder: string): Promise<Pick<Trained, "deployed" | "credential" | "history">> {
  return {
    deployed: await loadSafetensors(join(folder, "deployed.safetensors")),
    credential: await loadSafetensors(join(folder, "owner.credential.safetensors")),
    history: await json<History>(join(folder, "history.json")),
  };
}

/**
 * What `npm run cifar10` left in a folder, or one of its checkpoints. Where the folder has digests
 * of its files, as pretrained networks have, they are checked, and results go elsewhere.
 * @throws ArgumentError when there is nothing there; FormatError for files that are none of it, or
 * others than their digests say.
 */
export async function loadTrained(path: string, out?: string): Promise<Trained> {
  const found = await stat(path).catch((cause: unknown) => {
    throw new ArgumentError(
      `--checkpoint: the folder of a trained network or a .checkpoint file expected, ${path} is not there`,
      {
        cause,
      },
    );
  });
  const folder = found.isDirectory() ? path : dirname(path);
  const sealed = await checkSums(folder);
  const parts = found.isDirectory() ? await fromFolder(path) : await fromCheckpoint(path);
  const beside = found.isDirectory() ? "attacks" : `attacks-${basename(path, ".checkpoint")}`;
  return {
    ...parts,
    folder,
    path,
    out: out ?? (sealed ? join("out", beside, basename(folder)) : join(folder, beside)),
    // A commitment names a network: that of the last epoch. Its claim is every epoch's.
    commitment: await readFile(join(folder, "commitment.sigstore.json"), "utf8").catch(() => null),
    convergence: await json<Convergence>(join(folder, "convergence.json")),
    digest: digestOf(parts.deployed),
  };
}

/** The architecture as `--arch` and the folders of runs name it. */
export function architectureOf(config: NetworkConfig | undefined): string {
  if (config?.arch === "pointnet") return "pointnet";
  if (config?.arch !== "resnet") return "alexnet";
  return config.blocks.every((count) => count === 1) ? "resnet9" : "resnet18";
}

/** The first group of the triggers that a credential's claim derives; null where it has none. */
export async function boundGroup(credential: SafetensorsFile): Promise<SampleSet | null> {
  try {
    return (await openedTriggers(await openGroup(credential, 0))).set;
  } catch (error) {
    // No claim, or one without triggers.
    if (error instanceof ArgumentError) return null;
    throw error;
  }
}
