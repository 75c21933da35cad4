/** A suspect's tensors as those of the plain network that a claim describes. */
import { StateDictError } from "../../errors";
import { type HostTensor, type StateDict, toFloat32 } from "../../io/host-tensor";
import { listed } from "../../io/shown";
import { plainNorm } from "../../models/config";
import { headName, headWeight, type NetworkConfig, networkLayers, restShapes } from "../../models/described/network";
import { type MapLayer, mapName, weightName } from "../../models/layers";
import { plainLayerShapes } from "../../models/shapes";
import { NORM_EPS } from "../../tensor/ops/norm/eps";
import { type Found, findTensors, type Wanted } from "./names";

/**
 * Looks for the tensors of a configuration's plain network in a file; the classifier may have any
 * number of rows.
 * @throws StateDictError as {@link findTensors}.
 */
export const findNetwork = (state: StateDict, config: NetworkConfig): Found => findTensors(state, wantedOf(config));

/** What {@link findNetwork} looks for. */
export function wantedOf(config: NetworkConfig): ReadonlyMap<string, Wanted> {
  const head = headName(config);
  const anyRows = (shape: readonly number[]) => (shape.length ? [-1, ...shape.slice(1)] : shape);
  const wanted = new Map<string, Wanted>();
  for (const layer of networkLayers(config)) {
    const [isHead, weight] = [layer.name === head, weightName(layer)];
    for (const [name, shape] of plainLayerShapes(layer, plainNorm(config))) {
      const ofMap = !name.startsWith(`${layer.name}.bn.`);
      const need = !ofMap ? "optional" : isHead ? "whole" : "needed";
      const place = name === weight ? { anchor: !isHead } : { beside: weight };
      wanted.set(name, { shape: isHead ? anyRows(shape) : shape, need, ...place });
    }
    // A bias that the layer should not have: what was folded into it, or added.
    const bias = biasName(layer);
    if (!wanted.has(bias)) wanted.set(bias, { shape: [layer.channels], need: "near", beside: weight });
  }
  for (const [name, shape] of restShapes(config)) {
    const isHead = name.startsWith(`${head}.`);
    const weight = name.replace(/bias$/, "weight");
    const place = name === weight ? { anchor: !isHead } : { beside: weight };
    wanted.set(name, { shape: isHead ? anyRows(shape) : shape, need: isHead ? "whole" : "needed", ...place });
  }
  return wanted;
}

const biasName = (layer: MapLayer): string => `${layer.name}.${mapName(layer)}.bias`;

/** What {@link readSuspect} makes of a file. */
export interface Suspect {
  /**
   * Tensors of the plain network, whole but for what is `missing` and a classifier that is not
   * there.
   */
  tensors: StateDict;
  /** Rows of the classifier; null when there is none, or too few to tell classes apart. */
  classes: number | null;
  /** Norms are folded into the maps, of some layers or of all. */
  folded: boolean;
  /** Why no branch can run as in the suspect; undefined where they can. */
  idle?: string;
  /** What was assumed or left aside, in sentences. */
  notes: string[];
  /** Weights that are not there, and tensors that are none of the network's. */
  missing: string[];
  ignored: string[];
}

/**
 * A file read as the plain network of a configuration, by the ends of names and by shapes. What no
 * weight depends on may be missing, or be there too: norms folded into the maps, biases in front of
 * norms, running statistics, tensors of other things. Such a file gives its signature away all the
 * same, and the notes say what was assumed.
 * @param replaced norms whose γ and β come from passports alone
 * @throws StateDictError when a weight has another shape, or several different ones could be it.
 */
export function readSuspect(
  state: StateDict,
  config: NetworkConfig,
  replaced: ReadonlySet<string> = new Set(),
): Suspect {
  const { tensors, missing, ignored, notes } = findNetwork(state, config);
  const layers = networkLayers(config);
  const classes = classesOf(tensors, config, notes);
  const present = layers.filter((l) => classes !== null || l.name !== headName(config));
  const broken = notFinite(tensors);
  const norms = new Norms(tensors, config, present, replaced);
  for (const layer of present) norms.complete(layer);
  if (ignored.length)
    notes.push(
      `${ignored.length} tensors of the suspect are none of the claimed network's and were left aside: ${listed(ignored)}`,
    );
  if (broken.length) notes.push(`numbers that are not finite (NaN or ∞) are in ${listed(broken)}: they match no bit`);
  const idle = [...norms.reasons(), ...(broken.length ? ["it holds numbers that are not finite"] : [])];
  return {
    tensors,
    classes,
    folded: norms.folded.size > 0,
    ...(idle.length && { idle: idle.join("; ") }),
    notes: [...notes, ...norms.notes()],
    missing,
    ignored,
  };
}

/**
 * Rows of the classifier, whose weight and bias agree; what is left of one that cannot tell classes
 * apart, or has no bias, is taken out.
 */
function classesOf(tensors: StateDict, config: NetworkConfig, notes: string[]): number | null {
  const weight = headWeight(config);
  const bias = weight.replace(/weight$/, "bias");
  const rows = tensors.get(weight)?.shape[0] ?? 0;
  const found = tensors.get(bias)?.shape[0];
  if (rows >= 2 && found === undefined) notes.push(`${bias} is missing, and the classifier is left aside`);
  if (rows < 2 || found === undefined) {
    for (const name of [...tensors.keys()]) if (name.startsWith(`${headName(config)}.`)) tensors.delete(name);
    return null;
  }
  if (found !== rows)
    throw new StateDictError(`${bias}: shape [${found}] in the suspect, [${rows}] expected as of ${weight}`);
  return rows;
}

/** Names of tensors with a NaN or an infinity, of those that are computed with. */
function notFinite(tensors: StateDict): string[] {
  const finite = (t: HostTensor): boolean => {
    const values = t.data instanceof Float32Array ? t.data : toFloat32(t);
    for (let i = 0; i < values.length; i++) if (!Number.isFinite(values[i]!)) return false;
    return true;
  };
  const used = [...tensors].filter(([name]) => !name.endsWith(".num_batches_tracked"));
  return used.filter(([, t]) => !finite(t)).map(([name]) => name);
}

/** A count of batches, which decides nothing and is a whole number here; 0 where there is none. */
function countOf(found: HostTensor | undefined): HostTensor {
  const [count = 0] = found ? Array.from(found.data as ArrayLike<number | bigint>, Number) : [];
  const whole = Number.isSafeInteger(count) && count >= 0 ? BigInt(count) : 0n;
  return { dtype: "I64", shape: [], data: BigInt64Array.of(whole) };
}

const PARTS = ["weight", "bias", "running_mean", "running_var"] as const;

/** Completes the norms of a plain network to what computes the same, or says why nothing does. */
class Norms {
  /** Layers whose norm is folded into their map. */
  readonly folded: ReadonlySet<string>;
  readonly #lacking = { statistics: [] as string[], affine: [] as string[], bias: [] as string[] };
  readonly #assumed: string[] = [];
  readonly #absorbed: string[] = [];
  constructor(
    readonly tensors: StateDict,
    readonly config: NetworkConfig,
    layers: readonly MapLayer[],
    /** Norms whose γ and β come from passports alone. */
    private readonly replaced: ReadonlySet<string>,
  ) {
    const bare = ({ name }: MapLayer) => !PARTS.some((part) => tensors.has(`${name}.bn.${part}`));
    const folded = layers.filter((l) => bare(l) && tensors.has(biasName(l)));
    // A bias of its own says nothing, and without batch norm nothing can be folded.
    const some = plainNorm(config) === "bn" && folded.some((l) => !l.bias);
    this.folded = new Set(some ? folded.map((l) => l.name) : []);
  }

  complete(layer: MapLayer): void {
    const { tensors } = this;
    const { name } = layer;
    const channels = tensors.get(weightName(layer))?.shape[0] ?? layer.channels;
    const norm = layer.norm ?? plainNorm(this.config);
    const at = (part: string) => `${name}.bn.${part}`;
    const set = (part: string, f: (i: number) => number) =>
      tensors.set(at(part), {
        dtype: "F32",
        shape: [channels],
        data: Float32Array.from({ length: channels }, (_, i) => f(i)),
      });
    const ensure = (part: string, value: number): boolean => {
      if (tensors.has(at(part))) return false;
      set(part, () => value);
      return true;
    };
    const extra = layer.bias && !this.folded.has(name) ? undefined : tensors.get(biasName(layer));
    const bias = extra && toFloat32(extra);
    if (!layer.bias) tensors.delete(biasName(layer));
    const affine = [ensure("weight", 1), ensure("bias", 0)].some(Boolean);
    const statistics = norm === "bn" && [ensure("running_mean", 0), ensure("running_var", 1)].some(Boolean);
    if (norm === "bn") tensors.set(at("num_batches_tracked"), countOf(tensors.get(at("num_batches_tracked"))));
    if (bias && this.folded.has(name)) {
      // y = W·x + b is a norm with mean 0, σ² + ε = 1, γ = 1 and β = b.
      set("bias", (i) => bias[i]!);
      if (norm === "bn") set("running_var", () => 1 - NORM_EPS);
      // Its own bias cannot be told from what was folded into it.
      if (layer.bias)
        tensors.set(biasName(layer), { dtype: "F32", shape: [channels], data: new Float32Array(channels) });
      return;
    }
    if (statistics) this.#lacking.statistics.push(name);
    if (affine && !this.replaced.has(`${name}.bn`))
      (norm === "in" || norm === "none" ? this.#assumed : this.#lacking.affine).push(name);
    if (!bias?.some((b) => b !== 0)) return;
    this.#absorbed.push(name);
    const read = (part: string) => toFloat32(tensors.get(at(part))!);
    if (norm === "bn") {
      const mean = read("running_mean");
      set("running_mean", (i) => mean[i]! - bias[i]!);
    } else if (norm === "none") {
      const [gamma, beta] = [read("weight"), read("bias")];
      set("bias", (i) => beta[i]! + gamma[i]! * bias[i]!);
    } else if (norm !== "in") this.#lacking.bias.push(name);
  }

  /** What keeps the network from running. */
  reasons(): string[] {
    const { statistics, affine, bias } = this.#lacking;
    return [
      ...(statistics.length ? [`the running statistics of ${listed(statistics)} are missing`] : []),
      ...(affine.length ? [`γ or β of the norms of ${listed(affine)} are missing`] : []),
      ...(bias.length
        ? [`the maps of ${listed(bias)} have biases in front of their norm, which the claimed network has not`]
        : []),
    ];
  }

  /** What was made of what is there. */
  notes(): string[] {
    return [
      ...(this.#assumed.length
        ? [`the norms of ${listed(this.#assumed)} have no γ and β and are read with 1 and 0`]
        : []),
      ...(this.#absorbed.length
        ? [`biases in front of the norms of ${listed(this.#absorbed)} are read as a part of the norm`]
        : []),
    ];
  }
}
