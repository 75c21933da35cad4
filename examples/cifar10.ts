/**
 * The papers' experiment: train on CIFAR-10 in any scheme, give the network away, prove that it is yours.
 *
 *     npm run cifar10 -- --arch alexnet --scheme pan --data DIR          (--help lists the options)
 *     npm run cifar10 -- --preset cpu --scheme plain                     (about 15 minutes without a GPU)
 */
import { mkdir, stat } from "node:fs/promises";
import { join } from "node:path";
import {
  bestEpoch,
  cifarTransform,
  cosineLR,
  epochsCsv,
  FeatureWatermark,
  init,
  multiStepLR,
  type Network,
  PanError,
  SGD,
  stepsCsv,
  Trainer,
  type Verification,
  verify,
} from "../src/index";
import { dawn, fileCheckpoints, loadSafetensors, saveSafetensors, writeFileAtomic } from "../src/node/index";
import { formatPValue } from "../src/report/format";
import { renderTraining, type TrainingReport } from "../src/report/training";
import { type Data, loadData } from "./cifar10/data";
import { makeNetwork, setPassports } from "./cifar10/network";
import { ScaleLog } from "./cifar10/scales";
import { HELP, readSettings, type Settings } from "./cifar10/settings";
import { describeEpoch, printVerdict, say } from "./cifar10/show";
import { accuracies, bindNetwork, type ClaimPaths, saveClaim, strictness } from "./claim";
import { TrainingBar } from "./progress";
import { forge, untilInterrupted } from "./run";

/** Trains to the end, or to Ctrl-C. */
async function train(
  model: Network,
  { train, test, triggers }: Data,
  s: Settings,
  watermark: FeatureWatermark | null,
): Promise<Trainer> {
  const { lr, momentum, weightDecay, epochs } = s;
  const bar = new TrainingBar(epochs, s.batchSize);
  const scales = new ScaleLog(model, s.out);
  await scales.start(s);
  const half = Math.max(1, Math.floor(epochs / 2));
  const milestones = [half, Math.max(half + 1, Math.floor((3 * epochs) / 4))];
  const trainer = new Trainer(model, new SGD(model.parameters(), { lr, momentum, weightDecay }), {
    mode: s.mode,
    trunkUpdates: s.trunkUpdates,
    batchSize: s.batchSize,
    seed: s.seed,
    transform: cifarTransform("train"),
    testTransform: cifarTransform("test"),
    schedule:
      s.schedule === "cosine" ? cosineLR({ epochs, warmup: Math.min(1, epochs / 2) }) : multiStepLR({ milestones }),
    ...(s.triggers && triggers && { triggers: { set: triggers, batchSize: s.triggerBatch } }),
    ...(watermark && { regularizer: (network) => watermark.loss(network) }),
    ...(s.earlyStop && { earlyStop: { patience: s.earlyStop } }),
    checkpoints: fileCheckpoints(join(s.out, "last.checkpoint")),
    best: fileCheckpoints(join(s.out, "best.checkpoint")),
    onProgress: (progress) => bar.update(progress),
    onEpoch: (record) => scales.epoch(record),
  });
  try {
    await untilInterrupted(trainer, async () => {
      for await (const epoch of trainer.fit(train, { epochs, test, resume: s.resume })) {
        bar.line(describeEpoch(epoch));
        await saveHistory(trainer, s);
      }
    });
  } finally {
    bar.stop();
  }
  return trainer;
}

/** A feature watermark in the last convolution, its secret beside the run; a resumed run has the same, by its seed. */
async function makeWatermark(model: Network, { featureWatermark: bits, seed, out }: Settings) {
  if (!bits) return null;
  const watermark = await FeatureWatermark.create({ model, layer: model.layers.at(-1)!.name, bits, seed });
  await saveSafetensors(join(out, "watermark.secret.safetensors"), watermark.toFile());
  return watermark;
}

const text = (t: string) => new TextEncoder().encode(t);

async function saveHistory({ history }: Trainer, { out }: Settings): Promise<void> {
  await writeFileAtomic(join(out, "history.json"), text(JSON.stringify(history, null, 1)));
  await writeFileAtomic(join(out, "epochs.csv"), text(epochsCsv(history)));
  await writeFileAtomic(join(out, "steps.csv"), text(stepsCsv(history)));
}

async function main(s: Settings, command: string): Promise<void> {
  const startedAt = new Date();
  const device = await init({ gpu: await dawn() });
  say(`adapter    ${device.name} (${device.caps.adapter})`);
  const data = await loadData(s);
  const { train: images, test, triggers } = data;
  say(
    `data       ${images.length} training and ${test.length} test images${s.triggers ? `, ${triggers!.length} triggers` : ""}`,
  );
  await mkdir(s.out, { recursive: true });
  const model = makeNetwork(s);
  const passports = await setPassports(model, data, s);
  const { statement } = s;
  const binding = statement === undefined ? null : await bindNetwork(model, { ...s, statement });
  const parameters = model.parameters().reduce((n, p) => n + p.size, 0);
  const passportLayers = model.passportLayers().map((l) => l.name);
  say(`network    ${s.arch}, ${s.scheme}, ${parameters.toLocaleString("en")} parameters; passports: ${passports}`);
  const watermark = await makeWatermark(model, s);
  const trainer = await train(model, data, s, watermark);
  if (trainer.interrupted) {
    say(
      `\nstopped; everything so far is in ${join(s.out, "last.checkpoint")}. Go on with:\n  ${command.replace(/ --resume\b/, "")} --resume`,
    );
    process.exitCode = 130;
    return;
  }
  const last = trainer.history.epochs[trainer.history.epochs.length - 1]!;
  const paths = await saveClaim(model, accuracies(last), s.out, binding);
  say(
    `saved      ${paths.deployed} (give this away)${paths.credential ? ` and ${paths.credential} (keep this secret)` : ""}`,
  );
  if (watermark) {
    const { matched, bits, pValue } = await watermark.read(model);
    say(`  feature watermark  ${matched} of ${bits} bits, p = ${formatPValue(pValue)}`);
    watermark.dispose();
  }
  model.dispose();
  const verified = paths.credential
    ? await verify(await loadSafetensors(paths.deployed), await loadSafetensors(paths.credential), {
        test,
        transform: cifarTransform("test"),
        ...(s.triggers && triggers && { triggers }),
        ...(await strictness(paths)),
      })
    : null;
  const { deployed, credential } = paths;
  const forged = credential ? await forge({ deployed, credential }, test, s) : [];
  printVerdict(verified, forged);
  const best = bestEpoch(trainer.history);
  const report: TrainingReport = {
    title: `${s.arch}, ${s.scheme}, CIFAR-10`,
    command,
    adapter: { kind: device.caps.adapter, name: device.name },
    startedAt: startedAt.toISOString(),
    seconds: (Date.now() - startedAt.getTime()) / 1000,
    network: { arch: s.arch, scheme: s.scheme, parameters, passportLayers },
    data: { train: images.length, test: test.length, triggers: s.triggers ? triggers!.length : 0 },
    settings: shownSettings(s, passports),
    ...trainer.history,
    best: best ? { epoch: best.epoch, accuracy: accuracies(best) } : null,
    chance: 1 / model.config.classes,
    signature: verified && signatureOf(verified),
    triggers: verified?.triggers ?? null,
    forged: forged.map(({ accuracy, matched }) => ({ accuracy, matched })),
    verdict: verified && { claimHolds: verified.holds, reasons: verified.reasons },
    files: await describeFiles(paths, s),
  };
  await writeFileAtomic(join(s.out, "report.json"), text(JSON.stringify(report, null, 1)));
  await writeFileAtomic(join(s.out, "report.html"), text(renderTraining(report)));
  say(`report     ${join(s.out, "report.html")}  (${Math.round(report.seconds)} s in all)`);
}

function signatureOf(v: Verification): NonNullable<TrainingReport["signature"]> {
  const { claimedText, decodedText, bits, matched, pValue, threshold } = v;
  const layers = v.layers.map((l) => ({ name: l.name, bits: l.bits, matched: l.matched }));
  return { text: claimedText, decodedText, bits, matched, pValue, threshold, layers };
}

function shownSettings(s: Settings, passports: string): TrainingReport["settings"] {
  const {
    width,
    signature,
    statement,
    triggers,
    epochs,
    batchSize,
    lr,
    schedule,
    momentum,
    weightDecay,
    trunkUpdates,
    seed,
  } = s;
  return {
    ...{ width, signature, passports, triggers, epochs, batchSize, lr, schedule, momentum, weightDecay, trunkUpdates },
    ...(triggers && { triggerBatch: s.triggerBatch }),
    ...(statement !== undefined && { statement }),
    norm: s.norm ?? "of the scheme",
    layers: JSON.stringify(s.layers ?? {}),
    mode: JSON.stringify(s.mode),
    seed,
  };
}

async function describeFiles(
  { deployed, credential, commitment }: ClaimPaths,
  { out }: Settings,
): Promise<TrainingReport["files"]> {
  const known: [string | null, string][] = [
    [deployed, "To hand out: the network as a plain one, no passport, no signature."],
    [credential, "Keep secret: passports, signature and all that makes the branch they open."],
    [commitment, "To publish before the release, where its date can be shown: says nothing of the secret."],
    [join(out, "last.checkpoint"), "Everything a further epoch needs; secret too."],
    [join(out, "best.checkpoint"), "The same after the best epoch; secret too."],
    [join(out, "epochs.csv"), "Accuracies and bits by epoch."],
    [join(out, "steps.csv"), "Losses by step."],
  ];
  const present = known.flatMap(([path, about]) => (path ? [{ path, about }] : []));
  return Promise.all(present.map(async ({ path, about }) => ({ path, about, bytes: (await stat(path)).size })));
}

try {
  const args = process.argv.slice(2);
  const settings = readSettings(args);
  if (settings === "help") say(HELP);
  else
    await main(
      settings,
      ["npm run cifar10 --", ...args.map((a) => (/^[\w./=,-]+$/.test(a) ? a : JSON.stringify(a)))].join(" "),
    );
} catch (error) {
  if (!(error instanceof PanError)) throw error;
  console.error(`${error.name}: ${error.message}`);
  process.exitCode = 1;
}
