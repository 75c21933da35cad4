/**
 * Networks whose launches are counted: small, so that the processor has more to do than the
 * adapter.
 */
import { type Device, Generator, keep, Tensor } from "@pan/core";
import { type AnyNetwork, alexNetConfig, buildNetwork, resNetConfig } from "@pan/core/models";
import { SGD } from "@pan/core/optim";
import type { Protected, Scheme } from "@pan/core/passport";
import { trainStep } from "../../src/train/step";

export const NAMES = ["AlexNet, plain", "AlexNet, pan", "ResNet-18, plain", "ResNet-18, pan"] as const;
export type Name = (typeof NAMES)[number];

const BATCH = 2;

function build(name: Name): Protected<AnyNetwork> {
  const scheme: Scheme = name.endsWith("pan") ? "pan" : "plain";
  const passports = name.startsWith("AlexNet") ? { 4: true, 5: true, 6: true } : { layer4: true };
  const options = { scheme, ...(scheme === "pan" && { passports }) };
  const config = name.startsWith("AlexNet")
    ? alexNetConfig({ ...options, width: 1 / 16 })
    : resNetConfig([2, 2, 2, 2], { ...options, width: 4 });
  return buildNetwork(config, { seed: 1 });
}

/**
 * A network with one batch and its training step: forward, backward, optimiser, nothing submitted.
 */
export function prepare(name: Name, device: Device) {
  const model = build(name);
  const optimizer = new SGD(model.parameters(), { lr: 0.01, momentum: 0.9 });
  const random = new Generator(2);
  const images = random.fill(new Float32Array(BATCH * 32 * 32 * 3), "normal", 0, 1);
  const x = keep(Tensor.from(images, [BATCH, 32, 32, 3], device));
  const y = keep(Tensor.from(new Int32Array(BATCH), [BATCH], device));
  optimizer.prepare();
  const step = () => trainStep(model, optimizer, [() => ({ x, y })]);
  const dispose = () => {
    for (const each of [optimizer, model, x, y]) each.dispose();
  };
  return { step, dispose };
}
