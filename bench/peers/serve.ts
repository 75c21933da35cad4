/**
 * The life of a library's process: opens Dawn's adapter for it, counts what it asks of WebGPU,
 * answers the parent.
 */

import { dawn } from "@pan/core/node";
import { classifyAdapter } from "../../src/gpu/adapter";
import type { Answers, CeilingRow, Counts, Hello, Reply, Request } from "./protocol";
import type { Row } from "./rows";

/** A row made ready in one library. */
export interface ReadyRow {
  /** Runs once; the GPU need not have begun when it returns. */
  run(): void | Promise<void>;
  /** Runs once and reads the result back: channels-last; of a training step its loss. */
  output(): Promise<Float32Array>;
  dispose(): void;
  /** See {@link Answers}. */
  flop?: number;
}

/** A library behind its process. */
export interface Library {
  prepare(row: Row | CeilingRow): ReadyRow | Promise<ReadyRow>;
  /** Hands over to the GPU what is recorded. */
  submit(): void | Promise<void>;
}

/** Losses of so many steps are compared. */
const STEPS_COMPARED = 3;

const counts: Counts = { dispatches: 0, submits: 0, buffers: 0 };

/** Has every call of a method add to a counter first. */
function count<K extends string>(prototype: Record<K, (...args: never[]) => unknown>, method: K, name: keyof Counts) {
  const original = prototype[method];
  prototype[method] = function (this: unknown, ...args: never[]) {
    counts[name]++;
    return original.apply(this, args);
  };
}

/**
 * The device that the library asked for, and the first thing WebGPU refused on it since it was last
 * looked at.
 */
const seen: { device: GPUDevice | null; info: GPUAdapterInfo | null; failure: string | null } = {
  device: null,
  info: null,
  failure: null,
};

function watchDevices(): void {
  const original = GPUAdapter.prototype.requestDevice;
  GPUAdapter.prototype.requestDevice = async function (this: GPUAdapter, descriptor?: GPUDeviceDescriptor) {
    const device = await original.call(this, descriptor);
    seen.device = device;
    seen.info = this.info;
    device.addEventListener("uncapturederror", (event) => {
      event.preventDefault();
      seen.failure ??= (event as GPUUncapturedErrorEvent).error.message;
    });
    void device.lost.then(({ message }) => {
      seen.failure ??= `the GPU device is gone: ${message}`;
    });
    return device;
  };
}

/** Waits for the GPU. @throws Error when WebGPU refused something. */
async function wait(library: Library): Promise<void> {
  await library.submit();
  await seen.device!.queue.onSubmittedWorkDone();
  const { failure } = seen;
  seen.failure = null;
  if (failure !== null) throw new Error(failure);
}

async function prepare(library: Library, rows: Map<string, Ready>, row: Row | CeilingRow): Promise<Answers["prepare"]> {
  const ready = await library.prepare(row);
  rows.set(row.name, { ready, waitEach: row.kind === "step" });
  await wait(library);
  const results: Float32Array[] = [];
  const started = performance.now();
  let firstMs = 0;
  for (let i = 0; i < (row.kind === "step" ? STEPS_COMPARED : 1); i++) {
    results.push(await ready.output());
    await wait(library);
    if (i === 0) firstMs = performance.now() - started;
  }
  const outputs = results.length === 1 ? results[0]! : Float32Array.from(results.flatMap((r) => [...r]));
  return { outputs, firstMs, flop: ready.flop ?? null };
}

interface Ready {
  ready: ReadyRow;
  /**
   * A training step is waited for before the next; other runs follow each other as they do inside
   * of one.
   */
  waitEach: boolean;
}

async function run(library: Library, { ready, waitEach }: Ready, times: number): Promise<number> {
  const started = performance.now();
  for (let i = 0; i < times; i++) {
    await ready.run();
    if (waitEach) await wait(library);
  }
  if (!waitEach) await wait(library);
  return (performance.now() - started) / times;
}

/**
 * Opens the library on the adapter that `dawn()` chooses, tells the parent which one that is, and
 * answers until the parent goes. Libraries find the adapter as `navigator.gpu`, which Node lacks;
 * ours is given it.
 */
export async function serve(open: (gpu: GPU) => Promise<Library>): Promise<void> {
  process.on("disconnect", () => process.exit());
  const gpu = await dawn();
  // Node 20 has no navigator, later ones have one without `gpu`; jax-js reads the user agent.
  if (!("navigator" in globalThis)) Object.defineProperty(globalThis, "navigator", { value: { userAgent: "node" } });
  Object.defineProperty(globalThis.navigator, "gpu", { value: gpu, configurable: true });
  count(GPUComputePassEncoder.prototype, "dispatchWorkgroups", "dispatches");
  count(GPUQueue.prototype, "submit", "submits");
  count(GPUDevice.prototype, "createBuffer", "buffers");
  watchDevices();
  const library = await open(gpu);
  const rows = new Map<string, Ready>();

  const answers = async (request: Request): Promise<Answers[Request["command"]]> => {
    if (request.command === "prepare") return prepare(library, rows, request.row);
    const row = rows.get(request.name);
    if (!row) throw new Error(`"${request.name}" was not prepared here`);
    if (request.command === "run") return run(library, row, request.times);
    if (request.command === "counts") {
      const before = { ...counts };
      await run(library, row, 1);
      return {
        dispatches: counts.dispatches - before.dispatches,
        submits: counts.submits - before.submits,
        buffers: counts.buffers - before.buffers,
      };
    }
    rows.delete(request.name);
    row.ready.dispose();
    return null;
  };
  process.on("message", ({ id, ...request }: Request & { id: number }) => {
    answers(request as Request).then(
      (answer) => say({ id, answer }),
      (error: unknown) => say({ id, error: error instanceof Error ? error.message : String(error) }),
    );
  });
  const { description, vendor, architecture, device } = seen.info!;
  const name = description || [vendor, architecture, device].filter(Boolean).join(" ");
  say({ hello: { description: name, kind: classifyAdapter(seen.info!) } });
}

const say = (message: Hello | Reply) => process.send!(message);
