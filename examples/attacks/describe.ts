/** Puts together what the report shows of one network. */
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { type Device, type SafetensorsFile, toFloat32 } from "@pan/core";
import type { Target } from "@pan/core/attacks";
import { isPointSet, type SampleSet } from "@pan/core/data";
import { loadDeployed } from "@pan/core/models";
import { loadSafetensors } from "@pan/core/node";
import { examine, readCredential, rejoin, verify } from "@pan/core/ownership";
import { evaluate, type History } from "@pan/core/train";
import { type AttackedNetwork, type Distributions, verdictOf } from "../../report/src/index";
import type { Findings } from "./list";
import type { Trained } from "./target";

/** A trained plain network to compare with. */
export interface Plain {
  deployed: SafetensorsFile;
  history: History | null;
}

/** A trained plain network, where there is one in the folder. */
export async function loadPlain(folder: string): Promise<Plain | null> {
  const path = join(folder, "deployed.safetensors");
  if (!(await stat(path).catch(() => null))) return null;
  const history = await readFile(join(folder, "history.json"), "utf8").catch(() => null);
  return { deployed: await loadSafetensors(path), history: history === null ? null : (JSON.parse(history) as History) };
}

const median = (values: readonly number[]) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;

/** Seconds of an epoch, evaluation included, and of one pass over the test images. */
async function secondsOf(deployed: SafetensorsFile, history: History | null, { test, transform }: Target) {
  if (!history?.epochs.length) return undefined;
  const model = loadDeployed(deployed);
  try {
    // The first pass compiles.
    await evaluate(model, test, { transform });
    const started = performance.now();
    await evaluate(model, test, { transform });
    return {
      epoch: median(history.epochs.map((e) => e.seconds)),
      inference: (performance.now() - started) / 1000,
    };
  } finally {
    model.dispose();
  }
}

/** Weights, γ and β of the last passport layer, in the protected network and in the plain one. */
async function distributionsOf({ deployed, credential }: Trained, plain: Plain | null): Promise<Distributions> {
  const model = rejoin(deployed, credential);
  try {
    const {
      name: layer,
      place: { weight },
    } = model.passportSites().at(-1)!;
    const { gamma, beta } = (await model.readGammaBeta()).get(layer)!;
    const values = (file: SafetensorsFile, name: string) => [...toFloat32(file.tensors.get(name)!)];
    const own = { weights: values(deployed, weight), gamma: [...gamma], beta: [...beta] };
    if (!plain?.deployed.tensors.has(weight)) return { layer, own };
    const theirs = {
      weights: values(plain.deployed, weight),
      gamma: values(plain.deployed, `${layer}.weight`),
      beta: values(plain.deployed, `${layer}.bias`),
    };
    return { layer, own, plain: theirs };
  } finally {
    model.dispose();
  }
}

/** What a network is described with. */
interface Surroundings {
  target: Target;
  plain: Plain | null;
  device: Device;
  command: string;
  /** What it was trained on. */
  task: string;
  /** The test samples that the owner's accuracies were measured on. */
  claimed: SampleSet;
}

const ARCHITECTURES = { convnet: "AlexNet", resnet: "ResNet", pointnet: "PointNet" } as const;

/** Everything the report shows of a network. */
export async function describeNetwork(
  trained: Trained,
  findings: readonly Findings[],
  { target, plain, device, command, task, claimed }: Surroundings,
): Promise<AttackedNetwork> {
  const { deployed, credential, history, convergence, commitment } = trained;
  const { config, scheme } = readCredential(credential);
  const claim = await examine(deployed, credential, {
    test: claimed,
    ...(target.transform && { transform: target.transform }),
    ...(target.triggers && { triggers: target.triggers }),
  });
  // A checkpoint is not the file that was committed to: its claim is every epoch's, and unanchored.
  const isReleased = commitment !== null && trained.path === trained.folder;
  const verified = await verify(deployed, credential, isReleased ? { commitment, released: deployed } : {});
  const seconds = await secondsOf(deployed, history, target);
  const plainSeconds = plain && (await secondsOf(plain.deployed, plain.history, target));
  const accuracy = plain?.history?.epochs.at(-1)?.public;
  const parameters = [...deployed.tensors]
    .filter(([name]) => !/\.(running_mean|running_var|num_batches_tracked)$/.test(name))
    .reduce((n, [, t]) => n + t.data.length, 0);
  const arch = ARCHITECTURES[config?.arch ?? "convnet"];
  return {
    title: `${arch}, ${scheme.toUpperCase()}, ${task}`,
    command,
    adapter: { kind: device.caps.adapter, name: device.name },
    network: {
      arch,
      scheme: scheme as AttackedNetwork["network"]["scheme"],
      parameters,
      passportLayers: claim.layers.map((l) => l.name),
    },
    chance: 1 / (config?.classes ?? target.test.classes.length),
    testImages: target.test.length,
    ...(isPointSet(target.test) && { samples: "shapes" as const }),
    claim,
    verdict: verdictOf(verified),
    ...(seconds && { seconds }),
    ...(accuracy !== undefined && { plain: { accuracy, ...(plainSeconds && { seconds: plainSeconds }) } }),
    attacks: findings.flatMap((f) => f.records ?? []),
    forgeries: findings.flatMap((f) => f.forgeries ?? []),
    nulls: findings.flatMap((f) => f.nulls ?? []),
    ...(convergence && { convergence }),
    distributions: await distributionsOf(trained, plain),
  };
}
