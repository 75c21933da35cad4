/**
 * How Dawn's binding for JavaScript waits. As long as anything is awaited (a readback, the end of a
 * submit, a pipeline) it asks for news in every turn of the event loop, through the global
 * `setImmediate`: a whole core that does nothing else, which the compiler of kernels, an adapter
 * made of the same cores and whoever shares the machine could have had. So its calls go to a timer
 * once a wait has taken a while: for as long as one of its methods runs, or a question of its own,
 * another function stands in the global's place. Nobody else ever finds it there, but for handlers
 * of errors that such a method calls, and theirs are told by their form.
 */

/** Milliseconds for which a wait is asked about in every turn: short ones end without delay. */
const EAGER_MS = 2;
/** Between two questions afterwards: the shortest timer there is. */
const PAUSE_MS = 1;

type Callback = (...args: unknown[]) => void;
type Immediate = (callback: Callback, ...args: unknown[]) => unknown;

/** What {@link patient} is made of. */
export interface Turns {
  readonly immediate: Immediate;
  readonly later: (callback: Callback, ms: number) => unknown;
  readonly now: () => number;
}

/**
 * Whether this is one of the binding's own: a function that Node-API made. Those have a `prototype`
 * and neither name nor arguments; what resolves a promise, bound functions and all that is written
 * in JavaScript differ.
 */
function isNative(callback: unknown): boolean {
  return (
    typeof callback === "function" &&
    callback.name === "" &&
    callback.length === 0 &&
    Object.hasOwn(callback, "prototype") &&
    Function.prototype.toString.call(callback).includes("[native code]")
  );
}

/** `setImmediate` with patience for the callbacks that are `mine`, which are called by `around`. */
export function patient(
  { immediate, later, now }: Turns,
  around: (ask: () => void) => void,
  mine: (callback: unknown) => boolean = isNative,
): Immediate {
  // Since when one question follows from another.
  let since = 0;
  let isAsking = false;
  return (callback, ...args) => {
    if (!mine(callback)) return immediate(callback, ...args);
    if (!isAsking) since = now();
    const ask = () => {
      isAsking = true;
      try {
        around(() => callback(...args));
      } finally {
        isAsking = false;
      }
    };
    return now() - since < EAGER_MS ? immediate(ask) : later(ask, PAUSE_MS);
  };
}

/** What begins a wait, by the class that has it. */
const WAITING = {
  GPUAdapter: ["requestDevice"],
  GPUDevice: ["createComputePipelineAsync", "createRenderPipelineAsync"],
  GPUQueue: ["onSubmittedWorkDone"],
  GPUBuffer: ["mapAsync"],
  GPUShaderModule: ["getCompilationInfo"],
} as const;

type Method = (this: unknown, ...args: unknown[]) => unknown;
const key = Symbol.for("@pan/core.patience");

/**
 * Makes the binding wait with patience, once a thread.
 * @param classes - those that it has registered, `globals` of the package `webgpu`.
 */
export function waitPatiently(classes: object): void {
  const global = globalThis as unknown as { setImmediate?: Immediate; [key]?: true };
  const immediate = global.setImmediate;
  if (global[key] || immediate === undefined) return;
  global[key] = true;
  const around = <T>(run: () => T): T => {
    const found = global.setImmediate!;
    global.setImmediate = asking;
    try {
      return run();
    } finally {
      global.setImmediate = found;
    }
  };
  const asking = patient({ immediate, later: setTimeout, now: () => performance.now() }, around);
  for (const [name, methods] of Object.entries(WAITING)) {
    const prototype = (classes as Record<string, { prototype: Record<string, Method> } | undefined>)[name]?.prototype;
    if (prototype === undefined) continue;
    for (const method of methods) {
      const own = prototype[method];
      if (own === undefined) continue;
      prototype[method] = function (...args) {
        return around(() => own.apply(this, args));
      };
    }
  }
}
