import { packHalvesKernel, unpackHalvesKernel } from "../../shaders/halves.wgsl";
import { callable } from "../demand";
import { ArgumentError, LifetimeError } from "../errors";
import type { Device } from "../gpu/device";
import { device } from "../gpu/init";
import type { PooledBuffer } from "../gpu/pool";

/** Anything a {@link scope} can free. */
interface Disposable {
  dispose(): void;
}

/** What the live tensors occupy. */
export interface MemoryInfo {
  /** Live tensor handles that are somebody's: not yet disposed by hand or by a scope. */
  tensors: number;
  /** Live buffers, those that a graph keeps for its backward pass included. */
  storages: number;
  /** Bytes asked for by live buffers. */
  bytes: number;
  /** Bytes of GPU buffers that exist, waiting ones included. */
  pooledBytes: number;
  /** GPU buffers created since the device was made; constant over steady training steps. */
  buffersCreated: number;
}

const live = { tensors: 0, storages: 0, bytes: 0 };

/** Memory held by tensors. Equal before and after a steady training step. */
export function memory(): MemoryInfo {
  const pool = device().poolStats;
  return { ...live, pooledBytes: pool.bytes, buffersCreated: pool.created };
}

/** Live tensor handles, as {@link memory} counts them. */
export const liveTensors = (): number => live.tensors;

/** Least and greatest of some elements. */
export type Range = readonly [min: number, max: number];

/** Counts the operations that are recorded: the time by which storages know how long they wait. */
let clock = 0;

/** Lets the time of {@link Storage.idle} go on by one operation. */
export function tick(): void {
  clock++;
}

/**
 * Means of some elements, by which they wait rounded: what is far from 0 and near its mean keeps
 * its digits. They are [blocks, groups] in the first two planes of `means`, which are added up.
 */
export interface Centre {
  readonly means: Storage;
  readonly blocks: number;
  readonly groups: number;
  /** Neighbouring elements that their groups are made of, over and over. */
  readonly columns: number;
}

/** A reference-counted GPU buffer; tensors and their reshaped views share one. */
export class Storage {
  private references = 1;
  private held: PooledBuffer;
  private packed = false;
  private centre: Centre | null = null;
  /** What was written before the elements changed their form counts on. */
  private moved = 0;
  private used = clock;
  private known: { readonly range: Range | null; readonly version: number } | null = null;

  constructor(
    readonly device: Device,
    readonly bytes: number,
    notSerial?: number,
  ) {
    this.held = device.pool.acquire(bytes, notSerial);
    live.storages++;
    live.bytes += bytes;
  }

  /** The elements, unpacked. */
  get buffer(): PooledBuffer {
    this.used = clock;
    if (this.packed) this.unpack();
    return this.held;
  }

  /** How often the elements were written. */
  get version(): number {
    return this.held.version + this.moved;
  }

  /** For how many operations nobody has asked for the elements. */
  get idle(): number {
    return clock - this.used;
  }

  get isFreed(): boolean {
    return this.references <= 0;
  }

  get isShared(): boolean {
    return this.references > 1;
  }

  /** Notes the least and greatest of the elements that the host has just written. */
  noteRange(range: Range | null): void {
    this.known = { range, version: this.version };
  }

  /** What was noted, if nothing has written since. */
  get range(): Range | null {
    return this.known?.version === this.version ? this.known.range : null;
  }

  /**
   * Rounds the elements, f32, to f16, which take half of the memory until somebody asks for them.
   * @param beyond counts those that f16 does not reach
   * @param centre what they are rounded by, 0 without
   */
  pack(beyond: PooledBuffer, centre: Centre | null = null): void {
    if (this.packed) return;
    const half = this.device.pool.acquire(this.packedBytes);
    this.centre = centre;
    centre?.means.retain();
    this.device.run(
      packHalvesKernel,
      { centred: centre !== null },
      { x: this.held, y: half, beyond, ...this.means },
      { n: this.bytes / 4, ...this.packing },
    );
    this.become(half);
    this.packed = true;
    live.bytes += this.packedBytes - this.bytes;
  }

  private unpack(): void {
    const full = this.device.pool.acquire(this.bytes);
    const centred = this.centre !== null;
    this.device.run(unpackHalvesKernel, { centred }, { x: this.held, y: full, ...this.means }, this.packing);
    this.become(full);
    this.packed = false;
    this.uncentre();
    live.bytes += this.bytes - this.packedBytes;
  }

  private uncentre(): void {
    this.centre?.means.release();
    this.centre = null;
  }

  private get means(): { readonly centre?: PooledBuffer } {
    return this.centre ? { centre: this.centre.means.buffer } : {};
  }

  /** Sizes of what packs and unpacks. */
  private get packing() {
    const { blocks, groups, columns } = this.centre ?? { blocks: 1, groups: 1, columns: 1 };
    const block = Math.max(1, this.bytes / 4 / blocks);
    return { n4: this.vectors, plane: blocks * groups, block, columns, each: columns / groups };
  }

  /** The same elements in another buffer. */
  private become(next: PooledBuffer): void {
    const { version } = this;
    this.device.pool.release(this.held);
    this.held = next;
    this.moved = version - next.version;
  }

  private get vectors(): number {
    return Math.ceil(this.bytes / 16);
  }

  private get packedBytes(): number {
    return 8 * this.vectors;
  }

  retain(): this {
    this.references++;
    return this;
  }

  release(): void {
    if (--this.references > 0) return;
    if (this.references < 0)
      throw new LifetimeError(
        "a tensor's memory was released twice: this is a defect of the package, please report it",
      );
    live.storages--;
    live.bytes -= this.packed ? this.packedBytes : this.bytes;
    this.device.pool.release(this.held);
    this.uncentre();
  }
}

const scopes: Set<Disposable>[] = [];

/** Adds a new tensor to the innermost scope. */
export function register(t: Disposable): void {
  live.tensors++;
  scopes[scopes.length - 1]?.add(t);
}

/** Takes a tensor out of the scopes' care (kept, or already disposed). */
export function unregister(t: Disposable): boolean {
  for (const s of scopes) if (s.delete(t)) return true;
  return false;
}

/** Counts a disposed tensor out. */
export function forgotten(): void {
  live.tensors--;
}

/**
 * Runs `body` and disposes every tensor made inside it, except those returned (alone or in
 * arrays, plain objects, maps and sets, not in instances of other classes; they pass to the
 * enclosing scope) and those given to {@link keep}. Parameters' gradients are kept until they are
 * zeroed.
 *
 * @throws ArgumentError when `body` is no function, or asynchronous: interleaved scopes could not
 * tell whose tensor is whose.
 */
export function scope<T>(body: () => T): T {
  callable("scope", "its argument", body);
  const mine = new Set<Disposable>();
  scopes.push(mine);
  let result: T;
  try {
    result = body();
    refuseAsync("scope()", result);
    const outer = scopes[scopes.length - 2];
    for (const t of tensorsIn(result, mine)) {
      mine.delete(t);
      outer?.add(t);
    }
  } finally {
    scopes.pop();
    for (const t of mine) t.dispose();
  }
  return result;
}

/**
 * For functions that set something up around a body and take it down when that returns: an
 * asynchronous body would go on without it.
 * @throws ArgumentError when what the body gave is a promise.
 */
export function refuseAsync(what: string, result: unknown): void {
  if (typeof (result as PromiseLike<unknown> | null | undefined)?.then !== "function") return;
  // What it does from here on, disposed tensors included, is not a second error.
  (result as PromiseLike<unknown>).then(undefined, () => undefined);
  throw new ArgumentError(
    `${what} takes a synchronous function: await what it needs before, and read results after it`,
  );
}

/** Keeps a tensor beyond the scope it was made in; its `dispose()` is then the caller's duty. */
export function keep<T extends { dispose(): void }>(t: T): T {
  unregister(t);
  return t;
}

/** Those in a value, and in lists, plain objects, maps and sets inside it. */
function* tensorsIn(value: unknown, known: ReadonlySet<Disposable>, seen = new Set<unknown>()): Iterable<Disposable> {
  if (value === null || typeof value !== "object" || seen.has(value)) return;
  seen.add(value);
  if (known.has(value as Disposable)) yield value as Disposable;
  else for (const part of partsOf(value)) yield* tensorsIn(part, known, seen);
}

function partsOf(value: object): Iterable<unknown> {
  if (Array.isArray(value) || value instanceof Set) return value;
  if (value instanceof Map) return [...value.keys(), ...value.values()];
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null ? Object.values(value) : [];
}
