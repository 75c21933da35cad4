/**
 * Inputs made to exhaust: counts beyond any memory, nesting beyond any stack, patterns that make
 * careless readers try everything.
 */

import { decodeSafetensors, encodeSafetensors, type SafetensorsFile } from "@pan/core";
import {
  decodeNpy,
  parseCifar10,
  parseModelNetNames,
  parseModelNetPoints,
  parseModelNetShapes,
  parseOff,
} from "@pan/core/data";
import type { ConvNetConfig, NetworkConfig } from "@pan/core/models";
import { openedTriggers, readCredential } from "@pan/core/ownership";
import { decodeCheckpoint } from "@pan/core/train";
import { planOf } from "../src/models/credential";
import { checkConfig, deployedConfig } from "../src/models/described/network";
import { bundleOf } from "../src/ownership/claim/commitment";
import { claimOf } from "../src/ownership/claim/own";
import { readBinding } from "../src/ownership/first/binding";
import { openCommitment } from "../src/ownership/first/commitment";
import { npy, signedClaim } from "./samples";
import { MARKED } from "./tiny";

/** One hostile input and its reader. */
export interface Hostile<T = never> {
  make(): T;
  read(input: T): unknown;
  /** Its bytes, where it is neither bytes nor text. */
  weigh?(input: T): Uint8Array;
  /** `either`: it is large, but valid. */
  expected?: "refused" | "either";
}

const utf8 = new TextEncoder();
const SIGNED = await signedClaim();
const MILLION = 1e6;
const HUGE = 2 ** 53 - 1;
const deep = (open: string, close: string, n = 1e5) => open.repeat(n) + close.repeat(n);

/** A credential that says this of its network; `model` is JSON. */
const credentialOf = (model: string, more: Record<string, string> = {}): SafetensorsFile => ({
  tensors: new Map(),
  metadata: { format: "pan-credential-1", claimed: "{}", model, ...more },
});
const metadataOf = ({ metadata }: SafetensorsFile): Uint8Array => utf8.encode(Object.values(metadata).join(""));

/** By way of a credential, as JSON: what a stranger's file can say. */
const credential = (model: () => unknown): Hostile<SafetensorsFile> => ({
  make: () => credentialOf(JSON.stringify(model())),
  read: readCredential,
  weigh: metadataOf,
});
/** A credential that says this of its passports. */
const passports = (change: () => object): Hostile<SafetensorsFile> => ({
  make: () => {
    const { model: _, ...metadata } = credentialOf("").metadata;
    const said = JSON.stringify({ ...PLAN, ...change() });
    return { tensors: new Map(), metadata: { ...metadata, format: "pan-credential-2", passports: said } };
  },
  read: readCredential,
  weigh: metadataOf,
});
/** What a claim says of itself, in a credential whose passports are those of {@link MARKED}. */
const CLAIM = { statement: "x", secret: "0".repeat(64) };
const TRIGGERS = {
  kind: "images",
  shape: [8, 8, 3],
  classes: ["a", "b"],
  count: 8,
  groups: 1,
  grid: 4,
  normalize: null,
};
const PEM = (body: string) => `-----BEGIN PUBLIC KEY-----\n${body}\n-----END PUBLIC KEY-----`;
const claimed = (claim: () => string): Hostile<SafetensorsFile> => ({
  make: () => ({ ...SIGNED.credential, metadata: { ...SIGNED.credential.metadata, claim: claim() } }),
  read: (file) => claimOf(file, readCredential(file)),
  weigh: metadataOf,
});
/** An opened group of triggers that says this. */
const opened = (change: () => object): Hostile<unknown> => ({
  make: () => ({ ...SIGNED.opening, ...change() }),
  read: openedTriggers as never,
});
const PLAN = planOf(MARKED);
const PLACE = PLAN.places[0]!;
const marked = (change: object): ConvNetConfig => ({ ...MARKED, ...change });
const resnet = (change: object) => ({
  arch: "resnet",
  classes: 10,
  input: [32, 32, 3],
  scheme: "pan",
  passports: { layer4: true },
  blocks: [2, 2, 2, 2],
  ...change,
});
const pointnet = (change: object) => ({
  arch: "pointnet",
  classes: 10,
  input: [1024, 3],
  scheme: "pan",
  passports: { p1: true },
  ...change,
});
const layer = { channels: 8, kernel: 3, padding: 1 };

/** A safetensors file with this header and so many zeros behind it. */
function safetensors(header: string, data = 0): Uint8Array {
  const text = utf8.encode(header);
  const out = new Uint8Array(8 + text.length + data);
  new DataView(out.buffer).setBigUint64(0, BigInt(text.length), true);
  out.set(text, 8);
  return out;
}
const file = (header: () => string, expected?: "either"): Hostile<Uint8Array> => ({
  make: () => safetensors(header()),
  read: decodeSafetensors,
  ...(expected && { expected }),
});
const many = (n: number, item: (i: number) => string): string => Array.from({ length: n }, (_, i) => item(i)).join(",");
const npyFile = (header: () => string, expected?: "either"): Hostile<Uint8Array> => ({
  make: () => npy(header(), new Uint8Array(0), 2),
  read: (bytes) => decodeNpy(bytes),
  ...(expected && { expected }),
});
const off = (text: () => string, expected?: "either"): Hostile<string> => ({
  make: text,
  read: (t) => parseOff(t),
  ...(expected && { expected }),
});
const checkpoint = (entries: () => Record<string, string>): Hostile<Uint8Array> => ({
  make: () => encodeSafetensors(new Map(), { format: "pan-checkpoint-1", fingerprint: "", ...entries() }),
  read: decodeCheckpoint,
});
const progress = JSON.stringify({ epoch: 0, batch: 0 });
const history = JSON.stringify({ steps: [], epochs: [] });

const CASES: Record<string, Hostile<SafetensorsFile> | Hostile<Uint8Array> | Hostile<string> | Hostile<unknown>> = {
  "10⁹ residual blocks": credential(() => resnet({ blocks: [2, 2, 2, 1e9] })),
  "10⁶ stages": credential(() => resnet({ blocks: new Array(MILLION).fill(1) })),
  "2⁵³ − 1 residual blocks": credential(() => resnet({ blocks: [HUGE, HUGE, HUGE, HUGE] })),
  "width 10⁹": credential(() => resnet({ width: 1e9 })),
  "pointnet of width 10³⁰⁰": credential(() => pointnet({ width: 1e300 })),
  "clouds of 2⁵³ − 1 points": credential(() => pointnet({ input: [HUGE, 3] })),
  "10⁹ channels": credential(() => marked({ layers: [layer, { ...layer, channels: 1e9 }], passports: { 1: true } })),
  "2⁵³ − 1 channels": credential(() => marked({ layers: [{ ...layer, channels: HUGE }], passports: { 0: true } })),
  "images of 2⁵³ − 1 pixels": credential(() => marked({ input: [HUGE, HUGE, 3] })),
  "2⁵³ − 1 classes": credential(() => marked({ classes: HUGE })),
  "kernel and padding 2⁵³ − 1": credential(() =>
    marked({ layers: [{ channels: 8, kernel: HUGE, padding: HUGE }], passports: { 0: true } }),
  ),
  "20,000 layers, 20,000 passports": credential(() =>
    marked({
      layers: new Array(20_000).fill(layer),
      passports: Object.fromEntries(Array.from({ length: 20_000 }, (_, i) => [i, true])),
    }),
  ),
  "10⁶ layers": credential(() => marked({ layers: new Array(MILLION).fill(layer) })),
  "10⁶ passports": credential(() =>
    marked({ passports: Object.fromEntries(Array.from({ length: MILLION }, (_, i) => [`x${i}`, true])) }),
  ),
  "a signature of 50 MB": credential(() => marked({ signature: "x".repeat(5e7) })),
  "a scheme of 50 MB": credential(() => marked({ scheme: "x".repeat(5e7) })),
  "a text of 50 MB in one layer": credential(() => marked({ passports: { 2: "x".repeat(5e7) } })),
  "passports nested 10⁵ deep": {
    make: () =>
      credentialOf(
        `{"classes":3,"input":[8,8,3],"layers":[],"scheme":"pan","passports":${deep('{"2":', "}")}}`.replace(
          "}}",
          "1}}",
        ),
      ),
    read: readCredential,
    weigh: metadataOf,
  },
  "a model of lists 10⁵ deep": { make: () => credentialOf(deep("[", "]")), read: readCredential, weigh: metadataOf },
  "a layer of lists 10⁵ deep": {
    make: () => credentialOf(`{"classes":3,"input":[8,8,3],"layers":[${deep("[", "]")}],"scheme":"pan"}`),
    read: readCredential,
    weigh: metadataOf,
  },
  "claims of lists 10⁵ deep": {
    make: () => credentialOf(JSON.stringify(MARKED), { claimed: deep("[", "]") }),
    read: readCredential,
    weigh: metadataOf,
  },
  "a model of 10⁵ open brackets": {
    make: () => credentialOf("[".repeat(1e5)),
    read: readCredential,
    weigh: metadataOf,
  },
  "a deployed network of 10⁹ blocks": {
    make: () => ({
      tensors: new Map(),
      metadata: {
        format: "pan-deployed-1",
        model: JSON.stringify(resnet({ scheme: "plain", passports: undefined, blocks: [1e9] })),
      },
    }),
    read: deployedConfig,
    weigh: metadataOf,
  },
  "20,000 places of passports": passports(() => ({
    places: Array.from({ length: 20_000 }, (_, i) => ({ ...PLACE, norm: `norm${i}` })),
  })),
  "a place of 2³¹ channels": passports(() => ({ places: [{ ...PLACE, channels: 2 ** 31 }] })),
  "a place of a kernel of 2³⁰ taps": passports(() => ({
    places: [{ ...PLACE, kernel: [2 ** 15, 2 ** 15], inputSize: [2 ** 15, 2 ** 15], padding: PLACE.padding }],
  })),
  "a place of 2⁵² positions": passports(() => ({ places: [{ ...PLACE, inputSize: [2 ** 26, 2 ** 26] }] })),
  "a place of 10⁶ axes": passports(() => ({
    places: [{ ...PLACE, kind: "linear", inputSize: new Array(MILLION).fill(1) }],
  })),
  "a norm's name of 2 MB": passports(() => ({ places: [{ ...PLACE, norm: "x".repeat(2e6) }] })),
  "10⁶ texts": passports(() => ({ texts: new Array(MILLION).fill(0) })),
  "a text of 50 MB": passports(() => ({ texts: [{ text: "x".repeat(5e7), layers: [PLACE.norm] }] })),
  "10⁵ norms apart": passports(() => ({ separate: new Array(1e5).fill("a") })),
  "places of passports 10⁵ deep": {
    make: () => credentialOf("", { format: "pan-credential-2", passports: `{"places":${deep("[", "]")}}` }),
    read: readCredential,
    weigh: metadataOf,
  },
  "a configuration of lists 10⁵ deep": {
    make: () => JSON.parse(deep("[", "]")) as unknown,
    read: (config: unknown) => checkConfig(config as NetworkConfig),
  },
  "a binding of lists 10⁵ deep": {
    make: () => credentialOf(JSON.stringify(MARKED), { binding: deep("[", "]") }),
    read: readBinding,
    weigh: metadataOf,
  },
  "a statement of 50 MB": {
    make: () =>
      credentialOf(JSON.stringify(MARKED), {
        binding: JSON.stringify({ statement: "x".repeat(5e7), secret: "0".repeat(64) }),
      }),
    read: readBinding,
    weigh: metadataOf,
  },
  "a binding to a network of 10⁹ channels": {
    make: () =>
      credentialOf(JSON.stringify(marked({ layers: [{ ...layer, channels: 1e9 }], passports: { 0: true } })), {
        binding: JSON.stringify({ statement: "x", secret: "0".repeat(64) }),
      }),
    read: readBinding,
    weigh: metadataOf,
  },
  "a claim of lists 10⁵ deep": claimed(() => deep("[", "]")),
  "a claim with a statement of 50 MB": claimed(() => JSON.stringify({ ...CLAIM, statement: "x".repeat(5e7) })),
  "a claim with a key of 1 MB": claimed(() => JSON.stringify({ ...CLAIM, publicKey: PEM("A".repeat(1e6)) })),
  "a claim of 10⁹ triggers": claimed(() => JSON.stringify({ ...CLAIM, triggers: { ...TRIGGERS, count: 1e9 } })),
  "a claim of 10⁴ triggers of 4 million numbers": claimed(() =>
    JSON.stringify({ ...CLAIM, triggers: { ...TRIGGERS, count: 1e4, shape: [2048, 2048, 1] } }),
  ),
  "a claim of triggers of 10⁵ classes": claimed(() =>
    JSON.stringify({ ...CLAIM, triggers: { ...TRIGGERS, classes: new Array(1e5).fill("a") } }),
  ),
  "an opened group of 2⁵³ − 1 groups": opened(() => ({ groups: HUGE, group: HUGE - 1 })),
  "an opened group with 10⁶ digests": opened(() => ({ groups: new Array(MILLION).fill("0".repeat(128)) })),
  "an opened group of lists 10⁵ deep": {
    make: () => JSON.parse(deep("[", "]")) as unknown,
    read: openedTriggers as never,
  },
  "a bundle of lists 10⁵ deep": { make: () => deep("[", "]"), read: bundleOf },
  "a bundle of 50 MB": { make: () => JSON.stringify({ mediaType: "x".repeat(5e7) }), read: bundleOf },
  "a bundle of 10⁵ time stamps": {
    make: () =>
      JSON.stringify({
        mediaType: "application/vnd.dev.sigstore.bundle.v0.3+json",
        verificationMaterial: {
          publicKey: { hint: "" },
          timestampVerificationData: { rfc3161Timestamps: new Array(1e5).fill({ signedTimestamp: "AAAA" }) },
        },
        dsseEnvelope: { payload: "AAAA", payloadType: "x", signatures: [{ sig: "AAAA", keyid: "" }] },
      }),
    read: bundleOf,
  },
  "a commitment of the first version of lists 10⁵ deep": {
    make: () => JSON.parse(deep("[", "]")) as unknown,
    read: (c: unknown) => openCommitment(c as never, credentialOf(JSON.stringify(MARKED)), credentialOf("{}")),
  },
  "safetensors: 10⁶ empty tensors": file(
    () => `{${many(MILLION, (i) => `"t${i}":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}`)}}`,
    "either",
  ),
  "safetensors: a header of 2⁶³ bytes": {
    make: () => Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 128, 123, 125),
    read: decodeSafetensors,
  },
  "safetensors: brackets 10⁵ deep": file(() => `{"a":${deep("[", "]")}}`),
  "safetensors: a name of 50 MB twice": file(() => {
    const tensor = `"${"x".repeat(2.5e7)}":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}`;
    return `{${tensor},${tensor}}`;
  }),
  "safetensors: a shape of 10⁶ ones": file(
    () => `{"a":{"dtype":"F32","shape":[${many(MILLION, () => "1")}],"data_offsets":[0,4]}}`,
  ),
  "safetensors: a shape of 2⁵³ − 1": file(
    () => `{"a":{"dtype":"F32","shape":[${HUGE},0,${HUGE}],"data_offsets":[0,4]}}`,
  ),
  "safetensors: a tensor with 10⁶ fields": file(() => `{"a":{${many(MILLION, (i) => `"f${i}":0`)}}}`),
  "safetensors: 50 MB of escapes": file(() => `{"__metadata__":{"a":"${"\\u0041".repeat(8e6)}"}}`, "either"),
  "checkpoint: a history of lists 10⁵ deep": checkpoint(() => ({ progress, history: deep("[", "]") })),
  "checkpoint: progress of lists 10⁵ deep": checkpoint(() => ({ progress: deep("[", "]"), history })),
  "checkpoint: an epoch of 10³⁰⁸": checkpoint(() => ({ progress: '{"epoch":1e308,"batch":0}', history })),
  "checkpoint: 50 MB of history": checkpoint(() => ({
    progress,
    history: `{"steps":[${many(5e6, () => "[[[]]]")}],"epochs":[]}`,
  })),
  "npy: 'shape':( 40,000 times": npyFile(() => "{'descr':'<f4','fortran_order':False," + "'shape':(".repeat(40_000)),
  "npy: a header of 50 MB of digits": npyFile(
    () => `{'descr':'<f4','fortran_order':False,'shape':(${"1,".repeat(2.5e7)})}`,
  ),
  "npy: 10⁶ spaces in a shape": npyFile(
    () => `{'descr':'<f4','fortran_order':False,'shape':(1${" ".repeat(MILLION)}x)}`,
  ),
  "npy: a shape of 2⁵³ − 1": npyFile(() => `{'descr':'|u1','fortran_order':False,'shape':(${HUGE},${HUGE}),}`),
  "npy: 10⁶ open quotes": npyFile(() => "{" + "'descr':'".repeat(MILLION)),
  "off: a face of 5 million corners": off(() => `OFF\n1 1 0\n0 0 0\n5000000${" 0".repeat(5e6)}\n`, "either"),
  "off: 2⁵³ − 1 vertices": off(() => `OFF\n${HUGE} ${HUGE} 0\n`),
  "off: counts in a million digits": off(() => `OFF\n${"9".repeat(MILLION)} 1 0\n`),
  "off: 50 MB of comment": off(() => `OFF\n#${"x".repeat(5e7)}`),
  "off: 50 MB of spaces": off(() => `OFF\n${" ".repeat(5e7)}x\n`),
  "off: a vertex of 10⁶ numbers": off(() => `OFF\n1 0 0\n${"0 ".repeat(MILLION)}\n`),
  "modelnet: a name of 50 MB": {
    make: () => "x".repeat(5e7),
    read: (t: string) => parseModelNetShapes(t, ["airplane"]),
  },
  "modelnet: 50 MB of empty lines": { make: () => "\n".repeat(5e7), read: (t: string) => parseModelNetNames(t) },
  "modelnet: a point of 10⁶ numbers": { make: () => "1,".repeat(MILLION), read: (t: string) => parseModelNetPoints(t) },
  "modelnet: 10⁹ points": { make: () => "1,2,3,4,5,6\n", read: (t: string) => parseModelNetPoints(t, 1e9) },
  "cifar: 50 MB of 255": {
    make: () => new Uint8Array(3073 * 16_000).fill(255),
    read: (b: Uint8Array) => parseCifar10(b),
  },
};

export const HOSTILE = CASES as Readonly<Record<string, Hostile>>;
