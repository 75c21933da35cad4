import type { Device } from "../../../gpu/device";
import { byBlocks } from "./conv-blocks";
import { byDepthwise } from "./conv-depthwise";
import { byRegisters } from "./conv-registers";
import type { ConvPass, ConvStrategy } from "./conv-strategy";
import { byWinograd } from "./conv-winograd";
import type { Geometry } from "./geometry";

/** Ways of computing a convolution; the first that fits is taken, and the last always does. */
const STRATEGIES: readonly ConvStrategy[] = [byWinograd, byDepthwise, byBlocks, byRegisters];

/** The way of a pass. */
export const strategyFor = (device: Device, geometry: Geometry, pass: ConvPass): ConvStrategy =>
  STRATEGIES.find((s) => s.fits(device, geometry, pass))!;
