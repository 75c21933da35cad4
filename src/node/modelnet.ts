/**
 * ModelNet40, ModelNet10 and their like from files, in the three layouts that they are given away
 * in.
 */
import { open } from "node:fs/promises";
import { join } from "node:path";
import { floats } from "../data/check";
import { DIMENSIONS } from "../data/dimensions";
import {
  MODELNET10_CLASSES,
  type ModelNetShape,
  parseModelNetNames,
  parseModelNetPoints,
  parseModelNetShapes,
} from "../data/modelnet";
import { normalizeUnitSphere, type PointSet, pointSet, takePoints } from "../data/point-cloud";
import { sampleSurface } from "../data/surface";
import { flag, optionsOf, whole } from "../demand";
import { ArgumentError, FormatError } from "../errors";
import { type HostTensor, toFloat32 } from "../io/host-tensor";
import { decodeNpy } from "../io/npy";
import { parseOff } from "../io/off";
import { shown } from "../io/shown";
import { Generator } from "../tensor/random";
import { classFolders, isMeshTree, meshFiles, type OnSkip, Skipped } from "./mesh-tree";
import { checkDirectory, exists, readBytes, readText, unreadable } from "./paths";

/** How far loading is, in clouds; given after each file of clouds. */
export interface ModelNetProgress {
  done: number;
  total: number;
  /** Path of the file that was read last. */
  file: string;
}

/** Options of {@link loadModelNet40}, {@link loadModelNet10} and {@link loadMeshFolders}. */
export interface ModelNetOptions {
  /** Points of a cloud. Default 1024. */
  points?: number;
  /** Bring each cloud into the unit sphere, after its points are chosen. Default true. */
  normalize?: boolean;
  /** Decides which points are taken from the surface of meshes. Default 0. */
  seed?: number;
  /** Called after each file of clouds with how far loading is, in clouds; awaited. */
  onProgress?: (progress: ModelNetProgress) => unknown;
  /**
   * Told of each file and folder among meshes that is passed over, and why. Default: one warning on
   * the console counts them.
   */
  onSkip?: OnSkip;
}

/** The two halves of the official split. */
export interface ModelNet {
  train: PointSet;
  test: PointSet;
}

type Split = "train" | "test";
type Full = Required<Omit<ModelNetOptions, "onProgress" | "onSkip">> & Pick<ModelNetOptions, "onProgress" | "onSkip">;

/**
 * One layout: the folder that its archive unpacks to, what in it tells that it is there, and its
 * reader.
 */
interface Layout {
  folder: string;
  sign: string;
  isThere(place: string): Promise<boolean>;
  load(place: string, options: Full): Promise<ModelNet>;
}

const byFile = (folder: string, sign: string, load: Layout["load"]): Layout => ({
  folder,
  sign,
  isThere: (place) => exists(join(place, sign)),
  load,
});

const meshes = (folder: string, example: string): Layout => ({
  folder,
  sign: `folders such as ${join(example, "train")}`,
  isThere: isMeshTree,
  load: loadMeshes,
});

/** The text files of both sets come in one archive, the other layouts in one archive each. */
const layoutsOf = (name: "modelnet40" | "modelnet10", folder: string, example: string): readonly Layout[] => [
  byFile("modelnet40_normal_resampled", `${name}_shape_names.txt`, (place, options) => loadText(place, name, options)),
  byFile(name, "train_points.npy", loadNpy),
  meshes(folder, example),
];

/**
 * Reads ModelNet40 from `directory`, or from the folder inside it that the archive unpacks to. The
 * layout is told by the files:
 *
 * - text, `modelnet40_normal_resampled`: `modelnet40_shape_names.txt`, `modelnet40_train.txt` and
 *   `modelnet40_test.txt` with names like `airplane_0001`, and `airplane/airplane_0001.txt` with a
 *   line `x,y,z,nx,ny,nz` a point, of which the first `points` are taken;
 * - NPY, `modelnet40`: `train_points.npy` [n, P, 3] and `train_labels.npy` [n], the same for
 *   `test`, and `shape_names.txt`; the first `points` points are taken;
 * - meshes, `ModelNet40`: as {@link loadMeshFolders}.
 *
 * Which classes there are is told by the files too: see `classes` of the sets, and
 * `MODELNET40_CLASSES`. Nothing is turned: which axis is up is the files' affair (z in the meshes).
 *
 * @throws ArgumentError if `points` is not a whole number from 1 or more than the files have,
 *   `seed` not one from 0, or another option not what it should be or unknown
 * @throws FormatError if no layout is there (the message says what was looked for), or a file is
 *   missing, unreadable or damaged; the message names the file and its line or field
 * @throws LimitError if there is no memory for so many points
 */
export function loadModelNet40(directory: string, options: ModelNetOptions = {}): Promise<ModelNet> {
  return load("loadModelNet40", directory, options, layoutsOf("modelnet40", "ModelNet40", "airplane"));
}

/**
 * Reads ModelNet10, the ten classes of `MODELNET10_CLASSES`, as {@link loadModelNet40} reads the
 * forty: text files of the same folder `modelnet40_normal_resampled` whose lists begin with
 * `modelnet10`; NPY files in `modelnet10`; meshes in `ModelNet10`.
 *
 * @throws as {@link loadModelNet40}, and FormatError if there is another class
 */
export function loadModelNet10(directory: string, options: ModelNetOptions = {}): Promise<ModelNet> {
  const layouts = layoutsOf("modelnet10", "ModelNet10", "bathtub");
  return load("loadModelNet10", directory, options, layouts, MODELNET10_CLASSES);
}

/**
 * Reads meshes from folders: each folder in `directory` is a class, with `train` and `test` in it,
 * and in these the shapes, such as `chair/train/chair_0001.off`. Labels count the classes in
 * alphabetical order; `points` points are drawn from the surface of each shape, uniform by area,
 * from the seed and the file's name alone.
 *
 * Passed over with a word (`onSkip`) are files that are no meshes (`.off` in any case), and
 * whatever is hidden (`.DS_Store`, `._…`, `__MACOSX`), be it a file or a folder.
 *
 * @throws as {@link loadModelNet40}
 */
export function loadMeshFolders(directory: string, options: ModelNetOptions = {}): Promise<ModelNet> {
  return load("loadMeshFolders", directory, options, [meshes(".", "chair")]);
}

async function load(
  loader: string,
  directory: string,
  options: ModelNetOptions,
  layouts: readonly Layout[],
  allowed?: readonly string[],
): Promise<ModelNet> {
  checkDirectory(loader, directory);
  const full = checkedOptions(loader, options);
  for (const { folder, isThere, load } of layouts) {
    for (const place of new Set([join(directory, folder), directory])) {
      if (!(await isThere(place))) continue;
      const { train, test } = await load(place, full);
      const foreign = allowed && train.classes.find((name) => !allowed.includes(name));
      if (foreign !== undefined) {
        throw new FormatError(
          `${loader}: expected classes among ${allowed!.join(", ")} in ${place}, got ${shown(foreign)}; ` +
            "load it with loadModelNet40 or loadMeshFolders",
        );
      }
      return full.normalize ? { train: normalizeUnitSphere(train), test: normalizeUnitSphere(test) } : { train, test };
    }
  }
  const looked = layouts.map(({ folder, sign }) => `${sign} (in it or in ${folder})`).join(", ");
  throw new FormatError(
    `${loader}: expected one of ${looked} in ${directory}, got none. ` +
      "Download https://modelnet.cs.princeton.edu/ModelNet40.zip and unpack it there, or name the folder of classes.",
  );
}

function checkedOptions(loader: string, options: ModelNetOptions): Full {
  const {
    points = 1024,
    normalize = true,
    seed = 0,
    onProgress,
    onSkip,
  } = optionsOf(loader, options, ["points", "normalize", "seed", "onProgress", "onSkip"]);
  whole(loader, "points", points);
  whole(loader, "seed", seed, 0);
  flag(loader, "normalize", normalize);
  for (const [name, callback] of Object.entries({ onProgress, onSkip })) {
    if (callback === undefined || typeof callback === "function") continue;
    throw new ArgumentError(`${loader}: expected ${name} to be a function, got ${shown(callback)}`);
  }
  return { points, normalize, seed, ...(onProgress && { onProgress }), ...(onSkip && { onSkip }) };
}

async function loadText(folder: string, set: string, { points, onProgress }: Full): Promise<ModelNet> {
  const classesFile = join(folder, `${set}_shape_names.txt`);
  const classes = parseModelNetNames(await readText("ModelNet", classesFile), classesFile);
  const list = async (split: Split) => {
    const file = join(folder, `${set}_${split}.txt`);
    return parseModelNetShapes(await readText("ModelNet", file), classes, file);
  };
  const shapes = { train: await list("train"), test: await list("test") };
  const read = async ({ name, label }: ModelNetShape) => {
    const file = join(folder, classes[label]!, `${name}.txt`);
    return { file, cloud: parseModelNetPoints(await readLines(file, points), points, file) };
  };
  return gather(shapes, classes, points, read, onProgress);
}

async function loadMeshes(folder: string, { points, seed, onProgress, onSkip }: Full): Promise<ModelNet> {
  const skipped = new Skipped(onSkip);
  const classes = await classFolders(folder, skipped);
  const random = new Generator(seed);
  const list = async (split: Split) => {
    const shapes: (ModelNetShape & { file: string })[] = [];
    for (const [label, name] of classes.entries()) {
      for (const mesh of await meshFiles(join(folder, name, split), skipped)) shapes.push({ ...mesh, label });
    }
    if (shapes.length > 0) return shapes;
    throw new FormatError(`${folder}: expected meshes in files .off in ${join("<class>", split)}, got none`);
  };
  const lists = { train: await list("train"), test: await list("test") };
  skipped.tell(folder);
  const read = async ({ name, file }: (typeof lists)["train"][number]) => {
    const mesh = parseOff(await readText("ModelNet", file), file);
    try {
      return { file, cloud: sampleSurface(mesh, points, random.fork(name)) };
    } catch (cause) {
      if (cause instanceof FormatError) throw new FormatError(`${file}: ${cause.message}`, { cause });
      throw cause;
    }
  };
  return gather(lists, classes, points, read, onProgress);
}

/** The clouds of both lists, read one after the other. */
async function gather<S extends ModelNetShape>(
  lists: Record<Split, readonly S[]>,
  classes: readonly string[],
  points: number,
  read: (shape: S) => Promise<{ file: string; cloud: Float32Array }>,
  onProgress: ModelNetOptions["onProgress"],
): Promise<ModelNet> {
  const total = lists.train.length + lists.test.length;
  let done = 0;
  const load = async (shapes: readonly S[]) => {
    const clouds = floats("ModelNet", shapes.length * points * DIMENSIONS);
    for (const [i, shape] of shapes.entries()) {
      const { file, cloud } = await read(shape);
      clouds.set(cloud, i * points * DIMENSIONS);
      await onProgress?.({ done: ++done, total, file });
    }
    const labels = Int32Array.from(shapes, ({ label }) => label);
    return pointSet({ points: clouds, labels, classes, pointsPerCloud: points });
  };
  return { train: await load(lists.train), test: await load(lists.test) };
}

async function loadNpy(folder: string, { points, onProgress }: Full): Promise<ModelNet> {
  const classesFile = join(folder, "shape_names.txt");
  const classes = parseModelNetNames(await readText("ModelNet", classesFile), classesFile);
  // Labels first: they are small, and tell how many clouds there will be.
  const labels = { train: await readLabels(folder, "train", classes), test: await readLabels(folder, "test", classes) };
  const total = labels.train.length + labels.test.length;
  let done = 0;
  const load = async (split: Split) => {
    const file = join(folder, `${split}_points.npy`);
    const array = decodeNpy(await readBytes("ModelNet", file), file);
    const set = cloudsOf(array, labels[split], classes, file);
    done += set.length;
    await onProgress?.({ done, total, file });
    return takePoints(set, points);
  };
  return { train: await load("train"), test: await load("test") };
}

function cloudsOf(array: HostTensor, labels: Int32Array, classes: readonly string[], file: string): PointSet {
  const { dtype, shape } = array;
  const [count, pointsPerCloud = 0, dimensions] = shape;
  if (!dtype.startsWith("F")) {
    throw new FormatError(`${file}: field descr: expected coordinates as floats, got ${dtype}`);
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
  const array = decodeNpy(await readBytes("ModelNet", file), file);
  if (!/^[IU]/.test(array.dtype)) {
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

const CHUNK = 1 << 17;

/**
 * The start of a text file with at least its first `lines` lines: a tenth of it, where a shape has
 * 10,000 points.
 */
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
    return Buffer.concat(chunks).toString();
  } catch (cause) {
    throw unreadable("ModelNet", file, cause);
  }
}
