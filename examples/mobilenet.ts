/**
 * MobileNet on a sample of CIFAR-10: depthwise separable convolutions, passports at three of their
 * norms.
 *
 *     npm run mobilenet            (some five minutes on two CPU cores)
 */
import { init, type Tensor } from "@pan/core";
import { BatchNorm, Conv2d, globalAvgPool, hardswish, Linear, Module } from "@pan/core/nn";
import { dawn } from "@pan/core/node";
import { SGD } from "@pan/core/optim";
import { provePictures } from "./proof";

/** Depthwise 3×3, then pointwise: Howard et al., "MobileNets", 2017. */
class Separable extends Module {
  readonly depthwise: Conv2d;
  readonly norm1: BatchNorm;
  readonly pointwise: Conv2d;
  readonly norm2: BatchNorm;

  constructor(inputs: number, outputs: number, stride: number) {
    super();
    this.depthwise = new Conv2d(inputs, inputs, 3, { padding: 1, stride, groups: inputs, bias: false });
    this.norm1 = new BatchNorm(inputs);
    this.pointwise = new Conv2d(inputs, outputs, 1, { bias: false });
    this.norm2 = new BatchNorm(outputs);
  }

  forward(x: Tensor): Tensor {
    const h = hardswish(this.norm1.forward(this.depthwise.forward(x)));
    return hardswish(this.norm2.forward(this.pointwise.forward(h)));
  }
}

class MobileNet extends Module {
  readonly stem = new Conv2d(3, 24, 3, { padding: 1, stride: 2, bias: false });
  readonly norm = new BatchNorm(24);
  readonly blocks = [
    new Separable(24, 48, 1),
    new Separable(48, 64, 2),
    new Separable(64, 64, 1),
    new Separable(64, 128, 2),
  ];
  readonly head = new Linear(128, 10);

  forward(x: Tensor): Tensor {
    const stem = hardswish(this.norm.forward(this.stem.forward(x)));
    return this.head.forward(globalAvgPool(this.blocks.reduce((h, block) => block.forward(h), stem)));
  }
}

await init({ gpu: await dawn() });
await provePictures({
  network: () => new MobileNet(),
  // behind pointwise maps: a depthwise one has too few weights a channel for γ to follow
  passports: { at: ["blocks.1.norm2", "blocks.2.norm2", "blocks.3.norm2"], signature: "ACME" },
  optimizer: (parameters) => new SGD(parameters, { lr: 0.1, momentum: 0.9, nesterov: true, weightDecay: 5e-4 }),
});
