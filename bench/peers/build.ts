/** The networks that training steps are measured of, made of the package's models and layers. */
import { Generator, type Tensor } from "@pan/core";
import { AlexNet, ResNet18 } from "@pan/core/models";
import { BatchNorm, Conv2d, GlobalAvgPool, Linear, MaxPool2d, type Module, Sequential } from "@pan/core/nn";
import { VisionTransformer } from "../../examples/vit/network";
import { mobileNet } from "../mobilenet";
import type { NetworkSpec } from "./networks";
import type { TransformerSpec } from "./transformer";

export type Network = Module & { forward(x: Tensor): Tensor };

/** The network of a description, as the package has it. */
export function build(spec: NetworkSpec | TransformerSpec): Network {
  if (spec.arch === "vit") return new VisionTransformer();
  const { arch, width } = spec;
  if (arch === "alexnet") return new AlexNet({ width });
  if (arch === "resnet18") return new ResNet18({ width: Math.round(64 * width) });
  if (arch === "mobilenet") return mobileNet(width);
  const random = new Generator(1);
  const conv = (from: number, to: number) => new Conv2d(from, to, 3, { padding: 1, bias: false, random });
  const norm = (channels: number) => new BatchNorm(channels, { relu: true });
  const pool = () => new MaxPool2d(2);
  const body = [conv(3, 32), norm(32), pool(), conv(32, 64), norm(64), pool(), conv(64, 128), norm(128)];
  return new Sequential(...body, new GlobalAvgPool(), new Linear(128, 10, { random }));
}
