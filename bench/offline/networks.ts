/** The networks whose training steps are looked at, with all passport layers that papers use. */
import { ArgumentError, Generator, keep, manualSeed, Tensor } from "@pan/core";
import { alexNetConfig, buildNetwork, pointNetConfig, resNetConfig } from "@pan/core/models";
import { Adam, type Optimizer, SGD } from "@pan/core/optim";
import { type Protected, protect } from "@pan/core/passport";
import { PLACES, VisionTransformer } from "../../examples/vit/network";
import { trainStep } from "../../src/train/step";

export const NETWORKS = ["alexnet", "resnet18", "pointnet", "vit"] as const;
export type NetworkName = (typeof NETWORKS)[number];

export interface StepSize {
  readonly scheme: "pan" | "plain";
  readonly batch: number;
  /** Share of the channels; the vision transformer has one width. */
  readonly width: number;
}

const POINTS = 1024;
const IMAGE = [32, 32, 3];
const sgd = (model: Protected) =>
  new SGD(model.parameters(), { lr: 0.01, momentum: 0.9, weightDecay: 5e-4, nesterov: true });
const adam = (model: Protected) => new Adam(model.parameters(), { lr: 1e-3, weightDecay: 1e-4 });

interface Learner {
  readonly build: (width: number, scheme: StepSize["scheme"]) => Protected;
  readonly sample: readonly number[];
  readonly optimizer: (model: Protected) => Optimizer;
}

/** Passports, of a scheme that has them. */
const at = <P>(scheme: StepSize["scheme"], passports: P): { passports?: P } => (scheme === "pan" ? { passports } : {});

const LEARNERS: Readonly<Record<NetworkName, Learner>> = {
  alexnet: {
    build: (width, scheme) => {
      const passports = at(scheme, { 4: true, 5: true, 6: true } as const);
      return buildNetwork(alexNetConfig({ scheme, width, ...passports }), { seed: 1 });
    },
    sample: IMAGE,
    optimizer: sgd,
  },
  resnet18: {
    build: (width, scheme) => {
      const config = { scheme, width: Math.round(64 * width), ...at(scheme, { layer4: true } as const) };
      return buildNetwork(resNetConfig([2, 2, 2, 2], config), { seed: 1 });
    },
    sample: IMAGE,
    optimizer: sgd,
  },
  pointnet: {
    build: (width, scheme) => {
      const passports = at(scheme, { convp3: true, p1: true, p2: true } as const);
      const own = scheme === "pan" ? ({ branchStatistics: "separate", ...passports } as const) : {};
      return buildNetwork(pointNetConfig({ classes: 40, scheme, width, points: POINTS, ...own }), { seed: 1 });
    },
    sample: [POINTS, 3],
    optimizer: adam,
  },
  vit: {
    build: (_, scheme) => {
      if (scheme === "plain")
        throw new ArgumentError("--scheme plain: the papers' networks expected, vit has pan alone");
      manualSeed(1);
      return protect(new VisionTransformer(), { scheme: "pan", at: PLACES, sample: [1, ...IMAGE] });
    },
    sample: IMAGE,
    optimizer: adam,
  },
};

/** A network on the current device, with one batch and its training step. */
export function prepareStep(name: NetworkName, { scheme, batch, width }: StepSize): () => void {
  const { build, sample, optimizer } = LEARNERS[name];
  const model = build(width, scheme);
  const rule = optimizer(model);
  const shape = [batch, ...sample];
  const size = shape.reduce((n, d) => n * d, 1);
  const x = keep(Tensor.from(new Generator(2).fill(new Float32Array(size), "normal", 0, 1), shape));
  const y = keep(Tensor.from(new Int32Array(batch), [batch]));
  rule.prepare();
  return () => trainStep(model, rule, [() => ({ x, y })]);
}
