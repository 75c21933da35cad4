import { flag, instance, oneOf, optionsOf, refuse } from "../demand";
import { ArgumentError } from "../errors";
import { isPlain, listed, shown } from "../io/shown";
import type { Module } from "../nn/module";
import { Norm } from "../nn/norm";
import { means } from "../nn/select";
import { Generator } from "../tensor/random";
import type { Tensor } from "../tensor/tensor";
import { channelsIn } from "./channels";
import { geometryOf, outputsOf } from "./linear-map";
import type { PassportPlace } from "./place";
import { checkPlace, checkPlan, faultOf } from "./plan";
import { Protected } from "./protected";
import { branchesOf, hasFc, PASSPORT_SCHEMES, type Scheme } from "./schemes";
import { capacity, checkText, decodeBytes, signatureBytes, spreadSignature } from "./signature";
import { makeSites, type SiteParts } from "./site";
import type { SignatureText } from "./texts";
import {
  expectNetwork,
  firstNames,
  mapInFront,
  type Network,
  type NetworkSample,
  type NetworkTrace,
  type TracedMap,
  traceNetwork,
} from "./trace";

/** What is said of one norm, or of a group of them. */
export interface PlaceOptions {
  /** A text that the first signature bits spell; without one they are random. */
  text?: string | Uint8Array;
  /**
   * The map whose weights the passport goes through, by name, where it is not the one right in
   * front of the norm: any convolution or linear layer with as many outputs as the norm has
   * channels.
   */
  map?: string;
}

/** Options of {@link protect}. */
export interface ProtectOptions {
  scheme: Exclude<Scheme, "plain">;
  /**
   * Which norms get passports: `true` for all that have a map in front; names, names of modules
   * for all norms below them, or patterns (`*` stands for any characters, dots too); or an object
   * from those to a text, to options (`text`, `map`), or to `true`.
   */
  at: true | string | readonly string[] | Readonly<Record<string, true | string | PlaceOptions>>;
  /**
   * One input of the network: its shape, batch included, or a tensor where the network takes
   * integers; several such in a list or by name, where `forward` takes several. One pass of it,
   * without its kernels, shows how the layers hang together.
   */
  sample: NetworkSample;
  /** A text spread over the passports that have none of their own, in order. */
  signature?: string;
  /** `pan`: send γ and β through the shared FC (default true). */
  fc?: boolean;
  /**
   * Running statistics of batch norms with a passport: one set per branch (default), or one that
   * both use and move.
   */
  statistics?: "separate" | "shared";
  /**
   * Norms without a passport that the private branch has its own γ, β and statistics of, named as
   * in `at`. The branches part at the first of them.
   */
  separate?: readonly string[];
  /** Source of passports, random bits and the FC (default: the platform's own randomness). */
  random?: Generator;
}

const OPTIONS = ["scheme", "at", "sample", "signature", "fc", "statistics", "separate", "random"] as const;

/**
 * Puts passports at norms of a network: each gets a second branch whose γ and β come from secret
 * inputs of the linear map in front of it. The network's layers, weights and code stay what they
 * are; its outputs in the public branch are its own to the bit, so that a trained network can be
 * protected and trained on. The two branches share everything in front of the first passport and
 * run as one batch of 2N behind it.
 *
 * Source: Zhang et al., "Passport-aware Normalization for Deep Model Protection", NeurIPS 2020
 * (`pan`); Fan et al., "DeepIPR", TPAMI 2021 (`v1`, `v2`, `v3`).
 *
 * @example
 * const owned = protect(net, { scheme: "pan", at: ["block3.norm2", "block4.*"], signature: "ACME", sample: [1, 32, 32, 3] });
 * @throws ArgumentError for a name that is no norm's, a norm that no map fits, one that the pass
 * meets twice or never, a map that no credential can describe (of more than 4096 taps, padded by
 * more than it reaches), texts that do not fit, and options that are none; each says what there is.
 * Whatever the network's own `forward` throws.
 */
export function protect<N extends Network>(network: N, options: ProtectOptions): Protected<N> {
  const what = "protect";
  if (network instanceof Protected)
    throw new ArgumentError("protect: this network is protected already: give it the network itself");
  expectNetwork(what, "its first argument", network);
  const given = optionsOf(what, options, OPTIONS);
  const scheme = oneOf(what, "scheme", given.scheme, PASSPORT_SCHEMES);
  const { statistics = "separate", signature, random = freshGenerator(), separate = [] } = given;
  if (!Array.isArray(separate) || !separate.every((key) => typeof key === "string"))
    refuse(what, "separate", "a list of names", separate);
  if (signature !== undefined) checkText(what, "signature", signature);
  oneOf(what, "statistics", statistics, ["separate", "shared"]);
  instance(what, "random", random, Generator);
  if (given.fc !== undefined) {
    flag(what, "fc", given.fc);
    if (scheme !== "pan") throw new ArgumentError(`fc belongs to scheme "pan", this is "${scheme}": leave it out`);
  }
  const fc = hasFc({ scheme, fc: given.fc });
  const norms = new Norms(network, traceNetwork(network, given.sample), scheme === "v1");
  const chosen = norms.choose(given.at);
  const own = chosen.map(({ text }) => text);
  if (signature !== undefined) spread(signature, chosen);
  if (separate.length && branchesOf(scheme).length === 1)
    throw new ArgumentError(
      `separate: scheme "${scheme}" has one branch, which has every norm for itself: leave it out`,
    );
  const others = norms.others(separate, new Set(chosen.map((c) => c.name)));
  const texts = textsOf(chosen, own, signature);
  const places = chosen.map(({ name, traced, text }) => placeOf(name, traced, text?.length));
  // What no reader takes would be found out when the network is trained, and cannot be claimed.
  checkPlan({ scheme, fc, statistics, places, separate: others.map((other) => other.name), texts });
  const sites = makeSites(network, { scheme, fc, statistics }, [
    ...chosen.map(({ name, norm, traced: { map }, text }, i): SiteParts => {
      const place = places[i]!;
      return { name, norm, passport: { place, map, signature: text ?? "", random: random.fork(name) } };
    }),
    ...others.map((other): SiteParts => ({ ...other, passport: null })),
  ]);
  const { trace } = norms;
  // They take longer to find than the rest, and are asked for when a credential is made.
  const channels = () => channelsIn(trace);
  return new Protected(network, { scheme, fc, sites, texts, inputShape: trace.inputShape, channels });
}

/** From the platform's own randomness: nobody can guess what passports are drawn from it. */
const freshGenerator = (): Generator => {
  const [high, low] = crypto.getRandomValues(new Uint32Array(2)) as unknown as [number, number];
  return new Generator((high & 0x1fffff) * 2 ** 32 + low).fork(String(crypto.getRandomValues(new Uint32Array(4))));
};

/** Where a passport is, in words that files hold. */
const placeOf = (norm: string, { map, weight, bias, x }: TracedMap, text = 0): PassportPlace => ({
  norm,
  weight,
  ...(bias !== undefined && { bias }),
  text,
  ...geometryOf(map, x.shape.slice(1, -1)),
});

/** A norm that gets a passport. */
interface Chosen {
  readonly name: string;
  readonly norm: Norm;
  readonly traced: TracedMap;
  text: Uint8Array | undefined;
}

/** Deals a text out over the norms that have none of their own. */
function spread(signature: string, chosen: readonly Chosen[]): void {
  const free = chosen.filter(({ text }) => text === undefined);
  const parts = spreadSignature(
    signature,
    free.map(({ traced }) => outputsOf(traced.map)),
  );
  free.forEach((c, i) => {
    c.text = parts[i]!;
  });
}

/** The texts of a network: those of single norms in order, then the one that is spread. */
function textsOf(
  chosen: readonly Chosen[],
  own: readonly (Uint8Array | undefined)[],
  signature: string | undefined,
): SignatureText[] {
  const texts = chosen.flatMap(({ name }, i): SignatureText[] =>
    own[i]?.length ? [{ text: decodeBytes(own[i]!), layers: [name] }] : [],
  );
  if (!signature) return texts;
  return [...texts, { text: signature, layers: chosen.filter((_, i) => own[i] === undefined).map((c) => c.name) }];
}

/**
 * The norms of a traced network, and which of them can take a passport. One that is held in several
 * places is found by each of its names, and called by the first.
 */
class Norms {
  /** The first name of each. */
  readonly names: readonly string[];
  readonly #modules: ReadonlyMap<string, Module>;
  readonly #firstNames: ReadonlyMap<Module, string>;
  readonly #byName: ReadonlyMap<string, Norm>;
  readonly #tied: ReadonlySet<Tensor>;

  constructor(
    network: Network,
    readonly trace: NetworkTrace,
    /** γ and β of passports take the places of the norm's own. */
    private readonly replaced: boolean,
  ) {
    this.#modules = new Map(network.namedModules());
    this.#firstNames = firstNames(network);
    this.#byName = new Map(network.find(Norm as never) as [string, Norm][]);
    this.names = this.#called([...this.#byName.keys()]);
    this.#tied = tiedTensors(network);
  }

  /** The norms that `at` means, in the order of their names. */
  choose(at: ProtectOptions["at"]): Chosen[] {
    const chosen = new Map<string, Chosen>();
    const said = new Map<string, string>();
    // What is said of one norm counts more than what is said of many, in whichever order.
    const breadth = (key: string) => (this.#byName.has(key) ? Number.NEGATIVE_INFINITY : -key.split(".").length);
    const sayings = sayingsOf(at).sort(([a], [b]) => breadth(b) - breadth(a));
    for (const [key, { text, map }] of sayings) {
      const exact = this.#byName.has(key);
      const names = exact ? this.#meant(key) : this.#meant(key).filter((name) => this.#fault(name) === null);
      if (!exact && !names.length) this.#none(key);
      if ((text !== undefined || map !== undefined) && names.length > 1)
        throw new ArgumentError(
          `protect: at: ${shown(key)} means ${listed(names)}: name one of them for a text or a map, or spread a text with \`signature\``,
        );
      for (const name of names) {
        const before = exact ? (said.get(name) ?? key) : key;
        if (before !== key)
          throw new ArgumentError(
            `protect: at: ${shown(before)} and ${shown(key)} are one norm: leave one of them out`,
          );
        if (exact) said.set(name, key);
        chosen.set(name, this.#chosen(name, text, map));
      }
    }
    const order = new Map(this.names.map((name, i) => [name, i]));
    if (!chosen.size)
      throw new ArgumentError(`protect: at: one norm or more expected, found none; there are ${this.#possible()}`);
    return [...chosen.values()].sort((a, b) => order.get(a.name)! - order.get(b.name)!);
  }

  /** Norms of the pass that keep no passport. */
  others(keys: readonly string[], taken: ReadonlySet<string>): { name: string; norm: Norm }[] {
    const met = new Set(this.trace.norms.map(({ norm }) => norm));
    const names = keys.flatMap((key) => {
      const meant = this.#meant(key);
      const found = meant.filter((name) => met.has(this.#byName.get(name)!));
      if (found.length) return found;
      throw new ArgumentError(
        meant.length
          ? `protect: separate: the pass of the sample never meets ${listed(meant)}, which the private branch would not learn: leave ${shown(key)} out`
          : `protect: separate: ${shown(key)} means no norm of this network; its norms are ${listed(this.names)}`,
      );
    });
    return [...new Set(names)].filter((n) => !taken.has(n)).map((name) => ({ name, norm: this.#byName.get(name)! }));
  }

  /** The norms that one of their names, a pattern, or the name of a module above them means. */
  #meant(key: string): string[] {
    const keys = this.#byName.has(key) ? [key] : [...this.#byName.keys()].filter(means(key));
    return this.#called(keys);
  }

  /** Norms by the first of their names, each once. */
  #called = (names: readonly string[]): string[] => [
    ...new Set(names.map((name) => this.#firstNames.get(this.#byName.get(name)!)!)),
  ];

  #none(key: string): never {
    const meant = this.#meant(key);
    const faults = meant.map((name) => this.#fault(name)).slice(0, 4);
    throw new ArgumentError(
      meant.length
        ? `protect: at: of the norms that ${shown(key)} means, none can take a passport: ${faults.join("; ")}`
        : `protect: at: ${shown(key)} means no norm of this network; those that can take a passport are ${this.#possible()}`,
    );
  }

  #possible(): string {
    const names = this.names.filter((name) => this.#fault(name) === null);
    return names.length ? listed(names) : "none: a passport needs a norm with a convolution or a linear map in front";
  }

  #chosen(name: string, text: string | Uint8Array | undefined, map: string | undefined): Chosen {
    const fault = this.#fault(name, map);
    if (fault !== null) throw new ArgumentError(`protect: at: ${fault}`);
    const norm = this.#byName.get(name)!;
    const traced = this.#map(norm, map)!;
    const bytes = typeof text === "string" ? new TextEncoder().encode(text) : text;
    const channels = outputsOf(traced.map);
    if (bytes && bytes.length > capacity(channels))
      throw new ArgumentError(
        `the signature ${typeof text === "string" ? `${shown(text)} ` : ""}of ${name} takes ${typeof text === "string" ? signatureBytes(text) : bytes.length} bytes; its ${channels} channels hold ${capacity(channels)}: shorten it, put it into a wider layer, or spread it over layers with \`signature\``,
      );
    return { name, norm, traced, text: bytes };
  }

  /** The map of a norm's passport. */
  #map(norm: Norm, map: string | undefined): TracedMap | undefined {
    if (map !== undefined) return this.trace.maps.find((m) => m.map === this.#modules.get(map));
    const met = this.trace.norms.find((n) => n.norm === norm);
    return met && mapInFront(this.trace, met);
  }

  /** Why a norm cannot take a passport; null where it can. */
  #fault(name: string, map?: string): string | null {
    const norm = this.#byName.get(name)!;
    const { trace } = this;
    const met = trace.norms.filter((n) => n.norm === norm);
    if (!met.length) return `the pass of the sample never meets ${name}: is it called otherwise than by its forward?`;
    if (met.length > 1) return `${name} runs ${met.length} times in one pass, and a passport is for one place`;
    const channels = met[0]!.x.shape.at(-1)!;
    const fitting = trace.maps.filter((m) => outputsOf(m.map) === channels);
    const maps = fitting.length
      ? `maps with its ${channels} outputs are ${listed(fitting.map((m) => m.name))}`
      : `no map has its ${channels} outputs`;
    const traced = this.#map(norm, map);
    if (!traced)
      return map === undefined
        ? `no convolution or linear layer stands right in front of ${name}: name one, as at: { ${shown(name)}: { map: "…" } }; ${maps}`
        : `the pass of the sample meets no convolution or linear layer ${shown(map)}; ${maps}`;
    if (outputsOf(traced.map) !== channels)
      return `${traced.name} has ${outputsOf(traced.map)} outputs and ${name} ${channels} channels; ${maps}`;
    const times = trace.maps.filter((m) => m.map === traced.map).length;
    if (times > 1)
      return `${traced.name}, whose weights the passport of ${name} would go through, runs ${times} times in one pass`;
    const { over } = norm;
    if (typeof over === "object" && "shape" in over && over.shape.length !== 1)
      return `${name} has γ and β of ${over.shape.length} dimensions, and passports give one number per channel`;
    if (this.replaced) {
      const { weight, bias } = norm;
      if (!weight || !bias)
        return `${name} has no γ and β of its own, in whose places those of scheme "v1" would be deployed`;
      if (this.#tied.has(weight) || this.#tied.has(bias))
        return `γ or β of ${name} is a tensor of another module too, and scheme "v1" would deploy its own in the place of both`;
    }
    return faultOf(() => checkPlace(placeOf(name, traced), `a passport of ${name}`));
  }
}

/** Tensors that several modules hold. */
function tiedTensors(network: Network): ReadonlySet<Tensor> {
  const holders = new Map<Tensor, Module>();
  const tied = new Set<Tensor>();
  network.visit({
    tensor(t, { parent }) {
      if ((holders.get(t) ?? parent) !== parent) tied.add(t);
      holders.set(t, parent);
    },
  });
  return tied;
}

/** What `at` says, one by one. */
function sayingsOf(at: unknown): [key: string, PlaceOptions][] {
  if (at === true) return [["*", {}]];
  if (typeof at === "string") return [[at, {}]];
  const isKey = (key: unknown): key is string => typeof key === "string" && key !== "";
  if (Array.isArray(at) && at.every(isKey)) return at.map((key) => [key, {}]);
  if (!isPlain(at)) refuse("protect", "at", "true, a name, a list of names, or an object from names to texts", at);
  return Object.entries(at as object).map(([key, value]: [string, unknown]) => {
    if (value === true) return [key, {}];
    if (typeof value === "string") return [key, { text: checkText("protect", `text at ${key}`, value) }];
    const options = optionsOf(`protect: at: ${key}`, value as PlaceOptions, ["text", "map"]);
    const { text, map } = options;
    if (text !== undefined && typeof text !== "string" && !(text instanceof Uint8Array))
      refuse("protect", `text at ${key}`, "a text or its bytes", text);
    if (typeof text === "string") checkText("protect", `text at ${key}`, text);
    if (map !== undefined && typeof map !== "string") refuse("protect", `map at ${key}`, "the name of a map", map);
    return [key, options];
  });
}
