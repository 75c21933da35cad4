import { convBlocksKernel, convWeightBlocksKernel } from "../../../../shaders/products/conv-blocks.wgsl";
import type { PooledBuffer } from "../../../gpu/pool";
import type { Tensor } from "../../tensor";
import { inSplits } from "../splits";
import { planBlocks } from "./blocks";
import {
  type ConvPass,
  type ConvStrategy,
  forwardGather,
  type Gather,
  gatheredShape,
  gatherSizes,
  inputGather,
  structureOf,
  weightShape,
  weightSizes,
} from "./conv-strategy";
import type { Geometry } from "./geometry";

/** Blocks of outputs staged in workgroup memory, on graphics processors. */
export const byBlocks: ConvStrategy = {
  adds: true,
  fits: ({ caps }, g, pass) => planBlocks(caps, sizeOf(g, pass)) !== null,
  forward: (x, w, bias, g) => gather(x, w, bias, g, forwardGather(g), null),
  inputGradient: (dy, w, g, sum) => gather(dy, w, null, g, inputGather(g), sum),
  weightGradient,
};

/** The product that a pass is. */
function sizeOf(g: Geometry, pass: ConvPass) {
  const taps = g.kernel[0] * g.kernel[1];
  if (pass === "weight") return { rows: taps * g.i, columns: g.o, depth: g.n * g.out[0] * g.out[1], planes: g.groups };
  const { to, from } = pass === "forward" ? forwardGather(g) : inputGather(g);
  const rows = g.n * to.size[0] * to.size[1];
  return { rows, columns: to.channels, depth: taps * from.channels, planes: g.groups };
}

function gather(src: Tensor, w: Tensor, bias: Tensor | null, g: Geometry, how: Gather, sum: Tensor | null): Tensor {
  const { mode, to, from } = how;
  const d = src.device;
  const { block, splits, chunk } = planBlocks(d.caps, sizeOf(g, mode))!;
  const spec = { ...structureOf(g), mode, vec: to.channels % 4 === 0, bias: bias !== null };
  const whole = from.channels % block.bk === 0;
  const inBlocks = { ...spec, vecSrc: from.channels % 4 === 0, whole, block };
  const buffers = { src: src.buffer, w: w.buffer, bias: (bias ?? w).buffer };
  const sizes = { ...gatherSizes(g, how), splits, chunk };
  const run = (dst: PooledBuffer, adds: boolean) =>
    d.run(convBlocksKernel, { ...inBlocks, adds }, { ...buffers, dst }, sizes);
  return inSplits(d, gatheredShape(g, how), splits, run, sum);
}

function weightGradient(x: Tensor, dy: Tensor, g: Geometry, sum: Tensor | null): Tensor {
  const d = x.device;
  const size = sizeOf(g, "weight");
  const { block, splits, chunk } = planBlocks(d.caps, size)!;
  const whole = size.depth % block.bk === 0;
  const spec = { ...structureOf(g), vec: g.o % 4 === 0, vecX: g.i % 4 === 0, whole, block };
  const buffers = { x: x.buffer, dy: dy.buffer };
  const sizes = { ...weightSizes(g), splits, chunk };
  const run = (dw: PooledBuffer, adds: boolean) =>
    d.run(convWeightBlocksKernel, { ...spec, adds }, { ...buffers, dw }, sizes);
  return inSplits(d, weightShape(g), splits, run, sum);
}
