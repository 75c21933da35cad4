/**
 * The main job on real images, start to finish: train a small network with passport-aware
 * normalisation on a sample of CIFAR-10, give it away, and prove that it is yours.
 *
 *     npm run quickstart            (npm run quickstart -- --help lists the options)
 */
import { createHash } from "node:crypto";
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { type Device, init } from "@pan/core";
import { cifarTransform, type ImageSet, parseCifar10, subset } from "@pan/core/data";
import { buildNetwork } from "@pan/core/models";
import { dawn, fileCheckpoints, loadSafetensors } from "@pan/core/node";
import { cosineLR, SGD } from "@pan/core/optim";
import { type Verification, verify } from "@pan/core/ownership";
import type { Protected } from "@pan/core/passport";
import { Trainer } from "@pan/core/train";
import {
  formatPercent,
  formatPValue,
  PRIVATE_NOTICE,
  type QuickstartReport,
  renderQuickstart,
} from "../report/src/index";
import { accuracies, bindNetwork, saveClaim, strictness } from "./claim";
import { json, savePrivate } from "./files";
import { runTask } from "./options";
import { TrainingBar } from "./progress";
import { CONFIG, HELP, readSettings, type Settings, SIGNATURE, STATEMENT } from "./quickstart/settings";
import { type Forgery, forge, range, untilInterrupted } from "./run";

const say = (line = "") => console.log(line);
const percent = (share: number | undefined) => formatPercent(share ?? 0, 1);

interface Data {
  train: ImageSet;
  test: ImageSet;
}

async function loadSample({ images, testImages }: Settings): Promise<Data> {
  const read = async (name: string) =>
    parseCifar10(await readFile(new URL(`./data/${name}`, import.meta.url)), { source: name });
  return {
    train: subset(await read("train_sample.bin"), 0, images),
    test: subset(await read("test_sample.bin"), 0, testImages),
  };
}

/** Trains to the end, or to Ctrl-C. */
async function train(model: Protected, { train, test }: Data, s: Settings): Promise<Trainer> {
  const optimizer = new SGD(model.parameters(), {
    lr: s.lr,
    momentum: s.momentum,
    weightDecay: s.weightDecay,
    nesterov: true,
  });
  const bar = new TrainingBar(s.epochs, s.batchSize);
  const trainer = new Trainer(model, optimizer, {
    batchSize: s.batchSize,
    seed: s.seed,
    transform: cifarTransform("train"),
    testTransform: cifarTransform("test"),
    schedule: cosineLR({ epochs: s.epochs, warmup: Math.min(1, s.epochs / 2) }),
    checkpoints: fileCheckpoints(join(s.out, "run.checkpoint")),
    onProgress: (progress) => bar.update(progress),
  });
  try {
    await untilInterrupted(trainer, async () => {
      for await (const _ of trainer.fit(train, { epochs: s.epochs, test, resume: s.resume })) {
        // The bar shows the losses; accuracies are in the report.
      }
    });
  } finally {
    bar.stop();
  }
  return trainer;
}

function printVerdict(v: Verification, forged: readonly Forgery[]): void {
  say(`  signature        "${v.decodedText}", ${v.matched} of ${v.bits} bits match, p = ${formatPValue(v.pValue)}`);
  say(`  accuracy         public ${percent(v.accuracy.public)}, private ${percent(v.accuracy.private)}`);
  const bits = range(
    forged.map((f) => f.matched),
    String,
  );
  say(
    `  ${String(forged.length).padEnd(2)} forgeries     private ${range(
      forged.map((f) => f.accuracy),
      percent,
    )}, ${bits} of ${v.bits} bits`,
  );
  if (v.bound)
    say(
      `  binding          "${v.bound.statement}": ${v.bound.matched} of the ${v.bound.bits} bits that follow from it`,
    );
  say(`  verdict          ${v.holds ? "the claim holds" : "the claim does not hold"}`);
}

async function main(s: Settings): Promise<void> {
  const startedAt = new Date();
  const device: Device = await init({ gpu: await dawn() });
  say(`adapter    ${device.name} (${device.caps.adapter})`);
  const data = await loadSample(s);
  say(`data       ${data.train.length} training and ${data.test.length} test images of CIFAR-10`);
  await mkdir(s.out, { recursive: true });
  const model = buildNetwork(CONFIG, { seed: s.seed });
  const binding = await bindNetwork(model, { ...s, statement: STATEMENT });
  const trainer = await train(model, data, s);
  if (trainer.interrupted) {
    const again = [...process.argv.slice(2).filter((a) => a !== "--resume"), "--resume"].join(" ");
    say(
      `\nstopped; everything so far is in ${join(s.out, "run.checkpoint")}. Go on with:\n  npm run quickstart -- ${again}`,
    );
    process.exitCode = 130;
    return;
  }

  const last = trainer.history.epochs[trainer.history.epochs.length - 1]!;
  const paths = await saveClaim(model, accuracies(last), s.out, binding);
  const { deployed } = paths;
  const credential = paths.credential!;
  model.dispose();
  say(`saved      ${deployed} (give this away), ${credential} (keep this secret),`);
  say(`           ${paths.commitment} (publish this before the release)`);

  say("verifying  as a stranger would, from the three files");
  const options = { test: data.test, transform: cifarTransform("test"), ...(await strictness(paths)) };
  const verified = await verify(await loadSafetensors(deployed), await loadSafetensors(credential), options);
  const forged = await forge({ deployed, credential }, options, s);
  printVerdict(verified, forged);

  const report = await describe({ device, s, startedAt, trainer, verified, forged, deployed, credential });
  await savePrivate(join(s.out, "report.json"), json(report));
  await savePrivate(join(s.out, "report.html"), renderQuickstart(report));
  say(`report     ${join(s.out, "report.html")}  (${Math.round(report.seconds)} s in all)`);
}

interface Findings {
  device: Device;
  s: Settings;
  startedAt: Date;
  trainer: Trainer;
  verified: Verification;
  forged: readonly Forgery[];
  deployed: string;
  credential: string;
}

async function describe({
  device,
  s,
  startedAt,
  trainer,
  verified: v,
  forged,
  ...paths
}: Findings): Promise<QuickstartReport> {
  const { epochs, steps } = trainer.history;
  const [deployed, credential] = await Promise.all([readFile(paths.deployed), readFile(paths.credential)]);
  const trainingSeconds = epochs.reduce((sum, e) => sum + e.seconds, 0);
  return {
    notice: PRIVATE_NOTICE,
    adapter: { kind: device.caps.adapter, name: device.name },
    seconds: (Date.now() - startedAt.getTime()) / 1000,
    startedAt: startedAt.toISOString(),
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
    verdict: { claimHolds: v.holds, reasons: v.reasons },
    files: {
      deployed: {
        path: paths.deployed,
        bytes: deployed.length,
        sha256: createHash("sha256").update(deployed).digest("hex"),
      },
      credential: { path: paths.credential, bytes: credential.length },
    },
    settings: {
      ...s,
      optimizer: "SGD, Nesterov",
      schedule: "cosine, one epoch of warm-up",
      network: JSON.stringify(CONFIG.layers),
    },
  };
}

await runTask("quickstart", { help: HELP, read: readSettings }, main);
