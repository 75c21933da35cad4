/**
 * The main job on real images, start to finish: train a small network with passport-aware
 * normalisation on a sample of CIFAR-10, give it away, and prove that it is yours.
 *
 *     npm run quickstart            (npm run quickstart -- --help lists the options)
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { type Device, init } from "@pan/core";
import { cifarTransform, type ImageSet, subset } from "@pan/core/data";
import { buildNetwork } from "@pan/core/models";
import { dawn, fileCheckpoints } from "@pan/core/node";
import type { DerivedClaim, Verification } from "@pan/core/ownership";
import type { Protected } from "@pan/core/passport";
import type { Trainer } from "@pan/core/train";
import { PRIVATE_NOTICE, type QuickstartReport, renderQuickstart, verdictOf } from "../report/src/index";
import {
  aboutFiles,
  accuracies,
  bindNetwork,
  claimReport,
  described,
  type Saved,
  saveClaim,
  verifyClaim,
} from "./claim";
import { RunClock } from "./clock";
import { json, savePrivate } from "./files";
import { runTask } from "./options";
import { pictures } from "./pictures";
import { TrainingBar } from "./progress";
import { trainerOf, triggersOf } from "./quickstart/recipe";
import { CONFIG, HELP, readSettings, type Settings, SIGNATURE, STATEMENT } from "./quickstart/settings";
import { type Forgery, forge, untilInterrupted } from "./run";
import { printVerdict, say } from "./show";
import { triggersFrom } from "./trigger-photos";

interface Data {
  train: ImageSet;
  test: ImageSet;
}

async function loadSample({ images, testImages }: Settings): Promise<Data> {
  const { train, test } = await pictures();
  return { train: subset(train, 0, images), test: subset(test, 0, testImages) };
}

/** Trains to the end, or to Ctrl-C. */
async function train(
  model: Protected,
  claim: DerivedClaim,
  { train, test }: Data,
  { s, clock }: { s: Settings; clock: RunClock },
): Promise<Trainer> {
  const bar = new TrainingBar(s.epochs, s.batchSize);
  const trainer = trainerOf(model, claim, s, {
    checkpoints: fileCheckpoints(join(s.out, "run.checkpoint")),
    onProgress: (progress) => bar.update(progress),
  });
  try {
    await untilInterrupted(trainer, async () => {
      // The bar shows the losses; accuracies are in the report.
      for await (const epoch of trainer.fit(train, { epochs: s.epochs, test, resume: s.resume })) clock.epoch(epoch);
    });
  } finally {
    bar.stop();
  }
  return trainer;
}

async function main(s: Settings): Promise<void> {
  const device: Device = await init({ gpu: await dawn() });
  say(`adapter    ${device.name} (${device.caps.adapter})`);
  const data = await loadSample(s);
  say(`data       ${data.train.length} training and ${data.test.length} test images of CIFAR-10`);
  await mkdir(s.out, { recursive: true });
  const clock = await RunClock.start(s.out, s);
  const model = buildNetwork(CONFIG, { seed: s.seed });
  const triggers = async () => {
    const drawn = triggersOf(data.train, s);
    return drawn && triggersFrom(s.triggerPhotos, drawn);
  };
  const { binding, claim: bound } = await bindNetwork(model, { ...s, statement: STATEMENT, triggers });
  const trainer = await train(model, bound, data, { s, clock });
  if (trainer.interrupted) {
    const again = [...process.argv.slice(2).filter((a) => a !== "--resume"), "--resume"].join(" ");
    say(
      `\nstopped; everything so far is in ${join(s.out, "run.checkpoint")}. Go on with:\n  npm run quickstart -- ${again}`,
    );
    process.exitCode = 130;
    return;
  }

  const last = trainer.history.epochs[trainer.history.epochs.length - 1]!;
  const saved = await saveClaim(model, accuracies(last), s.out, binding);
  const claim = { ...saved, credential: saved.credential! };
  model.dispose();
  aboutFiles(saved, s.out).forEach((line, i) => void say(`${i ? "          " : "saved     "} ${line}`));

  say("verifying  as a stranger would, from the files");
  const options = { test: data.test, transform: cifarTransform("test") };
  const verified = await verifyClaim(claim, s.dates, options);
  const forged = await forge(claim, options, s);
  printVerdict(verified, { dates: s.dates, triggers: null, forged });

  const report = await describe({ device, s, clock, trainer, verified, forged, saved });
  await savePrivate(join(s.out, "report.json"), json(report));
  await savePrivate(join(s.out, "report.html"), renderQuickstart(report));
  say(`report     ${join(s.out, "report.html")}  (${Math.round(report.seconds)} s in all)`);
}

interface Findings {
  device: Device;
  s: Settings;
  clock: RunClock;
  trainer: Trainer;
  verified: Verification;
  forged: readonly Forgery[];
  saved: Saved;
}

async function describe({ device, s, clock, trainer, verified, forged, saved }: Findings): Promise<QuickstartReport> {
  const { epochs, steps } = trainer.history;
  const v = verified.examination!;
  const { dates: _, triggerPhotos, ...settings } = s;
  const trainingSeconds = epochs.reduce((sum, e) => sum + e.seconds, 0);
  return {
    notice: PRIVATE_NOTICE,
    adapter: { kind: device.caps.adapter, name: device.name },
    seconds: clock.seconds(epochs),
    startedAt: clock.startedAt,
    train: {
      epochs: epochs.length,
      lossCurve: steps,
      accuracyCurve: epochs.map((e) => ({
        epoch: e.epoch,
        public: e.public ?? 0,
        private: e.private ?? 0,
        bits: e.bitsMatched,
      })),
      images: s.images,
      batchSize: s.batchSize,
      imagesPerSecond: (epochs.length * s.images) / trainingSeconds,
    },
    accuracy: {
      public: v.accuracy.public ?? 0,
      private: v.accuracy.private ?? 0,
      forged: forged.map((f) => f.accuracy),
      chance: 1 / CONFIG.classes,
    },
    signature: {
      text: SIGNATURE,
      decodedText: v.decodedText,
      bits: v.bits,
      matched: v.matched,
      pValue: v.pValue,
      forgedMatched: forged.map((f) => f.matched),
      layers: v.layers.map(({ name, bits, matched }) => ({ name, bits, matched })),
    },
    gamma: v.layers.map((l, i) => ({
      layer: l.name,
      owner: l.gamma,
      forged: forged[0]?.gamma[i] ?? [],
      bits: l.signs,
    })),
    verdict: verdictOf(verified, s.dates.published),
    files: [
      ...(await claimReport(saved, s.out)),
      await described(join(s.out, "run.checkpoint"), "Everything a further epoch needs.", { secret: true }),
    ],
    settings: {
      ...settings,
      ...(triggerPhotos && { triggerPhotos }),
      optimizer: "SGD, Nesterov",
      schedule: "cosine, one epoch of warm-up",
      network: JSON.stringify(CONFIG.layers),
    },
  };
}

await runTask("quickstart", { help: HELP, read: readSettings }, main);
