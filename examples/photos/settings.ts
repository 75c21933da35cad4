import { basename, join, resolve } from "node:path";
import { ArgumentError } from "@pan/core";
import type { Scheme } from "@pan/core/passport";
import { boundTriggersOf, DATE_HELP, DATE_OPTIONS, TRIGGER_HELP, TRIGGER_OPTIONS } from "../claim";
import type { RunSettings } from "../experiment";
import { listOf, numberIn, oneOf, parseOptions } from "../options";
import { commonSettings } from "../run-settings";
import { PHOTO_HELP, PHOTO_OPTIONS, photosOf } from "../trigger-photos";

const SCHEMES = ["plain", "v1", "v2", "pan"] as const;
const BLOCKS = { resnet18: [2, 2, 2, 2], resnet9: [1, 1, 1, 1] } as const;

export interface Settings extends RunSettings {
  arch: keyof typeof BLOCKS;
  scheme: Exclude<Scheme, "v3">;
  /** Channels as a share of the papers'. */
  width: number;
  signature: string;
  /** Deployed file of a network of this architecture whose weights are the first ones. */
  from: string | undefined;
  /** Side of the pictures that the network is given, and of those that are kept. */
  size: number;
  loaded: number;
  /** Share of the pictures that are for testing, where the folder has no part for it. */
  tests: number;
  lr: number;
  weightDecay: number;
  /** Epochs after which the rate is multiplied by 0.1; none for a cosine. */
  milestones: readonly number[];
  folder: string;
  /** A file that keeps the decoded pictures on disk, for more than memory holds. */
  cache: string | undefined;
}

export const HELP = `npm run photos -- --data DIR [options]     trains on photographs in folders, one for each class, and proves
                                           whose network it is

network
  --arch NAME          resnet18 | resnet9 (default resnet18)
  --scheme NAME        ${SCHEMES.join(" | ")} (default pan); passports in the last stage
  --width SHARE        channels, as a share of the papers' (default 1)
  --from FILE          begin with the weights of a network of this architecture and width, its deployed.safetensors;
                       what has another shape, as the last layer, begins anew
  --signature TEXT     spread over the passport layers (default "(c) ACME 2026", none with --statement)
  --statement TEXT     what you say of the network: passports and signature bits then follow from it and a
                       fresh secret and key, and a signed commitment to publish is written beside the credential
${TRIGGER_HELP}
${PHOTO_HELP}
  --trigger-batch N    triggers that join each batch (default 4)
${DATE_HELP}
training
  --epochs N           (default 100)        --batch N         (default 256)
  --accumulate N       parts that a step takes its batch in, for batches that do not fit (default 1)
  --lr X               SGD, momentum 0.9 (default 0.1)        --weight-decay X  (default 0.0001)
  --milestones LIST    epochs after which the rate is multiplied by 0.1, or cosine (default 30,60,90)
  --seed N             (default 1)
  --label-smoothing X  of the loss (default 0)
  --clip-norm X        most joint norm of a step's gradients (default 0: as they are)
  --recompute LIST     names of modules, with commas between, whose activations are computed again in the backward
                       pass, for batches that do not fit (such as layer1,layer2,layer3)
  --activations TYPE   f32 | f16: what they wait in for the backward pass (default f32); f16 is half of the memory
  --early-stop N       end after N epochs without a better accuracy
  --forgeries N        random passports to try afterwards (default 10)
data and output
  --data DIR           a folder for each class, or train/ and val/, valid/, validation/ or test/ with those in them
  --size N             side of the pictures that the network is given (default 224): training takes random windows,
                       tests the middle
  --load N             side of the pictures that are kept, of which those are cut (default 8/7 of --size)
  --tests SHARE        of the pictures, for testing, where the folder has no part for it (default 0.2)
  --cache FILE         keeps the decoded pictures in this file and reads them from there: more than memory holds
  --out DIR            (default out/photos/FOLDER/ARCH-SCHEME)
  --resume             go on where an interrupted run stopped
  --preset cpu         an eighth of the channels, pictures of 96 × 96, 15 epochs, batch 20, rate 0.05 by a cosine,
                       10 triggers a batch, 64 bound ones in one group: for machines without a GPU; options given beside
                       it count more

The defaults are the papers' for ImageNet and Caltech-256: 224 × 224, batch 256, rate 0.1, × 0.1 at 30, 60 and 90.`;

const CPU = {
  width: "0.125",
  size: "96",
  epochs: "15",
  batch: "20",
  lr: "0.05",
  milestones: "cosine",
  "bound-triggers": "64",
  "trigger-groups": "1",
  "trigger-batch": "10",
} as const;

const OPTIONS = {
  arch: "resnet18",
  scheme: "pan",
  width: "1",
  from: "",
  signature: "",
  statement: "",
  "trigger-batch": "4",
  epochs: "100",
  batch: "256",
  accumulate: "1",
  lr: "0.1",
  "weight-decay": "0.0001",
  milestones: "30,60,90",
  seed: "1",
  "label-smoothing": "0",
  "clip-norm": "0",
  recompute: "",
  activations: "f32",
  "early-stop": "0",
  forgeries: "10",
  data: "",
  size: "224",
  load: "",
  tests: "0.2",
  cache: "",
  out: "",
  preset: "",
  ...TRIGGER_OPTIONS,
  ...PHOTO_OPTIONS,
  ...DATE_OPTIONS,
} as const;

/** @throws ArgumentError for an option that is not there or a value out of range. */
export function readSettings(args: string[]): Settings | "help" {
  const v = parseOptions(args, { texts: OPTIONS, switches: ["resume", "help"], presets: { cpu: CPU }, help: HELP });
  if (v.help) return "help";
  if (!v.data) throw new ArgumentError("--data: the folder of the photographs expected, found nothing");
  const arch = oneOf("arch", v.arch, Object.keys(BLOCKS) as Settings["arch"][]);
  const scheme = oneOf("scheme", v.scheme, SCHEMES);
  const size = numberIn("size", v.size, 16, 4096);
  const bound = boundTriggersOf(v, { statement: v.statement, triggers: false });
  return {
    ...commonSettings(v),
    arch,
    scheme,
    width: numberIn("width", v.width, 0.02, 8, false),
    signature: v.signature || (v.statement ? "" : "(c) ACME 2026"),
    from: v.from || undefined,
    size,
    loaded: v.load ? numberIn("load", v.load, size, 4096) : Math.round((size * 8) / 7),
    tests: numberIn("tests", v.tests, 0.01, 0.9, false),
    lr: numberIn("lr", v.lr, 0, 100, false),
    weightDecay: numberIn("weight-decay", v["weight-decay"], 0, 1, false),
    milestones: v.milestones === "cosine" ? [] : listOf(v.milestones).map((n) => numberIn("milestones", n, 1, 100_000)),
    folder: v.data,
    cache: v.cache || undefined,
    boundTriggers: bound,
    triggerPhotos: photosOf(v, bound !== null),
    triggerBatch: numberIn("trigger-batch", v["trigger-batch"], 1, 10_000),
    batchSize: numberIn("batch", v.batch, 1, 100_000),
    accumulate: numberIn("accumulate", v.accumulate, 1, 10_000),
    mode: "joint",
    trunkUpdates: 1,
    out: v.out || join("out", "photos", basename(resolve(v.data)), `${arch}-${scheme}`),
  };
}

/** Blocks in each stage. */
export const blocksOf = ({ arch }: Pick<Settings, "arch">): readonly number[] => BLOCKS[arch];
