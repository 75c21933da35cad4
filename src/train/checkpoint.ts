import { CheckpointFormatError, FormatError } from "../errors";
import { type StateDict, toFloat32 } from "../io/host-tensor";
import { decodeSafetensors, encodeSafetensors } from "../io/safetensors";
import type { OptimizerState } from "../optim/optimizer";
import type { History } from "./history";

/** Where a trainer keeps its checkpoint; `fileCheckpoints` of `@pan/core/node` is one on disk. `save` must leave the old or the new bytes, nothing between. */
export interface CheckpointStore {
  save(bytes: Uint8Array): Promise<void>;
  /** The last saved bytes, or null when there are none. */
  load(): Promise<Uint8Array | null>;
}

/** Everything a run needs to go on with the same bits. */
export interface Checkpoint {
  /** What the run is: a resumed one must be the same. */
  fingerprint: string;
  /** Next step: epoch (from 0) and batch within it. */
  epoch: number;
  batch: number;
  history: History;
  model: StateDict;
  optimizer: OptimizerState;
}

const FORMAT = "pan-checkpoint-1";

/** One safetensors file: `model.*` and `optimizer.*` tensors, the rest as metadata. */
export function encodeCheckpoint(c: Checkpoint): Uint8Array {
  const tensors: StateDict = new Map([...c.model].map(([name, t]) => [`model.${name}`, t]));
  for (const [name, data] of Object.entries(c.optimizer)) {
    tensors.set(`optimizer.${name}`, { dtype: "F32", shape: [data.length], data: new Float32Array(data) });
  }
  const { fingerprint, epoch, batch, history } = c;
  return encodeSafetensors(tensors, {
    format: FORMAT,
    fingerprint,
    progress: JSON.stringify({ epoch, batch }),
    history: JSON.stringify(history),
  });
}

/** @throws CheckpointFormatError when the bytes are damaged or no checkpoint. */
export function decodeCheckpoint(bytes: Uint8Array): Checkpoint {
  try {
    const { tensors, metadata } = decodeSafetensors(bytes);
    if (metadata["format"] !== FORMAT)
      throw new FormatError(`format ${FORMAT} expected, found ${metadata["format"] ?? "none"}`);
    const progress = JSON.parse(metadata["progress"] ?? "") as { epoch: number; batch: number } | null;
    const { epoch, batch } = progress ?? { epoch: -1, batch: -1 };
    if (![epoch, batch].every((n) => Number.isInteger(n) && n >= 0))
      throw new FormatError(`progress ${metadata["progress"]}`);
    const history = JSON.parse(metadata["history"] ?? "") as History | null;
    if (!Array.isArray(history?.steps) || !Array.isArray(history.epochs))
      throw new FormatError("its history has no lists of steps and epochs");
    const under = (prefix: string) =>
      [...tensors].filter(([n]) => n.startsWith(prefix)).map(([n, t]) => [n.slice(prefix.length), t] as const);
    return {
      fingerprint: metadata["fingerprint"] ?? "",
      epoch,
      batch,
      history,
      model: new Map(under("model.")),
      optimizer: Object.fromEntries(under("optimizer.").map(([n, t]) => [n, toFloat32(t)])),
    };
  } catch (cause) {
    if (!(cause instanceof FormatError) && !(cause instanceof SyntaxError)) throw cause;
    throw new CheckpointFormatError(
      `not a whole checkpoint: ${cause.message}. Remove it and start anew, or give the right file`,
      { cause },
    );
  }
}
