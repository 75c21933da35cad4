import { join } from "node:path";
import { ArgumentError } from "@pan/core";
import { MODELNET10_CLASSES } from "@pan/core/data";
import type { Passports } from "@pan/core/models";
import type { Scheme } from "@pan/core/passport";
import { boundTriggersOf, DATE_HELP, DATE_OPTIONS, TRIGGER_HELP, TRIGGER_OPTIONS } from "../claim";
import type { RunSettings } from "../experiment";
import { listOf, numberIn, oneOf, parseOptions } from "../options";
import { commonSettings } from "../run-settings";

const SCHEMES = ["plain", "v1", "v2", "v3", "pan"] as const;
const NORMS = ["bn", "gn", "gn1", "ln", "none"] as const;

/** Layers of a PointNet that can carry passports, in order. */
export const LAYERS = ["convp1", "convp2", "convp3", "p1", "p2", "p3"] as const;

export interface Settings extends RunSettings {
  scheme: Scheme;
  norm: (typeof NORMS)[number] | undefined;
  /** Channels as a share of the paper's. */
  width: number;
  points: number;
  /** Names of the classes to learn; undefined for all. */
  classes: readonly string[] | undefined;
  layers: Passports | undefined;
  signature: string;
  branchStatistics: "shared" | "separate";
  dropout: number;
  /** Triggers made of clouds of other classes; 0 for none. */
  triggers: number;
  lr: number;
  weightDecay: number;
  stepSize: number;
  gamma: number;
  /** Clouds taken, the same share of each class first. */
  clouds: number;
  testClouds: number;
  data: string;
}

export const HELP = `npm run modelnet40 -- [options]     trains PointNet on ModelNet40 and proves whose network it is

network
  --scheme NAME        ${SCHEMES.join(" | ")} (default pan)
  --norm NAME          ${NORMS.join(" | ")} (default: gn for v2 and v3, bn else)
  --width SHARE        channels, as a share of the paper's (default 1)
  --points N           points a cloud, up to 1024 in the files (default 1024)
  --passport-layers L  of ${LAYERS.join(", ")}; or all (default all)
  --signature TEXT     spread over the passport layers (default "(c) ACME 2026", none with --statement)
  --statement TEXT     what you say of the network: passports and signature bits then follow from it and a
                       fresh secret and key, and a signed commitment to publish is written beside the credential
  --branch-statistics S  shared (as the authors' code) | separate: of the passport layers' batch norms (default shared)
  --dropout P          before the norm of the second fully connected layer (default 0.4)
${DATE_HELP}
training (the authors' settings are the defaults)
  --epochs N           (default 200)        --batch N         (default 16)
  --accumulate N       parts that a step takes its batch in, for batches that do not fit (default 1)
  --lr X               Adam (default 0.001) --weight-decay X  (default 0.0001)
  --step-size N        epochs after which the rate is multiplied by --gamma (defaults 20 and 0.7)
  --seed N             (default 1)
  --mode NAME          joint | alternating (default joint)
  --triggers N         clouds of classes that are not learnt, with labels drawn for them (default 0; v3: 100); needs
                       --classes that leave some over
  --trigger-batch N    triggers that join each batch (default: as many as a batch has clouds)
${TRIGGER_HELP}
  --label-smoothing X  of the loss (default 0)
  --clip-norm X        most joint norm of a step's gradients (default 0: as they are)
  --recompute LIST     names of modules, with commas between, whose activations are computed again in the backward
                       pass, for batches that do not fit (such as stn,fstn)
  --activations TYPE   f32 | f16: what they wait in for the backward pass (default f32); f16 is half of the memory
  --early-stop N       end after N epochs without a better accuracy
  --forgeries N        random passports to try afterwards (default 10)
data and output
  --data DIR           ModelNet40 as text (modelnet40_normal_resampled), NPY or OFF meshes, in this folder or the
                       archive's own folder in it (default $PAN_DATA, or data)
  --classes LIST       all, modelnet10, or names with commas between (default all)
  --clouds N           training clouds to use (default all)
  --tests N            test clouds to use (default all)
  --out DIR            (default out/modelnet40/pointnet-SCHEME)
  --resume             go on where an interrupted run stopped
  --preset cpu         2000 clouds of the ten classes of ModelNet10 with 256 points, an eighth of the channels, 12 epochs,
                       passports in convp3, p1 and p2 with statistics of their own, 100 triggers with pan, 4 of them a
                       batch: for machines without a GPU; options given beside it count more`;

const CPU = {
  width: "0.125",
  points: "256",
  classes: "modelnet10",
  clouds: "2000",
  tests: "500",
  epochs: "12",
  lr: "0.002",
  "step-size": "4",
  "passport-layers": "convp3,p1,p2",
  "branch-statistics": "separate",
  dropout: "0.2",
  "trigger-batch": "4",
  "trigger-groups": "1",
} as const;

const OPTIONS = {
  scheme: "pan",
  norm: "",
  width: "1",
  points: "1024",
  "passport-layers": "all",
  signature: "",
  statement: "",
  "branch-statistics": "shared",
  dropout: "0.4",
  epochs: "200",
  batch: "16",
  accumulate: "1",
  lr: "0.001",
  "weight-decay": "0.0001",
  "step-size": "20",
  gamma: "0.7",
  seed: "1",
  mode: "joint",
  triggers: "",
  "trigger-batch": "",
  "label-smoothing": "0",
  "clip-norm": "0",
  recompute: "",
  activations: "f32",
  "early-stop": "0",
  forgeries: "10",
  data: "",
  classes: "all",
  clouds: "1000000",
  tests: "1000000",
  out: "",
  preset: "",
  ...TRIGGER_OPTIONS,
  ...DATE_OPTIONS,
} as const;

/** @throws ArgumentError for an option that is not there or a value out of range. */
export function readSettings(args: string[]): Settings | "help" {
  const v = parseOptions(args, { texts: OPTIONS, switches: ["resume", "help"], presets: { cpu: CPU }, help: HELP });
  if (v.help) return "help";
  const scheme = oneOf("scheme", v.scheme, SCHEMES);
  const classes =
    v.classes === "all" ? undefined : listOf(v.classes === "modelnet10" ? MODELNET10_CLASSES.join(",") : v.classes);
  const marked = scheme === "v3" || (scheme === "pan" && v.preset !== "");
  const bound = boundTriggersOf(v, { statement: v.statement, triggers: Number(v.triggers) > 0 });
  const triggers = numberIn("triggers", v.triggers || (marked && !bound ? "100" : "0"), 0, 10_000);
  if (triggers && !classes)
    throw new ArgumentError(
      "--triggers are made of clouds of classes that are not learnt: --classes modelnet10, or a list that leaves some over, expected, found all",
    );
  const batchSize = numberIn("batch", v.batch, 1, 10_000);
  return {
    ...commonSettings(v),
    scheme,
    norm: v.norm === "" ? undefined : oneOf("norm", v.norm, NORMS),
    width: numberIn("width", v.width, 0.02, 8, false),
    points: numberIn("points", v.points, 1, 100_000),
    classes,
    layers: scheme === "plain" ? undefined : passportLayers(v["passport-layers"]),
    signature: v.signature || (v.statement ? "" : "(c) ACME 2026"),
    branchStatistics: oneOf("branch-statistics", v["branch-statistics"], ["shared", "separate"]),
    dropout: numberIn("dropout", v.dropout, 0, 0.99, false),
    triggers,
    boundTriggers: bound,
    triggerBatch: numberIn("trigger-batch", v["trigger-batch"] || String(batchSize), 1, 10_000),
    batchSize,
    accumulate: numberIn("accumulate", v.accumulate, 1, 10_000),
    lr: numberIn("lr", v.lr, 0, 100, false),
    weightDecay: numberIn("weight-decay", v["weight-decay"], 0, 1, false),
    stepSize: numberIn("step-size", v["step-size"], 1, 100_000),
    gamma: numberIn("gamma", v.gamma, 0, 1, false),
    mode: oneOf("mode", v.mode, ["joint", "alternating"]) === "joint" ? "joint" : { alternating: 0.5 },
    trunkUpdates: 1,
    clouds: numberIn("clouds", v.clouds, 1, 1_000_000),
    testClouds: numberIn("tests", v.tests, 10, 1_000_000),
    data: v.data || process.env["PAN_DATA"] || "data",
    out: v.out || join("out", "modelnet40", v.preset ? "cpu" : "full", `pointnet-${scheme}`),
  };
}

function passportLayers(text: string): Passports {
  const chosen = text === "all" ? LAYERS : listOf(text);
  return Object.fromEntries(chosen.map((name) => [oneOf("passport-layers", name, LAYERS), true]));
}
