/**
 * Typed errors of the package: one class per cause, each message saying what was expected, what was
 * found and what to do. All extend {@link PanError}, so
 * `catch (e) { if (e instanceof PanError) … }` tells them from programming errors. `name` and
 * `code` are written out, so that they are the same in a bundle whose classes a minifier has
 * renamed.
 */

/** What an error's `code` can be: one per class, for logs and messages between processes. */
export type ErrorCode =
  | "PAN_ERROR"
  | "PAN_ADAPTER_NOT_FOUND"
  | "PAN_DEVICE_LOST"
  | "PAN_GPU"
  | "PAN_LIMIT"
  | "PAN_SHAPE"
  | "PAN_LIFETIME"
  | "PAN_ARGUMENT"
  | "PAN_FORMAT"
  | "PAN_STATE_DICT"
  | "PAN_CHECKPOINT_FORMAT"
  | "PAN_NAN_LOSS"
  | "PAN_OVERFLOW"
  | "PAN_UNAVAILABLE";

/** Base class of every error this package raises on purpose. */
export class PanError extends Error {
  override readonly name: string = "PanError";
  /** Names the cause where classes do not reach: in a worker's message, a log, another bundle. */
  readonly code: ErrorCode = "PAN_ERROR";
}

/**
 * No usable WebGPU adapter was found; the message lists what was tried and the command that helps.
 */
export class AdapterNotFoundError extends PanError {
  override readonly name = "AdapterNotFoundError";
  override readonly code = "PAN_ADAPTER_NOT_FOUND";
}

/**
 * The device went away (driver reset, `destroy()`); saved files are untouched, unsaved tensors are
 * gone.
 */
export class DeviceLostError extends PanError {
  override readonly name = "DeviceLostError";
  override readonly code = "PAN_DEVICE_LOST";
}

/** WebGPU rejected a command; the message names the kernel that was being recorded. */
export class GpuError extends PanError {
  override readonly name = "GpuError";
  override readonly code = "PAN_GPU";
}

/**
 * The device cannot hold what was asked for: a tensor, a binding or a workgroup count beyond its
 * limits.
 */
export class LimitError extends PanError {
  override readonly name = "LimitError";
  override readonly code = "PAN_LIMIT";
}

/** A tensor has another shape, rank or data type than the operation needs. */
export class ShapeError extends PanError {
  override readonly name = "ShapeError";
  override readonly code = "PAN_SHAPE";
}

/**
 * A tensor was used after it was disposed, or a gradient asked of a graph that is already freed.
 */
export class LifetimeError extends PanError {
  override readonly name = "LifetimeError";
  override readonly code = "PAN_LIFETIME";
}

/** An option, configuration value or argument is not one that is understood. */
export class ArgumentError extends PanError {
  override readonly name = "ArgumentError";
  override readonly code = "PAN_ARGUMENT";
}

/** A file is not what its format demands: truncated, overlapping, out of range or wrongly typed. */
export class FormatError extends PanError {
  override readonly name = "FormatError";
  override readonly code = "PAN_FORMAT";
}

/** A state dict does not fit the module: names missing, unexpected, or of another shape. */
export class StateDictError extends PanError {
  override readonly name = "StateDictError";
  override readonly code = "PAN_STATE_DICT";
}

/** A checkpoint is damaged or belongs to another run. */
export class CheckpointFormatError extends PanError {
  override readonly name = "CheckpointFormatError";
  override readonly code = "PAN_CHECKPOINT_FORMAT";
}

/** Training produced a loss that is not a number; the last checkpoint is untouched. */
export class NanLossError extends PanError {
  override readonly name = "NanLossError";
  override readonly code = "PAN_NAN_LOSS";
}

/**
 * A number did not fit the type that it was to be kept in: an activation beyond f16's ±65,504; the
 * last checkpoint is untouched.
 */
export class OverflowError extends PanError {
  override readonly name = "OverflowError";
  override readonly code = "PAN_OVERFLOW";
}

/**
 * Something that a function needs is not there: an optional package, or an interface of browsers;
 * the message says how to get it.
 */
export class UnavailableError extends PanError {
  override readonly name = "UnavailableError";
  override readonly code = "PAN_UNAVAILABLE";
}
