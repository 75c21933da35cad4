/**
 * Photographs of one's own, in folders: train a ResNet with passport-aware normalisation on them,
 * from the beginning or from weights that are there, give it away, and prove that it is yours.
 *
 *     npm run photos -- --data photos --preset cpu          (--help lists the options)
 *     npm run photos -- --data imagenet --cache photos.cache      (the papers' settings: a GPU and days)
 */
import { init } from "@pan/core";
import { dawn } from "@pan/core/node";
import { cosineLR, multiStepLR, SGD } from "@pan/core/optim";
import { runExperiment } from "./experiment";
import { runTask } from "./options";
import { loadPhotos, PIXELS, transformOf } from "./photos/data";
import { beginWith, makeNetwork } from "./photos/network";
import { HELP, readSettings, type Settings } from "./photos/settings";
import { say } from "./show";

async function main(s: Settings, command: string): Promise<void> {
  const device = await init({ gpu: await dawn() });
  say(`adapter    ${device.name} (${device.caps.adapter})`);
  const { train, test } = await loadPhotos(s);
  say(
    `data       ${train.length} photographs to train with, ${test.length} to test with, ${train.classes.length} classes`,
  );
  const model = makeNetwork(s, train.classes.length);
  if (s.from) {
    const { taken, of } = await beginWith(model, s.from);
    say(`weights    ${taken} of ${of} tensors from ${s.from}`);
  }
  const { epochs, milestones, lr, weightDecay, batchSize, width, size, signature, statement, seed } = s;
  const schedule = milestones.length
    ? multiStepLR({ milestones: [...milestones] })
    : cosineLR({ epochs, warmup: Math.min(1, epochs / 2) });
  await runExperiment({
    title: `${s.arch}, ${s.scheme}, photographs`,
    command,
    device,
    arch: s.arch,
    model,
    data: { name: "photographs", tests: { count: test.length, seed } },
    train,
    test,
    triggers: null,
    transform: transformOf(s),
    normalize: PIXELS,
    inputShape: [size, size, 3],
    optimizer: new SGD(model.parameters(), { lr, momentum: 0.9, weightDecay }),
    schedule,
    passports: s.scheme === "plain" ? "none" : statement ? "bound to a secret and a statement" : "random",
    shown: {
      ...{ width, size, signature, epochs, batchSize, lr, weightDecay, seed },
      milestones: milestones.join(", ") || "cosine",
      ...(s.accumulate > 1 && { accumulate: s.accumulate }),
      ...(s.labelSmoothing && { labelSmoothing: s.labelSmoothing }),
      ...(s.from && { from: s.from }),
      ...(s.boundTriggers && {
        boundTriggers: `${s.boundTriggers.groups} × ${s.boundTriggers.count}`,
        triggerBatch: s.triggerBatch,
      }),
      ...(s.triggerPhotos && { triggerPhotos: s.triggerPhotos }),
      ...(s.triggerPerturbation && { triggerPerturbation: s.triggerPerturbation }),
      ...(statement !== undefined && { statement }),
    },
    settings: s,
  });
}

await runTask("photos", { help: HELP, read: readSettings }, main);
