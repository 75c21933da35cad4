import { join } from "node:path";
import { ArgumentError } from "@pan/core";
import type { Passports } from "@pan/core/models";
import type { Scheme } from "@pan/core/passport";
import { boundTriggersOf, DATE_HELP, DATE_OPTIONS, TRIGGER_HELP, TRIGGER_OPTIONS } from "../claim";
import type { RunSettings } from "../experiment";
import { listOf, numberIn, oneOf, parseOptions } from "../options";
import { commonSettings } from "../run-settings";
import { PHOTO_HELP, PHOTO_OPTIONS, photosOf } from "../trigger-photos";

export const ARCHITECTURES = ["alexnet", "resnet18", "resnet9"] as const;
export type Architecture = (typeof ARCHITECTURES)[number];
const SCHEMES = ["plain", "v1", "v2", "v3", "pan"] as const;
const NORMS = ["bn", "sbn", "gn", "gn1", "in", "ln", "none"] as const;
const SCHEDULES = ["steps", "cosine", "one-cycle"] as const;
const KINDS = ["random", "image", "shuffle", "bound"] as const;
export type PassportKind = (typeof KINDS)[number];

export interface Settings extends RunSettings {
  arch: Architecture;
  scheme: Scheme;
  norm: (typeof NORMS)[number] | undefined;
  /** Channels as a share of the papers'. */
  width: number;
  /** Which layers have passports; undefined in a plain network. */
  layers: Passports | undefined;
  signature: string;
  passports: PassportKind;
  /** Where image passports come from: the test images or the trigger set. */
  passportImages: "test" | "triggers";
  /** Deployed file of a plain network, for image passports. */
  source: string;
  /** Train on the trigger set too. */
  triggers: boolean;
  triggerFile: string | undefined;
  /** Bits of a feature watermark in a plain network; 0 for none. */
  featureWatermark: number;
  lr: number;
  schedule: (typeof SCHEDULES)[number];
  momentum: number;
  weightDecay: number;
  /** Images taken from the front of the training and test files. */
  images: number;
  testImages: number;
  data: string;
  download: boolean;
}

export const HELP = `npm run cifar10 -- [options]        trains on CIFAR-10 and proves whose network it is

network
  --arch NAME          ${ARCHITECTURES.join(" | ")} (default alexnet)
  --scheme NAME        ${SCHEMES.join(" | ")} (default pan)
  --norm NAME          ${NORMS.join(" | ")} (default: gn for v2 and v3, bn else)
  --width SHARE        channels, as a share of the papers' (default 1)
  --passport-layers L  alexnet: numbers, such as 4,5,6; resnet: names, such as layer4; or all
                       (default: 4,5,6 or layer4 for v1, v2, v3; all for pan)
  --signature TEXT     spread over the passport layers (default "(c) ACME 2026", none with --statement)
passports
  --statement TEXT     what you say of the network: passports and signature bits then follow from it and a
                       fresh secret and key, and a signed commitment to publish is written beside the credential
  --passports KIND     random | image | shuffle (default without a statement: shuffle for v1, v2, v3; random for pan)
  --source FILE        image, shuffle: a trained plain network, its deployed.safetensors
                       (default: where a plain run with these settings leaves it)
  --passport-images S  test | triggers: which images make passports (default test)
${DATE_HELP}
training
  --epochs N           (default 200)        --batch N    (default 64)
  --accumulate N       parts that a step takes its batch in, for batches that do not fit (default 1)
  --lr X               (default 0.01)       --seed N     (default 1)
  --schedule NAME      steps (x 0.1 at half and at three quarters) | cosine | one-cycle (default steps)
  --mode NAME          joint | alternating (default joint)
  --trunk-updates N    1 | 2, as the authors' code (default 1)
  --triggers           train on the trigger set too (v3 always does)
  --trigger-file FILE  CIFAR-10 binary layout (default: the 100 images in examples/data)
  --trigger-batch N    triggers that join each batch (default 2; 4 of bound ones)
${TRIGGER_HELP}
${PHOTO_HELP}
  --feature-watermark N  bits of Uchida's watermark in the last convolution of a plain network (default 0: none);
                       --triggers with --scheme plain is the trigger set of Adi et al.
  --label-smoothing X  of the loss (default 0)
  --clip-norm X        most joint norm of a step's gradients (default 0: as they are)
  --recompute LIST     names of modules, with commas between, whose activations are computed again in the backward
                       pass, for batches that do not fit (of a ResNet: layer1,layer2,layer3)
  --activations TYPE   f32 | f16: what they wait in for the backward pass (default f32); f16 is half of the memory
  --early-stop N       end after N epochs without a better accuracy
  --forgeries N        random passports to try afterwards (default 10)
data and output
  --data DIR           CIFAR-10, binary version (default $PAN_DATA, or data)
  --download           fetch it from its official address into that folder first
  --images N           training images to use (default 50000)
  --tests N            test images to use (default 10000)
  --out DIR            (default out/cifar10/ARCH-SCHEME)
  --resume             go on where an interrupted run stopped
  --preset cpu         a network of a quarter of the channels on 5000 images, 6 epochs, passports in the last
                       layers in every scheme, 10 triggers a batch, 64 bound ones in one group: for machines without a GPU; options given
                       beside it count more`;

const CPU = {
  width: "0.25",
  images: "5000",
  tests: "1000",
  epochs: "6",
  batch: "50",
  lr: "0.05",
  schedule: "cosine",
  "trigger-batch": "10",
  "bound-triggers": "64",
  "trigger-groups": "1",
} as const;

const OPTIONS = {
  arch: "alexnet",
  scheme: "pan",
  norm: "",
  width: "1",
  "passport-layers": "",
  signature: "",
  statement: "",
  passports: "",
  source: "",
  "passport-images": "test",
  epochs: "200",
  batch: "64",
  accumulate: "1",
  lr: "0.01",
  seed: "1",
  schedule: "steps",
  mode: "joint",
  "trunk-updates": "1",
  "trigger-file": "",
  "trigger-batch": "",
  "feature-watermark": "0",
  "label-smoothing": "0",
  "clip-norm": "0",
  recompute: "",
  activations: "f32",
  "early-stop": "0",
  forgeries: "10",
  data: "",
  images: "50000",
  tests: "10000",
  out: "",
  preset: "",
  ...TRIGGER_OPTIONS,
  ...PHOTO_OPTIONS,
  ...DATE_OPTIONS,
} as const;
const SWITCHES = ["triggers", "download", "resume", "help"] as const;

/** @throws ArgumentError for an option that is not there or a value out of range. */
export function readSettings(args: string[]): Settings | "help" {
  const v = parseOptions(args, { texts: OPTIONS, switches: SWITCHES, presets: { cpu: CPU }, help: HELP });
  if (v.help) return "help";
  const arch = oneOf("arch", v.arch, ARCHITECTURES);
  const scheme = oneOf("scheme", v.scheme, SCHEMES);
  const featureWatermark = numberIn("feature-watermark", v["feature-watermark"], 0, 4096);
  if (featureWatermark && scheme !== "plain")
    throw new ArgumentError(`--feature-watermark marks plain networks: --scheme plain expected, found ${scheme}`);
  const bound = boundTriggersOf(v, v);
  const outside = process.env["PAN_DATA"];
  const root = join("out", "cifar10", v.preset ? "cpu" : "full");
  return {
    ...commonSettings(v),
    arch,
    scheme,
    norm: v.norm === "" ? undefined : oneOf("norm", v.norm, NORMS),
    width: numberIn("width", v.width, 0.02, 8, false),
    layers: scheme === "plain" ? undefined : passportLayers(arch, scheme, v["passport-layers"], v.preset),
    signature: v.signature || (v.statement ? "" : "(c) ACME 2026"),
    passports: passportKind(scheme, v.passports, v.statement),
    passportImages: oneOf("passport-images", v["passport-images"], ["test", "triggers"]),
    source: v.source || join(root, `${arch}-plain`, "deployed.safetensors"),
    triggers: v.triggers || (scheme === "v3" && !bound),
    boundTriggers: bound,
    triggerPhotos: photosOf(v, bound !== null),
    triggerFile: v["trigger-file"] || undefined,
    triggerBatch: numberIn("trigger-batch", v["trigger-batch"] || (bound ? "4" : "2"), 1, 10_000),
    featureWatermark,
    batchSize: numberIn("batch", v.batch, 1, 50_000),
    accumulate: numberIn("accumulate", v.accumulate, 1, 50_000),
    lr: numberIn("lr", v.lr, 0, 100, false),
    schedule: oneOf("schedule", v.schedule, SCHEDULES),
    momentum: 0.9,
    weightDecay: 5e-4,
    mode: oneOf("mode", v.mode, ["joint", "alternating"]) === "joint" ? "joint" : { alternating: 0.5 },
    trunkUpdates: numberIn("trunk-updates", v["trunk-updates"], 1, 2) as 1 | 2,
    images: numberIn("images", v.images, 1, 50_000),
    testImages: numberIn("tests", v.tests, 20, 10_000),
    data: v.data || outside || "data",
    download: v.download,
    out:
      v.out ||
      join(
        root,
        `${arch}-${scheme}${featureWatermark ? "-feature" : scheme === "plain" && v.triggers ? "-triggers" : ""}`,
      ),
  };
}

/** Bound passports come with a statement, and with nothing else. */
function passportKind(scheme: Scheme, given: string, statement: string): PassportKind {
  const kind = oneOf("passports", given || (statement ? "bound" : scheme === "pan" ? "random" : "shuffle"), KINDS);
  if ((kind === "bound") === (statement !== "")) return kind;
  throw new ArgumentError(
    statement
      ? `--passports ${kind}: with a statement, passports come from the secret: leave --passports out`
      : "--passports bound: a --statement expected, what you say of the network",
  );
}

function passportLayers(arch: Architecture, scheme: Scheme, text: string, preset: string): Passports {
  const last = arch === "alexnet" ? "4,5,6" : "layer4";
  const chosen = text || (scheme === "pan" && !preset ? "all" : last);
  const all = arch === "alexnet" ? ["0", "2", "4", "5", "6"] : ["convbnrelu_1", "layer1", "layer2", "layer3", "layer4"];
  const names = chosen === "all" ? all : listOf(chosen);
  return Object.fromEntries(names.map((n) => [n, true]));
}
