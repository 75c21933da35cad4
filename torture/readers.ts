/**
 * Every reader of the package that needs no device, with damaged inputs and what must hold of its
 * results. `covers` names its exports.
 */
import { mkdir, mkdtemp, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { decodeSafetensors, encodeSafetensors, type Generator, type HostTensor, type SafetensorsFile } from "@pan/core";
import {
  CIFAR10_CLASSES,
  decodeNpy,
  type ImageFolder,
  parseCifar10,
  parseCifar100,
  parseModelNetNames,
  parseModelNetPoints,
  parseModelNetShapes,
  parseOff,
} from "@pan/core/data";
import {
  loadCifar10,
  loadCifar100,
  loadImageFolder,
  loadImageRecords,
  loadMeshFolders,
  loadModelNet10,
  loadModelNet40,
  loadSafetensors,
  loadWeights,
} from "@pan/core/node";
import { commit, openedTriggers, openGroup, readCredential, verifyAnswers } from "@pan/core/ownership";
import { type Checkpoint, decodeCheckpoint, encodeCheckpoint } from "@pan/core/train";
import { decodeWeights } from "@pan/core/weights";
import sharp from "sharp";
import { deployedConfig } from "../src/models/described/network";
import { bundleOf } from "../src/ownership/claim/commitment";
import { readBinding } from "../src/ownership/first/binding";
import { openCommitment } from "../src/ownership/first/commitment";
import { changed, damaged, json, pick } from "./mutate";
import * as sample from "./samples";

/** One damaged input. */
export interface Input {
  read(): unknown;
  /** What is wrong with a result; nothing where it holds together. */
  wrong?(result: never): string | null | Promise<string | null>;
}

export interface Reader {
  name: string;
  /** Names of the package's exports that it tries. */
  covers: readonly string[];
  /** How often it has its turn, beside the others. */
  weight: number;
  input(random: Generator): Input | Promise<Input>;
}

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

/** A reader of bytes. */
const ofBytes = <T>(
  read: (bytes: Uint8Array) => T,
  samples: readonly Uint8Array[],
  wrong: (result: Awaited<T>) => string | null,
  repair: (random: Generator, bytes: Uint8Array) => Uint8Array = (_, bytes) => bytes,
): Pick<Reader, "input"> => ({
  input: (random) => {
    const bytes = repair(random, damaged(random, samples));
    return { read: () => read(bytes), wrong: wrong as Input["wrong"] & object };
  },
});

/** Most damage ends at the length of the header; make it fit, so that what lies behind is read. */
function repaired(random: Generator, bytes: Uint8Array, at: number, width: 2 | 8): Uint8Array {
  if (bytes.length < at + width || random.integer(4) === 0) return bytes;
  const end = text(bytes).search(width === 2 ? /\n/ : /\}\s*(?:[^\s}]|$)/);
  const length = end < 0 ? bytes.length - at - width : Math.min(bytes.length, end + 1) - at - width;
  const out = bytes.slice();
  if (width === 2) new DataView(out.buffer).setUint16(at, Math.max(0, length) & 0xffff, true);
  else new DataView(out.buffer).setBigUint64(at, BigInt(Math.max(0, length)), true);
  return out;
}

const wrongTensor = ({ shape, data }: HostTensor): string | null =>
  data.length === shape.reduce((a, b) => a * b, 1) ? null : `${data.length} elements of shape [${shape.slice(0, 8)}]`;

function wrongFile(file: SafetensorsFile): string | null {
  for (const tensor of file.tensors.values()) if (wrongTensor(tensor)) return wrongTensor(tensor);
  for (const value of Object.values(file.metadata)) if (typeof value !== "string") return "metadata that is no text";
  const again = decodeSafetensors(encodeSafetensors(file.tensors, file.metadata));
  return again.tensors.size === file.tensors.size ? null : "it is another file after a save and a load";
}

/** Names and sums of other programs' files are theirs: what is read need not be a file of ours. */
const wrongWeights = ({ tensors }: SafetensorsFile): string | null =>
  [...tensors.values()].map(wrongTensor).find((wrong) => wrong !== null) ?? null;

function wrongCheckpoint(c: Checkpoint): string | null {
  if (![c.epoch, c.batch].every((n) => Number.isSafeInteger(n) && n >= 0)) return `epoch ${c.epoch}, batch ${c.batch}`;
  if (typeof c.fingerprint !== "string") return "a fingerprint that is no text";
  const finite = (n: unknown) => typeof n === "number";
  for (const s of c.history.steps) if (!finite(s?.step) || !finite(s.loss)) return "a step's record without numbers";
  for (const e of c.history.epochs)
    if (!finite(e?.epoch) || !finite(e.loss)) return "an epoch's record without numbers";
  for (const tensor of c.model.values()) if (wrongTensor(tensor)) return wrongTensor(tensor);
  return Object.values(c.optimizer).every((a) => a instanceof Float32Array) ? null : "optimiser state of another type";
}

const wrongImages = ({
  images,
  labels,
  classes,
  length,
}: {
  images: Uint8Array;
  labels: ArrayLike<number>;
  classes: readonly string[];
  length: number;
}) => {
  if (images.length !== 3072 * length || labels.length !== length) return "lengths that disagree";
  return Array.from(labels).every((l) => l < classes.length) ? null : "a label beyond the classes";
};

const wrongCloud = (cloud: Float32Array) =>
  cloud.length === 12 && cloud.every(Number.isFinite) ? null : "points that are no numbers";

/** A file with one entry of its metadata changed: as JSON where it is, as text now and then. */
function changedEntries(random: Generator, file: SafetensorsFile, entries: readonly string[]): SafetensorsFile {
  const metadata: Record<string, string> = { ...file.metadata };
  do {
    const entry = pick(random, entries);
    const old = metadata[entry] ?? "null";
    if (random.integer(10) === 0) delete metadata[entry];
    else if (random.integer(4) === 0) metadata[entry] = text(damaged(random, [new TextEncoder().encode(old)]));
    else metadata[entry] = json(changed(random, parsed(old)));
  } while (random.integer(4) === 0);
  return { ...file, metadata };
}

/** A checkpoint's bytes; none where it cannot be written, so that nobody could read it. */
export async function written(c: Checkpoint): Promise<Uint8Array> {
  try {
    return await encodeCheckpoint(c);
  } catch {
    return new Uint8Array();
  }
}

const parsed = (json: string): unknown => {
  try {
    return JSON.parse(json);
  } catch {
    return json;
  }
};

/** A reader of folders: damages one of the files. */
const ofFolder = (
  files: Readonly<Record<string, Uint8Array>>,
  read: (folder: string) => Promise<unknown>,
  wrong?: Input["wrong"] & object,
): Pick<Reader, "input"> => {
  let folder: Promise<string> | undefined;
  return {
    input: async (random) => {
      folder ??= mkdtemp(join(tmpdir(), "pan-fuzz-"));
      const [place, hit] = [await folder, pick(random, Object.keys(files))];
      for (const [name, bytes] of Object.entries(files)) {
        await mkdir(dirname(join(place, name)), { recursive: true });
        await writeFile(join(place, name), name === hit ? damaged(random, [bytes]) : bytes);
      }
      return { read: () => read(place), ...(wrong && { wrong }) };
    },
  };
};

const wholeNumbers = Int32Array.of(0, 1);
const CLOUDS = {
  "train_points.npy": sample.npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 4, 3), }", new Uint8Array(96)),
  "train_labels.npy": sample.npy(
    "{'descr': '<i4', 'fortran_order': False, 'shape': (2,), }",
    new Uint8Array(wholeNumbers.buffer),
  ),
  "test_points.npy": sample.npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 4, 3), }", new Uint8Array(96)),
  "test_labels.npy": sample.npy(
    "{'descr': '<i4', 'fortran_order': False, 'shape': (2,), }",
    new Uint8Array(wholeNumbers.buffer),
  ),
  "shape_names.txt": new TextEncoder().encode("airplane\ncar\n"),
};
const MESH = new TextEncoder().encode("OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n");
const MESHES = Object.fromEntries(
  ["chair", "desk"].flatMap((of) => ["train", "test"].map((split) => [`${of}/${split}/${of}_0001.off`, MESH])),
);
const CIFAR_FILES = ["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch"];

/** Small pictures of each format. */
async function pictures(): Promise<Readonly<Record<string, Uint8Array>>> {
  const pixels = Uint8Array.from({ length: 24 * 16 * 3 }, (_, i) => (i * 7) % 256);
  const picture = () => sharp(pixels, { raw: { width: 24, height: 16, channels: 3 } });
  return {
    "cat/1.png": await picture().png().toBuffer(),
    "cat/2.jpg": await picture().withMetadata({ orientation: 6 }).jpeg().toBuffer(),
    "dog/1.webp": await picture().webp().toBuffer(),
    "dog/2.gif": await picture().gif().toBuffer(),
    "dog/3.tif": await picture().tiff().toBuffer(),
  };
}

/** Damages the cache of a folder whose pictures are whole. */
const ofCache = (files: Readonly<Record<string, Uint8Array>>): Pick<Reader, "input"> => {
  const make = async () => {
    const place = await mkdtemp(join(tmpdir(), "pan-fuzz-"));
    for (const [name, bytes] of Object.entries(files)) {
      await mkdir(dirname(join(place, name)), { recursive: true });
      await writeFile(join(place, name), bytes);
    }
    const cache = join(place, "pictures.cache");
    const load = () => loadImageFolder(place, { size: 8, cache });
    const { set } = await load();
    return { cache, load, bytes: await readFile(cache), images: set.images };
  };
  let made: ReturnType<typeof make> | undefined;
  return {
    input: async (random) => {
      const { cache, load, bytes, images } = await (made ??= make());
      await writeFile(cache, damaged(random, [bytes]));
      return {
        read: load,
        wrong: (({ set }: ImageFolder) =>
          Buffer.compare(set.images, images) ? "pictures of a damaged cache" : null) as never,
      };
    },
  };
};

const wrongFolder = ({ set, files }: ImageFolder): string | null =>
  files.length === set.length && set.images.length === set.length * 192 && set.labels.every((l) => l < 2)
    ? null
    : "lengths that disagree";

/** All readers that need no device. */
export async function READERS(): Promise<Reader[]> {
  const { credential, deployed, text: bundle, opening } = await sample.signedClaim();
  const [first, second] = [await sample.firstClaim(1), await sample.firstClaim(2)];
  const [cifar10, cifar100] = [sample.cifar(1), sample.cifar(2)];
  const photos = await pictures();
  const safetensors = ofBytes(decodeSafetensors, sample.SAFETENSORS, wrongFile, (r, b) => repaired(r, b, 0, 8));
  return [
    { name: "safetensors", covers: ["decodeSafetensors"], weight: 4, ...safetensors },
    {
      name: "checkpoint",
      covers: ["decodeCheckpoint"],
      weight: 3,
      ...ofBytes(decodeCheckpoint, sample.CHECKPOINTS, wrongCheckpoint, (r, b) => repaired(r, b, 0, 8)),
    },
    {
      // Of an attacker who knows the format: entries changed, and all sums made to fit.
      name: "checkpoint entries",
      covers: ["decodeCheckpoint"],
      weight: 2,
      input: async (random) => {
        const { history, epoch, batch } = sample.CHECKPOINT;
        const odd = changed(random, { history, epoch, batch }) as Checkpoint;
        const bytes = await written({ ...sample.CHECKPOINT, ...odd });
        return { read: () => decodeCheckpoint(bytes), wrong: wrongCheckpoint as never };
      },
    },
    {
      name: "npy",
      covers: ["decodeNpy"],
      weight: 4,
      ...ofBytes(decodeNpy, sample.NPYS, wrongTensor, (r, b) => repaired(r, b, 8, 2)),
    },
    {
      name: "off",
      covers: ["parseOff"],
      weight: 3,
      ...ofBytes(
        (bytes) => parseOff(text(bytes)),
        sample.OFFS,
        ({ vertices, triangles }) =>
          vertices.every(Number.isFinite) && triangles.every((i) => 3 * i < vertices.length)
            ? null
            : "a corner that is no vertex",
      ),
    },
    { name: "cifar10", covers: ["parseCifar10"], weight: 1, ...ofBytes(parseCifar10, [cifar10], wrongImages) },
    { name: "cifar100", covers: ["parseCifar100"], weight: 1, ...ofBytes(parseCifar100, [cifar100], wrongImages) },
    {
      name: "modelnet names",
      covers: ["parseModelNetNames"],
      weight: 1,
      ...ofBytes(
        (b) => parseModelNetNames(text(b)),
        sample.NAMES,
        (names) => (names.length ? null : "no names"),
      ),
    },
    {
      name: "modelnet shapes",
      covers: ["parseModelNetShapes"],
      weight: 1,
      ...ofBytes(
        (b) => parseModelNetShapes(text(b), ["airplane", "bath_tub", "car"]),
        sample.SHAPES,
        (shapes) => (shapes.every((s) => s.label < 3) ? null : "a label beyond the classes"),
      ),
    },
    {
      name: "modelnet points",
      covers: ["parseModelNetPoints"],
      weight: 2,
      ...ofBytes((b) => parseModelNetPoints(text(b), 4), sample.POINTS, wrongCloud),
    },
    {
      name: "credential",
      covers: ["readCredential"],
      weight: 4,
      input: (random) => {
        const entries = ["format", "passports", "passports", "passports", "model", "model", "claimed"];
        const file = changedEntries(random, credential, entries);
        return { read: () => readCredential(file) };
      },
    },
    {
      name: "credential of the first format",
      covers: [],
      weight: 2,
      input: (random) => {
        const file = changedEntries(random, first.credential, ["format", "model", "model", "model", "claimed"]);
        return { read: () => readCredential(file) };
      },
    },
    {
      name: "deployed",
      covers: [],
      weight: 2,
      input: (random) => {
        const file = changedEntries(random, deployed, ["format", "model", "model", "model"]);
        return { read: () => deployedConfig(file) };
      },
    },
    {
      name: "claim",
      covers: ["commit", "openGroup"],
      weight: 1,
      input: (random) => {
        const file = changedEntries(random, credential, ["claim", "claim", "claim", "passports"]);
        return {
          read: async () => [await openGroup(file, 0), await commit(file, deployed, sample.signer)],
          wrong: (([found]: [typeof opening]) =>
            found.secret === opening.secret || file.metadata["claim"] !== credential.metadata["claim"]
              ? null
              : "another secret came of the same claim") as never,
        };
      },
    },
    {
      name: "bundle of a commitment",
      covers: ["decodeBundle"],
      weight: 2,
      ...ofBytes(
        (b) => bundleOf(text(b)),
        [bundle],
        ({ envelope }) => (envelope.signatures.length === 1 ? null : `${envelope.signatures.length} signatures`),
      ),
    },
    {
      name: "opened group of triggers",
      covers: ["openedTriggers", "verifyAnswers"],
      weight: 1,
      input: (random) => {
        const odd = changed(random, opening) as typeof opening;
        return {
          read: async () => [await openedTriggers(odd), await verifyAnswers(new Int32Array(20), odd)],
          wrong: (([{ set }]: [Awaited<ReturnType<typeof openedTriggers>>]) =>
            set.length === 20 ? null : `${set.length} triggers`) as never,
        };
      },
    },
    {
      name: "binding of the first version",
      covers: [],
      weight: 1,
      input: (random) => {
        const file = random.integer(2)
          ? changedEntries(random, second.credential, ["binding", "binding", "binding", "passports"])
          : changedEntries(random, first.credential, ["binding", "binding", "binding", "model"]);
        return { read: () => readBinding(file) };
      },
    },
    {
      name: "commitment of the first version",
      covers: [],
      weight: 1,
      input: (random) => {
        const { commitment } = second;
        const odd = changed(random, commitment) as typeof commitment;
        return {
          read: () => openCommitment(odd, second.credential, second.deployed),
          wrong: ((match: { claim: boolean }) =>
            match.claim && odd.claim !== commitment.claim ? "another claim was taken for this one" : null) as never,
        };
      },
    },
    {
      name: "safetensors file",
      covers: ["loadSafetensors"],
      weight: 0.5,
      ...ofFolder({ "a.safetensors": sample.SAFETENSORS[0]! }, (folder) =>
        loadSafetensors(join(folder, "a.safetensors")),
      ),
    },
    {
      name: "weights of other programs",
      covers: ["decodeWeights"],
      weight: 3,
      ...ofBytes(decodeWeights, sample.WEIGHTS, wrongWeights),
    },
    {
      // What names other files is read with them, whichever is damaged.
      name: "weights files",
      covers: ["loadWeights"],
      weight: 1,
      ...ofFolder(
        sample.WEIGHT_FILES,
        async (folder) => {
          const names = ["model.json", "model.index.json", "3.pth"];
          const read = await Promise.allSettled(names.map((name) => loadWeights(join(folder, name))));
          // All of them are tried; the first refusal is the answer.
          return read.map((one) => {
            if (one.status === "rejected") throw one.reason;
            return one.value;
          });
        },
        ((all: readonly SafetensorsFile[]) =>
          all.map(wrongWeights).find((wrong) => wrong !== null) ?? null) as Input["wrong"] & object,
      ),
    },
    {
      name: "cifar10 files",
      covers: ["loadCifar10"],
      weight: 0.2,
      ...ofFolder(Object.fromEntries(CIFAR_FILES.map((name) => [`${name}.bin`, cifar10])), loadCifar10),
    },
    {
      name: "cifar100 files",
      covers: ["loadCifar100"],
      weight: 0.2,
      ...ofFolder({ "train.bin": cifar100, "test.bin": cifar100 }, loadCifar100),
    },
    {
      name: "image records",
      covers: ["loadImageRecords"],
      weight: 0.3,
      ...ofFolder(
        {
          "train.bin": cifar10,
          "test.bin": cifar10,
          "class_names.txt": new TextEncoder().encode(CIFAR10_CLASSES.join("\n")),
        },
        loadImageRecords,
      ),
    },
    {
      name: "picture files",
      covers: ["loadImageFolder"],
      weight: 1,
      ...ofFolder(photos, (folder) => loadImageFolder(folder, { size: 8, unreadable: "skip" }), wrongFolder as never),
    },
    { name: "cache files of pictures", covers: ["loadImageFolder"], weight: 0.5, ...ofCache(photos) },
    {
      name: "modelnet files",
      covers: ["loadModelNet40"],
      weight: 0.5,
      ...ofFolder(CLOUDS, (folder) => loadModelNet40(folder, { points: 4 })),
    },
    {
      name: "mesh files",
      covers: ["loadModelNet10", "loadMeshFolders"],
      weight: 0.3,
      ...ofFolder(MESHES, async (folder) => [
        await loadMeshFolders(folder, { points: 4, onSkip: () => {} }),
        await loadModelNet10(folder, { points: 4, onSkip: () => {} }),
      ]),
    },
  ];
}
