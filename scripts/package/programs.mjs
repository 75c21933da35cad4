/** What users of the package write, and the settings that they compile it with. */
import { readdirSync, readFileSync } from "node:fs";
import { join, parse } from "node:path";
import { projectRoot } from "../setup.mjs";

/** Names of all entries; `index` is the main one, and `node` the only one that needs Node. */
export const ENTRIES = readdirSync(join(projectRoot, "src", "entry")).map((file) => parse(file).name);

/** What an entry is imported by. */
const imported = (entry) => (entry === "index" ? "@pan/core" : `@pan/core/${entry}`);

/** Everything of some entries, by the name of the entry. */
const wholeEntries = (entries) =>
  `${entries.map((name) => `import * as ${name} from "${imported(name)}";`).join("\n")}
export const entries = { ${entries.join(", ")} };
`;

/** A key of tests alone, the same in both runs: the signature bits that are trained hang on it. */
const KEY = readFileSync(join(projectRoot, "test", "fixtures", "timestamps", "p256.key.pem"), "utf8");

/**
 * What a user writes; the same text is compiled as an ES module (`import`) and as CommonJS
 * (`require`). A network of classes from one entry goes to functions of the others, which know it
 * by `instanceof`.
 */
const PROGRAM = `
import { Device, Generator, init, manualSeed, Tensor } from "@pan/core";
import { imageSet } from "@pan/core/data";
import { BatchNorm, Conv2d, globalAvgPool, Linear, Module, relu } from "@pan/core/nn";
import { dawn, describeAdapter, saveSafetensors, writeFileAtomic } from "@pan/core/node";
import { bind, boundCredential, commit, newSecret, verify } from "@pan/core/ownership";
import { SGD } from "@pan/core/optim";
import { protect } from "@pan/core/passport";
import { encodeBundle, publicKeyPem, signerOf } from "@pan/core/signing";
import { Trainer } from "@pan/core/train";
import { verify as verifyFiles } from "@pan/core/verify";
import { entries } from "./entries-of-this-module-system";

class Net extends Module {
  conv = new Conv2d(1, 160, 3, { stride: 2, padding: 1, bias: false });
  norm = new BatchNorm(160);
  head = new Linear(160, 2);
  forward(x: Tensor): Tensor {
    return this.head.forward(globalAvgPool(relu(this.norm.forward(this.conv.forward(x)))));
  }
}

async function main(): Promise<void> {
  const gpu: GPU = await dawn();
  const adapter = await gpu.requestAdapter();
  if (adapter === null) throw new Error("no adapter");
  const device = await init({ gpu });
  const labels = Uint8Array.from({ length: 24 }, (_, i) => i % 2);
  const random = new Generator(1);
  const images = Uint8Array.from({ length: 24 * 64 }, (_, i) => random.integer(90) + 150 * labels[Math.floor(i / 64)]!);
  const set = imageSet({ images, labels, channels: 1, height: 8, width: 8, classes: ["dark", "bright"] });
  manualSeed(1);
  const net = new Net();
  const owned = protect(net, { scheme: "pan", at: "norm", sample: [1, 8, 8, 1], random });
  const signer = await signerOf(${JSON.stringify(KEY)});
  const binding = { statement: "Trained by ACME", secret: "6".repeat(64), publicKey: publicKeyPem(signer.publicKey) };
  await bind(owned, binding);
  const optimizer = new SGD(owned, { lr: 0.02, momentum: 0.9 });
  const trainer = new Trainer(owned, optimizer, { batchSize: 8, readEvery: 1 });
  for await (const _ of trainer.fit(set, { epochs: 1 })) { /* three steps */ }
  const losses: number[] = trainer.history.steps.map((step) => step.loss);
  const released = await owned.deployed();
  const credential = await boundCredential(await owned.credential(), binding);
  const commitment = await commit(credential, released, signer);
  const { verdict, sentence } = await verify(released, credential, { commitment, released });
  const files = await verifyFiles(released, credential, { commitment, released });
  await saveSafetensors("released.safetensors", released);
  await saveSafetensors("owner.safetensors", credential);
  await writeFileAtomic("commitment.json", new TextEncoder().encode(encodeBundle(commitment)));
  const system = typeof require === "undefined" ? "import" : "require";
  const names = Object.fromEntries(Object.entries(entries).map(([entry, of]) => [entry, Object.keys(of).filter((name) => name !== "default").sort()]));
  const same = net.conv.weight instanceof Tensor && device instanceof Device && net.norm instanceof entries.nn.Module && optimizer instanceof entries.optim.Optimizer && newSecret().length === 64 && entries.verify.FormatError === entries.index.FormatError && files.sentence === sentence;
  console.log(JSON.stringify({ system, adapter: describeAdapter(adapter).name, device: device.name, losses, verdict, same, names }));
}

void main();
`;

/** A page's script: no Node types, WebGPU from wherever the compiler has it. */
const PAGE = `
import { type Device, init, Tensor } from "@pan/core";
export const start = async (): Promise<Device> => init({ adapter: (await navigator.gpu.requestAdapter())! });
export const bufferOf = ({ gpu }: Device): GPUBuffer => (gpu satisfies GPUDevice).createBuffer({ size: 4, usage: 128 });
export const ones = (): Tensor => Tensor.full([2, 3], 1);
`;

/** A program for Node that knows no types of WebGPU: what `dawn()` gives goes to `init()`. */
const SERVER = `
import { type Device, init } from "@pan/core";
import { dawn, describeAdapter } from "@pan/core/node";
export async function start(): Promise<Device[]> {
  const gpu = await dawn();
  const adapter = await gpu.requestAdapter();
  if (adapter === null) throw new Error("no adapter");
  console.log(describeAdapter(adapter).name);
  return [await init({ gpu }), await init({ adapter }), await init({ device: await adapter.requestDevice() })];
}
`;

/** A file in both module systems. */
const both = (name, text) => ({ [`${name}.mts`]: text, [`${name}.cts`]: text });

export const SOURCES = {
  "program.mts": PROGRAM.replace("entries-of-this-module-system", "entries.mjs"),
  "program.cts": PROGRAM.replace("entries-of-this-module-system", "entries.cjs"),
  ...both("entries", wholeEntries(ENTRIES)),
  ...both("server", SERVER),
  ...both("page", PAGE),
  ...both("page-entries", wholeEntries(ENTRIES.filter((name) => name !== "node"))),
};

export const STRICT = {
  strict: true,
  noUncheckedIndexedAccess: true,
  exactOptionalPropertyTypes: true,
  target: "ES2022",
};

/** How the programs that run are compiled. */
export const CONFIG = {
  compilerOptions: {
    ...STRICT,
    module: "NodeNext",
    types: ["node", "@webgpu/types"],
    skipLibCheck: true,
    outDir: "out",
  },
  files: ["program.mts", "program.cts", "entries.mts", "entries.cts"],
};
