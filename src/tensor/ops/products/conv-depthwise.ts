import { depthwiseKernel, depthwiseWeightKernel } from "../../../../shaders/products/depthwise.wgsl";
import type { Device } from "../../../gpu/device";
import type { Tensor } from "../../tensor";
import { inSplits } from "../splits";
import {
  type ConvStrategy,
  forwardGather,
  type Gather,
  gatheredShape,
  inputGather,
  structureOf,
  weightShape,
} from "./conv-strategy";
import type { Geometry } from "./geometry";

/**
 * Largest kernels and strides whose taps are unrolled. Up to there this is faster than the grouped
 * form wherever that was measured, from one channel on; as grouped : depthwise in ms, forward,
 * input and weight gradient (SwiftShader, medians of alternating runs on two cores that others used
 * too):
 *
 *     N, H = W, channels   kernel   stride
 *     16, 16, 64            3×3       1        38 :  8       89 : 14       49 : 17
 *     16, 16, 64            3×3       2        21 : 10      301 : 16       23 : 12
 *      8, 14, 96            5×5       1       186 : 51      414 : 45      135 : 86
 *      8, 14, 96            7×7       1       297 : 163     741 : 202     304 : 154
 *     16, 16,  3            3×3       1       2.5 : 0.8     9.6 : 2.7     4.7 : 2.0
 *     16, 28,  1            5×5       1       6.5 : 2.1      32 : 5.9     9.0 : 3.2
 *      2,  8,  6            3×3       1       1.5 : 0.9     1.4 : 0.7     1.1 : 1.0
 */
const MOST = { taps: 64, stride: 4 };

/**
 * Pixels of an invocation. Of few taps a larger tile takes four fifths of the time on software
 * adapters, where loads are what binds; of many it takes seconds to compile. Graphics processors
 * want many invocations.
 */
function tileOf({ caps }: Device, taps: number): readonly [number, number] {
  if (taps <= 9 && caps.adapter !== "hardware") return [4, 4];
  return [taps <= 25 ? 2 : 1, 4];
}

/** Taps up to which an invocation sums the weight gradient of all of them, else of one row. */
const FEW_TAPS = 16;

/** Whether this computes a convolution: one channel a group on either side. */
const fits = (g: Geometry): boolean =>
  g.i === 1 && g.o === 1 && g.kernel[0] * g.kernel[1] <= MOST.taps && g.stride.every((s) => s <= MOST.stride);

/** Convolutions of every channel on its own. */
export const byDepthwise: ConvStrategy = {
  adds: false,
  fits: (_, g) => fits(g),
  forward: (x, w, bias, g) => gather(x, w, bias, g, forwardGather(g)),
  inputGradient: (dy, w, g) => gather(dy, w, null, g, inputGather(g)),
  weightGradient,
};

/** Channels as the kernels count them. */
const channelsOf = ({ groups }: Geometry) => {
  const vec = groups % 4 === 0;
  return { vec, c: vec ? groups / 4 : groups };
};

function gather(src: Tensor, w: Tensor, bias: Tensor | null, g: Geometry, how: Gather): Tensor {
  const { mode, to, from } = how;
  const { vec, c } = channelsOf(g);
  const dst = src.newEmpty(gatheredShape(g, how));
  // Tiles of an input gradient are whole strides, and begin where one does, padding counted.
  const wanted = tileOf(src.device, g.kernel[0] * g.kernel[1]);
  const side = (a: 0 | 1) => (mode === "input" ? Math.ceil(wanted[a] / g.stride[a]) * g.stride[a] : wanted[a]);
  const tile = [side(0), side(1)] as const;
  const tiles = (a: 0 | 1) => {
    const before = mode === "input" ? g.padding[a] % g.stride[a] : 0;
    return Math.ceil((before + to.size[a]) / tile[a]);
  };
  const [down, across] = [tiles(0), tiles(1)];
  src.device.run(
    depthwiseKernel,
    { ...structureOf(g), mode, vec, bias: bias !== null, tile },
    { src: src.buffer, w: w.buffer, bias: (bias ?? w).buffer, dst: dst.buffer },
    {
      count: g.n * down * across * c,
      c,
      dstH: to.size[0],
      dstW: to.size[1],
      srcH: from.size[0],
      srcW: from.size[1],
      down,
      across,
      padY: g.padding[0],
      padX: g.padding[1],
    },
  );
  return dst;
}

function weightGradient(x: Tensor, dy: Tensor, g: Geometry): Tensor {
  const d = x.device;
  const { vec, c } = channelsOf(g);
  const [kh, kw] = g.kernel;
  const owned = kh * kw <= FEW_TAPS ? kh : 1;
  const parts = c * (kh / owned);
  const rows = g.n * g.out[0];
  // Two rows of pixels have rows of the source in common, where their stride leaves them any.
  const down = owned === kh && g.stride[0] === 1 && g.out[0] % 2 === 0 ? 2 : 1;
  const chunk = down * Math.ceil(rows / down / splitsFor(d, parts, rows, g.out[1]));
  const splits = Math.ceil(rows / chunk);
  return inSplits(d, weightShape(g), splits, (dw) =>
    d.run(
      depthwiseWeightKernel,
      { ...structureOf(g), vec, rows: owned, down },
      { x: x.buffer, dy: dy.buffer, dw },
      {
        count: parts * splits,
        c,
        rows,
        chunk,
        dyH: g.out[0],
        dyW: g.out[1],
        xH: g.in[0],
        xW: g.in[1],
        padY: g.padding[0],
        padX: g.padding[1],
      },
    ),
  );
}

/**
 * Chunks of the rows of pixels, so that enough invocations run at once; each keeps at least 64
 * pixels.
 */
function splitsFor(d: Device, parts: number, rows: number, across: number): number {
  const wanted = d.caps.adapter === "hardware" ? 1 << 15 : 1 << 9;
  return Math.max(1, Math.min(Math.ceil(wanted / parts), Math.floor((rows * across) / 64), rows, 256));
}
