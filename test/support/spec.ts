/** Claims in few bytes, for tests that need no network. */
import type { ClaimSpec, TriggerSpec } from "../../src/ownership/claim/spec";
import type { PassportPlace } from "../../src/passport";

export const SECRET = "0123456789abcdef".repeat(4);

/** A passport of a convolution of 3 × 3 over 4 channels of 5 × 5. */
export const place = (norm: string, channels: number): PassportPlace => ({
  norm,
  weight: `${norm.replace("norm", "conv")}.weight`,
  text: 0,
  kind: "conv2d",
  inChannels: 4,
  channels,
  kernel: [3, 3],
  stride: [1, 1],
  padding: [
    [1, 1],
    [1, 1],
  ],
  dilation: [1, 1],
  groups: 1,
  inputSize: [5, 5],
});

export const IMAGES: TriggerSpec = {
  kind: "images",
  shape: [6, 7, 3],
  classes: ["a", "b", "c"],
  count: 5,
  groups: 2,
  grid: 4,
  normalize: { mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25] },
};

export const CLOUDS: TriggerSpec = {
  kind: "clouds",
  shape: [40, 3],
  classes: ["chair", "table"],
  count: 4,
  groups: 3,
  grid: 0,
  normalize: null,
};

export const SPEC: ClaimSpec = {
  version: 2,
  scheme: "pan",
  places: [place("norm1", 64), place("norm2", 96)],
  triggers: IMAGES,
  publicKey: null,
  statement: "Trained by ACME",
  parent: null,
};
