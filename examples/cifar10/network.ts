import { access } from "node:fs/promises";
import { ArgumentError, Generator } from "@pan/core";
import { cifarTransform } from "@pan/core/data";
import { alexNetConfig, buildNetwork, loadDeployed, resNetConfig, setImagePassports } from "@pan/core/models";
import { loadSafetensors } from "@pan/core/node";
import type { Protected } from "@pan/core/passport";
import type { Data } from "./data";
import type { Settings } from "./settings";

/**
 * The network of the settings, with random passports.
 * @throws ArgumentError when they do not hold together.
 */
export function makeNetwork(s: Settings): Protected {
  const common = {
    scheme: s.scheme,
    ...(s.norm && { norm: s.norm }),
    ...(s.layers && { passports: s.layers, ...(s.signature && { signature: s.signature }) }),
  };
  const blocks = s.arch === "resnet18" ? [2, 2, 2, 2] : [1, 1, 1, 1];
  const width = Math.max(1, Math.round(64 * s.width));
  const config =
    s.arch === "alexnet" ? alexNetConfig({ ...common, width: s.width }) : resNetConfig(blocks, { ...common, width });
  return buildNetwork(config, { seed: s.seed });
}

/**
 * Replaces the random passports by those of images, where that is asked for.
 * @returns where they come from.
 */
export async function setPassports(model: Protected, { test, triggers }: Data, s: Settings): Promise<string> {
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
