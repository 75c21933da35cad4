/** Valid inputs of every reader, made without a device. */
import { readFile } from "node:fs/promises";
import { encodeSafetensors, Generator, type HostTensor, type SafetensorsFile, type StateDict } from "@pan/core";
import { commit, type Opening, openGroup, type TriggerSpec } from "@pan/core/ownership";
import { type Checkpoint, encodeCheckpoint } from "@pan/core/train";
import { authorsName } from "../src/models/compat/authors-names";
import { planOf } from "../src/models/credential";
import { deriveClaim } from "../src/ownership/claim/derive";
import { specOf } from "../src/ownership/claim/own";
import { deriveBinding } from "../src/ownership/first/binding";
import { type Commitment, commit as commitFirst } from "../src/ownership/first/commitment";
import { passportShape } from "../src/passport/place";
import { type Bundle, encodeBundle } from "../src/signing/bundle";
import { publicKeyPem, signerOf } from "../src/signing/keys";
import { MARKED } from "./tiny";

const utf8 = new TextEncoder();

/** Random floats of a shape. */
export const floats = (random: Generator, shape: readonly number[]): HostTensor => ({
  dtype: "F32",
  shape,
  data: random.fill(new Float32Array(shape.reduce((a, b) => a * b, 1)), "uniform", -1, 1),
});

const random = new Generator(7);

/** Tensors of several element types. */
export const TENSORS: StateDict = new Map<string, HostTensor>([
  ["weight", floats(random, [3, 2, 2])],
  ["empty", floats(random, [0, 5])],
  ["count", { dtype: "I64", shape: [], data: BigInt64Array.of(3n) }],
  ["half", { dtype: "F16", shape: [3], data: Uint16Array.of(0x3c00, 0x7c00, 1) }],
  ["flags", { dtype: "BOOL", shape: [2], data: Uint8Array.of(0, 1) }],
]);

export const SAFETENSORS: readonly Uint8Array[] = [
  encodeSafetensors(TENSORS, { format: "pt", note: 'a "quoted" text, ü €' }),
  encodeSafetensors(new Map([["a", floats(random, [4])]])),
  encodeSafetensors(new Map()),
];

/** A small file of another program's, as PyTorch, its ONNX export and TensorFlow.js wrote them. */
const foreign = async (name: string): Promise<Uint8Array> =>
  new Uint8Array(await readFile(new URL(`../test/fixtures/weights/${name}`, import.meta.url)));

/** Weights that are whole by themselves: zip archives, the older pickle, a checkpoint, ONNX. */
export const WEIGHTS: readonly Uint8Array[] = await Promise.all(
  ["numbers.pth", "numbers-older.pth", "numbers-older.pth", "checkpoint.pth", "net.onnx"].map(foreign),
);

const index = { weight_map: { weight: "1.safetensors", half: "1.safetensors", a: "2.safetensors", f32: "3.pth" } };

/** Models in several files, and one in one, by name. */
export const WEIGHT_FILES: Readonly<Record<string, Uint8Array>> = {
  "model.json": await foreign("tfjs-model.json"),
  "group1-shard1of1.bin": await foreign("group1-shard1of1.bin"),
  "model.index.json": utf8.encode(JSON.stringify(index)),
  "1.safetensors": SAFETENSORS[0]!,
  "2.safetensors": SAFETENSORS[1]!,
  "3.pth": await foreign("numbers-older.pth"),
};

/** What a run of a few steps leaves. */
export const CHECKPOINT: Checkpoint = {
  fingerprint: '{"config":"one"}',
  epoch: 1,
  batch: 2,
  history: {
    steps: [
      { step: 10, loss: 1.5, publicLoss: 0.5, privateLoss: 0.75, passportLoss: 0, signLoss: 0.25 },
      { step: 12, loss: 1.25, publicLoss: 0.5, privateLoss: 0.5, passportLoss: 0, signLoss: 0.25 },
    ],
    epochs: [{ epoch: 1, loss: 1.5, public: 0.5, private: 0.25, bitsMatched: 7, bits: 8, seconds: 0.25 }],
  },
  model: TENSORS,
  optimizer: { "momentum_buffer.0": Float32Array.of(0.1, 0.2), "momentum_buffer.1": new Float32Array(3) },
};

export const CHECKPOINTS: readonly Uint8Array[] = [
  await encodeCheckpoint(CHECKPOINT),
  await encodeCheckpoint({ ...CHECKPOINT, history: { steps: [], epochs: [] }, model: new Map() }),
];

/** An NPY file of a version, with a header as NumPy writes it. */
export function npy(header: string, data: Uint8Array, version: 1 | 2 | 3 = 1): Uint8Array {
  const text = utf8.encode(`${header}\n`);
  const length =
    version === 1 ? [text.length & 255, text.length >> 8] : [...new Uint8Array(Uint32Array.of(text.length).buffer)];
  const out = new Uint8Array(8 + length.length + text.length + data.length);
  out.set([0x93, ...utf8.encode("NUMPY"), version, 0, ...length]);
  out.set(text, 8 + length.length);
  out.set(data, 8 + length.length + text.length);
  return out;
}

const dict = (descr: string, shape: string) => `{'descr': '${descr}', 'fortran_order': False, 'shape': ${shape}, }`;
const bytes = (n: number) => Uint8Array.from({ length: n }, () => random.integer(256));

export const NPYS: readonly Uint8Array[] = [
  npy(dict("<f4", "(2, 3)"), bytes(24)),
  npy(dict("<i8", "(2,)"), bytes(16), 2),
  npy(dict("|u1", "()"), bytes(1), 3),
];

export const OFFS: readonly Uint8Array[] = [
  "OFF\n4 2 0\n0 0 0\n1 0 0\n1 1 0\n0 1 0\n3 0 1 2\n4 0 1 2 3\n",
  "OFF5 1 0\n# a comment\n0 0 0\n1e-3 0 0\n1 1 .5\n0 1 0\n-2 1 0\n\n5 0 1 2 3 4 255 0 0 # red\n",
].map((text) => utf8.encode(text));

/** Records of CIFAR-10, or of CIFAR-100 with its second label. */
export const cifar = (labels: number, n = 2): Uint8Array => {
  const out = bytes(n * (labels + 3072));
  for (let i = 0; i < n; i++) out.fill(i, i * (labels + 3072), i * (labels + 3072) + labels);
  return out;
};

export const NAMES: readonly Uint8Array[] = ["airplane\nbath_tub\ncar\n", "a\r\nb\r\n"].map((t) => utf8.encode(t));
export const SHAPES: readonly Uint8Array[] = ["airplane_0001\nbath_tub_0107\n", "car_1\n"].map((t) => utf8.encode(t));
export const POINTS: readonly Uint8Array[] = [
  "0.1,0.2,0.3,1,0,0\n-1,2e-3,0,0,1,0\n0,0,0,0,0,1\n0,0,0,0,0,1\n",
  "1,2,3,4,5,6\r\n1,2,3,4,5,6\r\n1,2,3,4,5,6\r\n1,2,3,4,5,6",
].map((t) => utf8.encode(t));

/** A key for torture alone; Ed25519 signs the same bytes alike. */
const KEY = `-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIMmR3MKI2b8jRbZciDIR3p9/o1xubALocMpA3CItre2L
-----END PRIVATE KEY-----`;
export const signer = await signerOf(KEY);

const TRIGGERS: TriggerSpec = {
  kind: "images",
  shape: [8, 8, 3],
  classes: ["red", "green", "blue"],
  count: 20,
  groups: 2,
  grid: 3,
  normalize: null,
};

/** A credential with a claim of a version, in a format; the network that it goes with is none. */
interface Claimed {
  credential: SafetensorsFile;
  deployed: SafetensorsFile;
}

async function claimed(version: 1 | 2, format: 1 | 2): Promise<Claimed> {
  const plan = planOf(MARKED);
  const said = { statement: "Trained by nobody", secret: "0123456789abcdef".repeat(4) };
  const binding = version === 1 ? said : { ...said, publicKey: publicKeyPem(signer.publicKey), triggers: TRIGGERS };
  const { passports, bits } =
    version === 1
      ? await deriveBinding(said, { ...plan, format })
      : await deriveClaim(said.secret, specOf(binding, plan));
  const tensors: StateDict = new Map();
  for (const place of plan.places) {
    const { norm, channels } = place;
    const put = (part: string, shape: readonly number[], data: HostTensor["data"]) => {
      const name = `${norm}.passport.${part}`;
      tensors.set(format === 1 ? authorsName(name, plan, "bn") : name, { dtype: "F32", shape, data } as HostTensor);
    };
    const { gamma, beta } = passports.get(norm)!;
    const { torch } = passportShape(place);
    put("skey", torch, gamma);
    put("key", torch, beta);
    // A text's own bits are anything: none follow from the claim.
    put(
      "b",
      [channels],
      bits.get(norm)!.map((bit) => bit || 1),
    );
    const hidden = channels / 4;
    put("fc.0.weight", [hidden, channels], floats(random, [hidden, channels]).data);
    put("fc.2.weight", [channels, hidden], floats(random, [channels, hidden]).data);
  }
  const plain = JSON.stringify({ ...MARKED, scheme: "plain", passports: undefined });
  const described =
    format === 1
      ? { format: "pan-credential-1", model: JSON.stringify(MARKED) }
      : { format: "pan-credential-2", model: plain, passports: JSON.stringify(plan) };
  const accuracies = JSON.stringify({ public: 0.5, private: 0.5 });
  const entry = { [version === 1 ? "binding" : "claim"]: JSON.stringify(binding) };
  return {
    credential: { tensors, metadata: { ...described, claimed: accuracies, ...entry } },
    deployed: { tensors: TENSORS, metadata: { format: `pan-deployed-${format}`, model: plain } },
  };
}

/** A claim, its commitment, and one of its groups of triggers. */
export async function signedClaim(): Promise<Claimed & { bundle: Bundle; text: Uint8Array; opening: Opening }> {
  const made = await claimed(2, 2);
  const bundle = await commit(made.credential, made.deployed, signer);
  return { ...made, bundle, text: utf8.encode(encodeBundle(bundle)), opening: await openGroup(made.credential, 0) };
}

/** A claim of the first version, in either format, and its commitment. */
export async function firstClaim(format: 1 | 2): Promise<Claimed & { commitment: Commitment }> {
  const made = await claimed(1, format);
  return { ...made, commitment: await commitFirst(made.credential, made.deployed) };
}
