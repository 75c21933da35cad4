/**
 * What runs in a page: one library, one network, served beside it. The page is made anew for every
 * library and network, so that nothing is warm.
 */

import type * as tfjsNetwork from "./tfjs";

/** How a page is opened, in its address. */
export interface PageOptions {
  library: "ours" | "ort-webgpu" | "ort-wasm" | "tfjs-webgpu";
  /** Threads of the WASM build. */
  threads: number;
}

/** A network that answers. */
interface Runner {
  /** From images in NHWC order to logits. */
  run(images: Float32Array, batch: number): Promise<Float32Array>;
  about: string;
}

const SIDE = 32;
const bytesOf = async (path: string) => new Uint8Array(await (await fetch(path)).arrayBuffer());

/** The network of a file: one of the papers', which the file describes, or one of own classes. */
async function ourNetwork(bytes: Uint8Array) {
  const { decodeSafetensors } = await import("/pan/index.js" as string);
  const file = decodeSafetensors(bytes);
  const { arch, width } = JSON.parse(file.metadata.model);
  if (arch !== "mobilenet" && arch !== "vit") {
    const { loadDeployed } = await import("/pan/models.js" as string);
    return loadDeployed(file);
  }
  const { mobileNet, VisionTransformer } = await import(`/${arch}.js` as string);
  const model = arch === "vit" ? new VisionTransformer() : mobileNet(width);
  model.loadStateDict(file.tensors);
  return model;
}

/** This package, as it is built. */
async function ours(): Promise<Runner> {
  const { init, noGrad, scope, Tensor } = await import("/pan/index.js" as string);
  const device = await init();
  const model = await ourNetwork(await bytesOf("/network.safetensors"));
  model.eval();
  return {
    about: `${device.name}, WebGPU`,
    async run(images, batch) {
      const y = scope(() => noGrad(() => model.forward(Tensor.from(images, [batch, SIDE, SIDE, 3]))));
      const logits = await y.data();
      y.dispose();
      return logits;
    },
  };
}

/** ONNX Runtime, on WebGPU or compiled to WebAssembly. */
async function ort(provider: "webgpu" | "wasm", threads: number): Promise<Runner> {
  const path = provider === "webgpu" ? "/ort/ort.webgpu.min.mjs" : "/ort/ort.wasm.min.mjs";
  const { env, InferenceSession, Tensor, default: whole } = await import(path as string);
  const runtime = env ? { env, InferenceSession, Tensor } : whole;
  runtime.env.wasm.numThreads = threads;
  runtime.env.wasm.wasmPaths = "/ort/";
  runtime.env.logLevel = "error";
  const session = await runtime.InferenceSession.create(await bytesOf("/network.onnx"), {
    executionProviders: [provider],
  });
  return {
    about: provider === "webgpu" ? "WebGPU" : `WebAssembly, ${threads} threads`,
    async run(images, batch) {
      const given = { input: new runtime.Tensor("float32", images, [batch, SIDE, SIDE, 3]) };
      const { output } = await session.run(given);
      return (await output.getData()) as Float32Array;
    },
  };
}

/** TensorFlow.js on WebGPU. */
async function tfjs(): Promise<Runner> {
  for (const name of ["tf.min.js", "tf-backend-webgpu.min.js"]) {
    const script = Object.assign(document.createElement("script"), { src: `/tfjs/${name}` });
    const loaded = new Promise((resolve, reject) => Object.assign(script, { onload: resolve, onerror: reject }));
    document.head.append(script);
    await loaded;
  }
  const { tf } = globalThis as unknown as { tf: Parameters<(typeof tfjsNetwork)["networkOf"]>[0] };
  const { networkOf }: typeof tfjsNetwork = await import("/tfjs.js" as string);
  if (!(await tf.setBackend("webgpu"))) throw new Error("TensorFlow.js has no WebGPU backend here");
  await tf.ready();
  const network = await networkOf(tf, await bytesOf("/network.safetensors"));
  return {
    about: "WebGPU",
    async run(images, batch) {
      const y = tf.tidy(() => network(tf.tensor4d(images, [batch, SIDE, SIDE, 3])));
      const logits = (await y.data()) as Float32Array;
      y.dispose();
      return logits;
    },
  };
}

const RUNNERS: Readonly<Record<PageOptions["library"], (threads: number) => Promise<Runner>>> = {
  ours,
  "ort-webgpu": () => ort("webgpu", 1),
  "ort-wasm": (threads) => ort("wasm", threads),
  "tfjs-webgpu": tfjs,
};

/** What the bench calls in the page. */
export interface Hooks {
  /** Loads library and network and answers once; milliseconds of it all from the page's begin. */
  first(images: number[], batch: number): Promise<{ about: string; milliseconds: number; logits: number[] }>;
  /** Milliseconds of each of so many runs, the answer read back. */
  times(images: number[], batch: number, runs: number): Promise<number[]>;
}

const { library, threads } = Object.fromEntries(new URLSearchParams(location.search)) as Record<string, string>;
let runner: Runner | null = null;

const hooks: Hooks = {
  async first(images, batch) {
    const started = performance.now();
    runner = await RUNNERS[library as PageOptions["library"]](Number(threads));
    const logits = await runner.run(Float32Array.from(images), batch);
    return { about: runner.about, milliseconds: performance.now() - started, logits: [...logits] };
  },
  async times(images, batch, runs) {
    const given = Float32Array.from(images);
    const found: number[] = [];
    for (let i = 0; i < runs; i++) {
      const started = performance.now();
      await runner!.run(given.slice(), batch);
      found.push(performance.now() - started);
    }
    return found;
  },
};
Object.assign(globalThis, { hooks });
