/**
 * The papers' experiment: train on CIFAR-10 in any scheme, give the network away, prove that it is
 * yours.
 *
 *     npm run cifar10 -- --arch alexnet --scheme pan --data DIR          (--help lists the options)
 *     npm run cifar10 -- --preset cpu --scheme plain                     (without a GPU)
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { init } from "@pan/core";
import { FeatureWatermark } from "@pan/core/attacks";
import { CIFAR_MEAN, CIFAR_STD, cifarTransform } from "@pan/core/data";
import { Conv2d } from "@pan/core/nn";
import { dawn, saveSafetensors } from "@pan/core/node";
import { cosineLR, multiStepLR, oneCycleLR, type Schedule, SGD } from "@pan/core/optim";
import type { Protected } from "@pan/core/passport";
import type { TrainingReport } from "../report/src/index";
import { loadData } from "./cifar10/data";
import { makeNetwork, setPassports } from "./cifar10/network";
import { HELP, readSettings, type Settings } from "./cifar10/settings";
import { runExperiment } from "./experiment";
import { runTask } from "./options";
import { say } from "./show";

/**
 * A feature watermark in the last convolution, its secret beside the run; a resumed run has the
 * same, by its seed.
 */
async function makeWatermark(model: Protected, { featureWatermark: bits, seed, out }: Settings) {
  if (!bits) return null;
  const watermark = await FeatureWatermark.create({ model, layer: model.network.find(Conv2d).at(-1)![0], bits, seed });
  await mkdir(out, { recursive: true });
  await saveSafetensors(join(out, "watermark.secret.safetensors"), watermark.toFile());
  return watermark;
}

/** The papers' steps, × 0.1 at half and at three quarters of the epochs, a cosine, or one cycle. */
function scheduleOf({ schedule, epochs }: Settings): Schedule {
  if (schedule === "one-cycle") return oneCycleLR({ epochs });
  if (schedule === "cosine") return cosineLR({ epochs, warmup: Math.min(1, epochs / 2) });
  const half = Math.max(1, Math.floor(epochs / 2));
  return multiStepLR({ milestones: [half, Math.max(half + 1, Math.floor((3 * epochs) / 4))] });
}

async function main(s: Settings, command: string): Promise<void> {
  const device = await init({ gpu: await dawn() });
  say(`adapter    ${device.name} (${device.caps.adapter})`);
  const data = await loadData(s);
  const { train, test } = data;
  const triggers = s.triggers ? data.triggers : null;
  say(
    `data       ${train.length} training and ${test.length} test images${triggers ? `, ${triggers.length} triggers` : ""}`,
  );
  const model = makeNetwork(s);
  const passports = await setPassports(model, data, s);
  const { lr, momentum, weightDecay } = s;
  const watermark = await makeWatermark(model, s);
  await runExperiment({
    title: `${s.arch}, ${s.scheme}, CIFAR-10`,
    command,
    device,
    arch: s.arch,
    model,
    data: { name: "CIFAR-10", tests: { count: test.length } },
    train,
    test,
    triggers,
    transform: cifarTransform,
    normalize: { mean: CIFAR_MEAN, std: CIFAR_STD },
    optimizer: new SGD(model.parameters(), { lr, momentum, weightDecay }),
    schedule: scheduleOf(s),
    passports,
    shown: shownSettings(s, passports),
    settings: s,
    watermark,
  });
  watermark?.dispose();
}

function shownSettings(s: Settings, passports: string): TrainingReport["settings"] {
  const { width, signature, statement, triggers, epochs, batchSize, lr, schedule, momentum } = s;
  const { weightDecay, trunkUpdates, featureWatermark, seed } = s;
  return {
    ...{ width, signature, passports, epochs, batchSize, lr, schedule, momentum, weightDecay, trunkUpdates },
    ...(triggers && { triggers }),
    ...(s.accumulate > 1 && { accumulate: s.accumulate }),
    ...(s.labelSmoothing && { labelSmoothing: s.labelSmoothing }),
    ...((triggers || s.boundTriggers) && { triggerBatch: s.triggerBatch }),
    ...(s.boundTriggers && { boundTriggers: `${s.boundTriggers.groups} × ${s.boundTriggers.count}` }),
    ...(s.triggerPhotos && { triggerPhotos: s.triggerPhotos }),
    ...(s.triggerPerturbation && { triggerPerturbation: s.triggerPerturbation }),
    ...(featureWatermark && { featureWatermark }),
    ...(statement !== undefined && { statement }),
    norm: s.norm ?? "of the scheme",
    layers: JSON.stringify(s.layers ?? {}),
    mode: JSON.stringify(s.mode),
    seed,
  };
}

await runTask("cifar10", { help: HELP, read: readSettings }, main);
