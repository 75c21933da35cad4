/**
 * Typed errors of the package: one class per cause, each message saying what was expected, what was
 * found and what to do. All extend {@link PanError}, so
 * `catch (e) { if (e instanceof PanError) … }` tells them from programming errors.
 */

/** Base class of every error this package raises on purpose. */
export class PanError extends Error {
  constructor(message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = new.target.name;
  }
}

/**
 * No usable WebGPU adapter was found; the message lists what was tried and the command that helps.
 */
export class AdapterNotFoundError extends PanError {}

/**
 * The device went away (driver reset, `destroy()`); saved files are untouched, unsaved tensors are
 * gone.
 */
export class DeviceLostError extends PanError {}

/** WebGPU rejected a command; the message names the kernel that was being recorded. */
export class GpuError extends PanError {}

/**
 * The device cannot hold what was asked for: a tensor, a binding or a workgroup count beyond its
 * limits.
 */
export class LimitError extends PanError {}

/** A tensor has another shape, rank or data type than the operation needs. */
export class ShapeError extends PanError {}

/**
 * A tensor was used after it was disposed, or a gradient asked of a graph that is already freed.
 */
export class LifetimeError extends PanError {}

/** An option, configuration value or argument is not one that is understood. */
export class ArgumentError extends PanError {}

/** A file is not what its format demands: truncated, overlapping, out of range or wrongly typed. */
export class FormatError extends PanError {}

/** A state dict does not fit the module: names missing, unexpected, or of another shape. */
export class StateDictError extends PanError {}

/** A checkpoint is damaged or belongs to another run. */
export class CheckpointFormatError extends PanError {}

/** Training produced a loss that is not a number; the last checkpoint is untouched. */
export class NanLossError extends PanError {}

/**
 * Something that a function needs is not there: an optional package, or an interface of browsers;
 * the message says how to get it.
 */
export class UnavailableError extends PanError {}
