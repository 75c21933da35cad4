import { convGatherKernel, convWeightKernel } from "../../../../shaders/products/conv-registers.wgsl";
import { type Tile, tileGroups } from "../../../../shaders/products/registers.wgsl";
import type { Device } from "../../../gpu/device";
import type { Tensor } from "../../tensor";
import { inSplits } from "../splits";
import {
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
import { planTile } from "./registers";

/** Channels of a group up to which taps and channels are walked as one. */
const FEW_CHANNELS = 4;

/** A tile of outputs in each invocation's registers: everything, everywhere. */
export const byRegisters: ConvStrategy = {
  adds: false,
  fits: () => true,
  forward: (x, w, bias, g) => gather(x, w, bias, g, forwardGather(g)),
  inputGradient: (dy, w, g) => gather(dy, w, null, g, inputGather(g)),
  weightGradient,
};

function gather(src: Tensor, w: Tensor, bias: Tensor | null, g: Geometry, how: Gather): Tensor {
  const { mode, to, from } = how;
  const d = src.device;
  const dst = src.newEmpty(gatheredShape(g, how));
  // Of a strided convolution's input pixels those of one phase, equal in coordinates modulo the
  // stride, are computed together.
  const phase = (size: number, stride: number) => (mode === "input" ? Math.ceil(size / stride) : size);
  const pixels = g.n * phase(to.size[0], g.stride[0]) * phase(to.size[1], g.stride[1]);
  const flat = mode === "forward" && from.channels <= FEW_CHANNELS;
  const tile = planTile(d.caps, flat ? "patches" : "pixels", pixels, to.channels);
  const whole = !flat && from.channels % tile.lanes === 0;
  const spec = {
    ...structureOf(g),
    mode,
    vec: to.channels % tile.columns === 0,
    bias: bias !== null,
    flat,
    whole,
    tile,
  };
  const buffers = { src: src.buffer, w: w.buffer, bias: (bias ?? w).buffer, dst: dst.buffer };
  d.run(convGatherKernel, spec, buffers, { ...gatherSizes(g, how), pixels });
  return dst;
}

function weightGradient(x: Tensor, dy: Tensor, g: Geometry): Tensor {
  const d = x.device;
  const sizes = weightSizes(g);
  const rows = g.kernel[0] * g.kernel[1] * g.i;
  const widest = planTile(d.caps, "taps", rows, g.o);
  // Rows of one tap are read together: a smaller tile that divides the channels beats a larger one
  // that does not.
  const tile = {
    ...widest,
    rows: g.i % widest.rows !== 0 && g.i % 8 === 0 ? Math.min(widest.rows, 8) : widest.rows,
  };
  const splits = splitsFor(d, tile, rows, g, sizes.pixels);
  const chunk = Math.ceil(sizes.pixels / splits);
  const whole = chunk % tile.lanes === 0 && sizes.pixels % tile.lanes === 0;
  const oneTap = tile.rows >= 4 && g.i % tile.rows === 0;
  const spec = { ...structureOf(g), vec: g.o % tile.columns === 0, whole, oneTap, tile };
  return inSplits(d, weightShape(g), splits, (dw) =>
    d.run(convWeightKernel, spec, { x: x.buffer, dy: dy.buffer, dw }, { ...sizes, splits, chunk }),
  );
}

/**
 * Chunks of the pixels, so that enough workgroups run at once; each chunk keeps at least 64 pixels.
 */
function splitsFor(d: Device, tile: Tile, rows: number, g: Geometry, pixels: number): number {
  const wanted = d.caps.adapter === "hardware" ? 512 : 16;
  const groups = tileGroups(tile, rows, g.o, g.groups);
  const splits = Math.max(1, Math.min(Math.ceil(wanted / groups), Math.floor(pixels / 64), 256));
  // Whole chunks only: the last must not be empty.
  return Math.ceil(pixels / Math.ceil(pixels / splits));
}
