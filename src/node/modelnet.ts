/** ModelNet40 from files, in the three layouts that it is given away in. */
import { access, open, readdir, readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { type ModelNetShape, parseModelNetNames, parseModelNetPoints, parseModelNetShapes } from "../data/modelnet";
import { DIMENSIONS, normalizeUnitSphere, type PointSet, pointSet, takePoints } from "../data/point-cloud";
import { sampleSurface } from "../data/surface";
import { ArgumentError, FormatError } from "../errors";
import { type HostTensor, toFloat32 } from "../io/host-tensor";
import { decodeNpy } from "../io/npy";
import { parseOff } from "../io/off";
import { Generator } from "../tensor/random";

/** How far loading is, in clouds; given after each file of clouds. */
export interface ModelNetProgress {
  done: number;
  total: number;
  /** Path of the file that was read last. */
  file: string;
}

/** Options of {@link loadModelNet40}. */
export interface ModelNetOptions {
  /** Points a cloud. Default 1024. */
  points?: number;
  /** Bring each cloud into the unit sphere, after its points are chosen. Default true. */
  normalize?: boolean;
  /** Decides which points are taken from the surface of meshes. Default 0. */
  seed?: number;
  onProgress?: (progress: ModelNetProgress) => void;
}

/** The two halves of the official split. */
export interface ModelNet {
  train: PointSet;
  test: PointSet;
}

type Split = "train" | "test";
type Full = Required<Omit<ModelNetOptions, "onProgress">> & Pick<ModelNetOptions, "onProgress">;

/** One layout: the folder that its archive unpacks to, a path in it by which it is known, and its reader. */
interface Layout {
  folder: string;
  sign: string;
  load(folder: string, options: Full): Promise<ModelNet>;
}

const LAYOUTS: readonly Layout[] = [
  { folder: "modelnet40_normal_resampled", sign: "modelnet40_shape_names.txt", load: loadText },
  { folder: "modelnet40", sign: "train_points.npy", load: loadNpy },
  { folder: "ModelNet40", sign: join("airplane", "train"), load: loadMeshes },
];

/**
 * Reads ModelNet40 from `directory`, or from the folder inside it that the archive unpacks to. The layout is told by the files:
 *
 * - text, `modelnet40_normal_resampled`: `modelnet40_shape_names.txt`, `modelnet40_train.txt` and `modelnet40_test.txt` with names like
 *   `airplane_0001`, and `airplane/airplane_0001.txt` with a line `x,y,z,nx,ny,nz` a point, of which the first `points` are taken;
 * - NPY, `modelnet40`: `train_points.npy` [n, P, 3] and `train_labels.npy` [n], the same for `test`, and `shape_names.txt`; the first
 *   `points` points are taken;
 * - meshes, `ModelNet40`: `airplane/train/airplane_0001.off` …, the classes in alphabetical order; `points` points are drawn from
 *   the surface of each, uniform by area, from the seed and the shape's name alone.
 *
 * Nothing is turned: which axis is up is the files' affair (z in the meshes).
 *
 * @throws ArgumentError if `points` is not a whole number from 1 or more than the files have, or `seed` not one from 0
 * @throws FormatError if no layout is there (the message says what was looked for), or a file is missing, unreadable or damaged; the
 *   message names the file and its line or field
 */
export async function loadModelNet40(directory: string, options: ModelNetOptions = {}): Promise<ModelNet> {
  const full = { points: 1024, normalize: true, seed: 0, ...options };
  if (!Number.isSafeInteger(full.points) || full.points < 1) {
    throw new ArgumentError(`loadModelNet40: expected points to be a whole number from 1, got ${full.points}`);
  }
  for (const { folder, sign, load } of LAYOUTS) {
    for (const place of [directory, join(directory, folder)]) {
      if (!(await exists(join(place, sign)))) continue;
      const { train, test } = await load(place, full);
      return full.normalize ? { train: normalizeUnitSphere(train), test: normalizeUnitSphere(test) } : { train, test };
    }
  }
  const looked = LAYOUTS.map(({ folder, sign }) => `${sign} (in it or in ${folder})`).join(", ");
  throw new FormatError(
    `ModelNet40: expected one of ${looked} in ${directory}, got none. ` +
      "Download https://modelnet.cs.princeton.edu/ModelNet40.zip and unpack it there.",
  );
}

async function loadText(folder: string, { points, onProgress }: Full): Promise<ModelNet> {
  const classesFile = join(folder, "modelnet40_shape_names.txt");
  const classes = parseModelNetNames(await readText(classesFile), classesFile);
  const list = async (split: Split) => {
    const file = join(folder, `modelnet40_${split}.txt`);
    return parseModelNetShapes(await readText(file), classes, file);
  };
  const shapes = { train: await list("train"), test: await list("test") };
  const read = async ({ name, label }: ModelNetShape) => {
    const file = join(folder, classes[label]!, `${name}.txt`);
    return { file, cloud: parseModelNetPoints(await readLines(file, points), points, file) };
  };
  return gather(shapes, classes, points, read, onProgress);
}

async function loadMeshes(folder: string, { points, seed, onProgress }: Full): Promise<ModelNet> {
  const entries = await readdir(folder, { withFileTypes: true });
  const classes = entries
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .sort();
  const random = new Generator(seed);
  const list = async (split: Split) => {
    const shapes: ModelNetShape[] = [];
    for (const [label, name] of classes.entries()) {
      const files = await listFolder(join(folder, name, split));
      for (const file of files.filter((f) => f.endsWith(".off")).sort()) {
        shapes.push({ name: join(folder, name, split, file), label });
      }
    }
    return shapes;
  };
  const read = async ({ name: file }: ModelNetShape) => {
    const mesh = parseOff(await readText(file), file);
    try {
      return { file, cloud: sampleSurface(mesh, points, random.fork(basename(file, ".off"))) };
    } catch (cause) {
      if (cause instanceof FormatError) throw new FormatError(`${file}: ${cause.message}`, { cause });
      throw cause;
    }
  };
  return gather({ train: await list("train"), test: await list("test") }, classes, points, read, onProgress);
}

/** The clouds of both lists, read one after the other. */
async function gather(
  lists: Record<Split, readonly ModelNetShape[]>,
  classes: readonly string[],
  points: number,
  read: (shape: ModelNetShape) => Promise<{ file: string; cloud: Float32Array }>,
  onProgress: ModelNetOptions["onProgress"],
): Promise<ModelNet> {
  const total = lists.train.length + lists.test.length;
  let done = 0;
  const load = async (shapes: readonly ModelNetShape[]) => {
    const clouds = new Float32Array(shapes.length * points * DIMENSIONS);
    for (const [i, shape] of shapes.entries()) {
      const { file, cloud } = await read(shape);
      clouds.set(cloud, i * points * DIMENSIONS);
      onProgress?.({ done: ++done, total, file });
    }
    const labels = Int32Array.from(shapes, ({ label }) => label);
    return pointSet({ points: clouds, labels, classes, pointsPerCloud: points });
  };
  return { train: await load(lists.train), test: await load(lists.test) };
}

async function loadNpy(folder: string, { points, onProgress }: Full): Promise<ModelNet> {
  const classesFile = join(folder, "shape_names.txt");
  const classes = parseModelNetNames(await readText(classesFile), classesFile);
  // Labels first: they are small, and tell how many clouds there will be.
  const labels = { train: await readLabels(folder, "train", classes), test: await readLabels(folder, "test", classes) };
  const total = labels.train.length + labels.test.length;
  let done = 0;
  const load = async (split: Split) => {
    const file = join(folder, `${split}_points.npy`);
    const array = decodeNpy(await readBytes(file), file);
    const set = cloudsOf(array, labels[split], classes, file);
    done += set.length;
    onProgress?.({ done, total, file });
    return takePoints(set, points);
  };
  return { train: await load("train"), test: await load("test") };
}

function cloudsOf(array: HostTensor, labels: Int32Array, classes: readonly string[], file: string): PointSet {
  const { dtype, shape } = array;
  const [count, pointsPerCloud = 0, dimensions] = shape;
  if (dtype !== "F32" && dtype !== "F64") {
    throw new FormatError(`${file}: field descr: expected coordinates as <f4 or <f8, got ${dtype}`);
  }
  if (shape.length !== 3 || count !== labels.length || pointsPerCloud < 1 || dimensions !== DIMENSIONS) {
    throw new FormatError(
      `${file}: field shape: expected (${labels.length}, points, ${DIMENSIONS}), as there are ${labels.length} labels, ` +
        `got (${shape.join(", ")})`,
    );
  }
  try {
    // Most files are float32 already, and large.
    const points = array.data instanceof Float32Array ? array.data : toFloat32(array);
    return pointSet({ points, labels, classes, pointsPerCloud });
  } catch (cause) {
    if (cause instanceof FormatError) throw new FormatError(`${file}: field data: ${cause.message}`, { cause });
    throw cause;
  }
}

async function readLabels(folder: string, split: Split, classes: readonly string[]): Promise<Int32Array> {
  const file = join(folder, `${split}_labels.npy`);
  const array = decodeNpy(await readBytes(file), file);
  if (array.dtype.startsWith("F")) {
    throw new FormatError(`${file}: field descr: expected labels as whole numbers, got ${array.dtype}`);
  }
  if (array.shape.length !== 1) {
    throw new FormatError(`${file}: field shape: expected (clouds,), got (${array.shape.join(", ")})`);
  }
  const labels = toFloat32(array);
  const wrong = labels.findIndex((label) => label < 0 || label >= classes.length);
  if (wrong >= 0) {
    throw new FormatError(
      `${file}: field data: label ${wrong} is ${labels[wrong]}, expected 0 to ${classes.length - 1}`,
    );
  }
  return Int32Array.from(labels);
}

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

const CHUNK = 1 << 17;

/** The start of a text file with at least its first `lines` lines: a tenth of it, where a shape has 10,000 points. */
async function readLines(file: string, lines: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  try {
    const handle = await open(file);
    try {
      let ends = 0;
      while (ends < lines) {
        const { bytesRead, buffer } = await handle.read(Buffer.allocUnsafe(CHUNK), 0, CHUNK);
        if (bytesRead === 0) break;
        const chunk = buffer.subarray(0, bytesRead);
        for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, at + 1)) ends++;
        chunks.push(chunk);
      }
    } finally {
      await handle.close();
    }
  } catch (cause) {
    throw unreadable(file, cause);
  }
  return Buffer.concat(chunks).toString();
}

const readBytes = (file: string): Promise<Uint8Array> =>
  readFile(file).catch((cause) => Promise.reject(unreadable(file, cause)));
const readText = (file: string): Promise<string> =>
  readFile(file, "utf8").catch((cause) => Promise.reject(unreadable(file, cause)));
const listFolder = (folder: string): Promise<string[]> =>
  readdir(folder).catch((cause) => Promise.reject(unreadable(folder, cause)));

function unreadable(path: string, cause: unknown): FormatError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new FormatError(`ModelNet40: cannot read ${path}: ${why}; unpack the whole archive`, { cause });
}
