import { access } from "node:fs/promises";
import {
  AlexNet,
  type AlexNetOptions,
  ArgumentError,
  cifarTransform,
  Generator,
  loadDeployed,
  type Network,
  ResNet9,
  ResNet18,
  setImagePassports,
} from "../../src/index";
import { loadSafetensors } from "../../src/node/index";
import type { Data } from "./data";
import type { Settings } from "./settings";

/**
 * The network of the settings, with random passports.
 * @throws ArgumentError when they do not hold together.
 */
export function makeNetwork(s: Settings): Network {
  const common: Pick<AlexNetOptions, "scheme" | "norm" | "passports" | "signature" | "seed"> = {
    scheme: s.scheme,
    seed: s.seed,
    ...(s.norm && { norm: s.norm }),
    ...(s.layers && { passports: s.layers, ...(s.signature && { signature: s.signature }) }),
  };
  if (s.arch === "alexnet") return new AlexNet({ ...common, width: s.width });
  const width = Math.max(1, Math.round(64 * s.width));
  return s.arch === "resnet18" ? new ResNet18({ ...common, width }) : new ResNet9({ ...common, width });
}

/**
 * Replaces the random passports by those of images, where that is asked for.
 * @returns where they come from.
 */
export async function setPassports(model: Network, { test, triggers }: Data, s: Settings): Promise<string> {
  if (s.scheme === "plain") return "none";
  if (s.passports === "random") return "random";
  if (s.passports === "bound") return "bound to a secret and a statement";
  const images = s.passportImages === "triggers" ? triggers! : test;
  try {
    await access(s.source);
  } catch (cause) {
    throw new ArgumentError(
      `passports of kind "${s.passports}" are made with a trained plain network, and ${s.source} is not there. Train one first with --scheme plain and the same other options, name another with --source, or use --passports random`,
      { cause },
    );
  }
  const source = loadDeployed(await loadSafetensors(s.source));
  try {
    const random = new Generator(s.seed).fork("image passports");
    await setImagePassports(model, source, images, {
      kind: s.passports,
      random,
      transform: cifarTransform("test"),
    });
  } finally {
    source.dispose();
  }
  return `${s.passports}, of ${s.passportImages === "triggers" ? "trigger" : "test"} images through ${s.source}`;
}
