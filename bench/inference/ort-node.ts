/**
 * ONNX Runtime for processors, in a process of its own: nothing of it is loaded before the first
 * call, as in a page.
 */
import type { Hooks } from "./page";

const SIDE = 32;

/** What of the library is used; its types come with it, where it is installed. */
interface Runtime {
  InferenceSession: {
    create(model: Uint8Array, options: object): Promise<Session>;
  };
  Tensor: new (type: "float32", data: Float32Array, shape: readonly number[]) => unknown;
}
interface Session {
  run(inputs: Record<string, unknown>): Promise<Record<"output", { data: Float32Array }>>;
}

/** What the bench calls in this process. */
export interface Call {
  name: keyof Hooks;
  given: Parameters<Hooks[keyof Hooks]>;
}

const [onnx, threads] = [process.argv[2]!, Number(process.argv[3])];
let run: (images: Float32Array, batch: number) => Promise<Float32Array>;

const hooks: Hooks = {
  async first(images, batch) {
    const started = performance.now();
    const name = "onnxruntime-node";
    const { InferenceSession, Tensor } = (await import(name)) as Runtime;
    const { readFile } = await import("node:fs/promises");
    const session = await InferenceSession.create(await readFile(onnx), {
      executionProviders: ["cpu"],
      intraOpNumThreads: threads,
    });
    run = async (x, n) => (await session.run({ input: new Tensor("float32", x, [n, SIDE, SIDE, 3]) })).output.data;
    const logits = await run(Float32Array.from(images), batch);
    return { about: `processor, ${threads} threads`, milliseconds: performance.now() - started, logits: [...logits] };
  },
  async times(images, batch, runs) {
    const given = Float32Array.from(images);
    const found: number[] = [];
    for (let i = 0; i < runs; i++) {
      const started = performance.now();
      await run(given.slice(), batch);
      found.push(performance.now() - started);
    }
    return found;
  },
};

process.on("message", async ({ name, given }: Call) => {
  const call = hooks[name] as (...given: unknown[]) => Promise<unknown>;
  process.send!(await call(...given));
});
