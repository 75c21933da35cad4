import { flag, instance, objectOf, optionsOf, refuse } from "../demand";
import { ArgumentError, StateDictError } from "../errors";
import { hostVector, type StateDict } from "../io/host-tensor";
import type { SafetensorsFile } from "../io/safetensors";
import { shown } from "../io/shown";
import type { NonSharedFloat32Array } from "../io/typed-arrays";
import { BatchNorm } from "../nn/batch-norm";
import { contentsOf } from "../nn/contents";
import { Dropout } from "../nn/layers";
import { Module } from "../nn/module";
import type { Norm } from "../nn/norm";
import { duringPass } from "../nn/pass";
import { checkStateDict } from "../nn/state";
import { type LoadReport, TAKE_WHAT_FITS } from "../nn/state-dict";
import type { Affine } from "../tensor/ops/norm/affine";
import { RandomStream } from "../tensor/ops/random";
import { Generator } from "../tensor/random";
import type { Shape } from "../tensor/shape";
import { scope } from "../tensor/storage";
import { noGrad, type Tensor } from "../tensor/tensor";
import { BranchPass, type PassOptions } from "./branch-pass";
import type { Branch, BranchAccuracy } from "./branches";
import { BUILT_IN, type BuiltIn, type SecretPlan } from "./built-in";
import { type Channels, channelsOf } from "./channels";
import { credentialFile, deployedFile } from "./files";
import { type LayerSigns, matchedBits } from "./matches";
import { partOf } from "./outputs";
import { secretName } from "./place";
import { branchesOf, type Scheme } from "./schemes";
import type { SignLossOptions } from "./sign-loss";
import { hasPassport, type PassportSite, type Site } from "./site";
import type { SignatureText } from "./texts";
import { expectNetwork, firstNames, type Inputs, type InputsOf, type Network } from "./trace";

/** Outputs of one training pass. */
export interface TrainingPass<O = Tensor> {
  /** What the network gives in each branch that ran: logits, or whatever else. */
  outputs: Partial<Record<Branch, O>>;
  /** Σ over the passports of the sign loss; null without, or where no passport branch ran. */
  signLoss: Tensor | null;
  /** What the network adds to the loss of each branch by itself, where it adds something. */
  penalties: Partial<Record<Branch, Tensor>>;
}

/** How a training pass runs. */
export interface TrainingPassOptions extends Pick<PassOptions, "aroundTrunk" | "measured"> {
  /** Default: all there are. */
  branches?: readonly Branch[] | undefined;
  /** Constants of the sign loss (default those of {@link SignLossOptions}). */
  signLoss?: SignLossOptions | undefined;
  /** γ and β for some norms, by name, in the place of their own. */
  affine?: ((name: string) => Affine | undefined) | undefined;
}

const PASS_OPTIONS = ["branches", "signLoss", "aroundTrunk", "measured", "affine"] as const;

/** What {@link Protected.deployed} may do beside. */
export interface DeployOptions {
  /**
   * Fold batch norm into the convolutions: one kernel less a layer, the same function up to
   * rounding (default false). For the networks of this package.
   */
  foldNorm?: boolean;
}

/** γ and β of each passport, as constants, by the norm's name. */
export type GammaBetas = Map<string, { gamma: NonSharedFloat32Array; beta: NonSharedFloat32Array }>;

/** What `forward` of a network gives. */
export type OutputOf<N> = N extends { forward(x: never): infer O } ? O : never;

/** What a {@link Protected} is put together from. */
export interface Protection {
  readonly scheme: Scheme;
  readonly fc: boolean;
  readonly sites: readonly Site[];
  readonly texts: readonly SignatureText[];
  /** Shape of the input of the traced pass; null without a pass, and for several inputs. */
  readonly inputShape: Shape | null;
  /** Which channels of the network hang together; null where nothing was traced. */
  readonly channels?: (() => Channels) | null;
}

/**
 * A network with passports at some of its norms. The network is an ordinary module, and stays one:
 * its code is written for one tensor, its layers are what they were, and what is deployed is its
 * own state dict. What the owner keeps lies beside it.
 *
 * Names in state dicts: the network's own, and `NORM.passport.skey`, `….key`, `….b`,
 * `….fc.0.weight` and so on for each norm; those of the papers' networks are the authors'.
 */
export class Protected<N extends Network = Network> extends Module {
  readonly scheme: Scheme;
  /** The texts that the signature bits spell. */
  readonly texts: readonly SignatureText[];
  /**
   * Shape of the sample that the network was traced with, batch included; null where none was, or
   * several inputs were.
   */
  readonly inputShape: Shape | null;
  #channels: Channels | (() => Channels) | null;
  readonly #network: N;
  readonly #sites: readonly Site[];
  readonly #plan: SecretPlan;
  readonly #byNorm: ReadonlyMap<Module, Site>;
  readonly #normNames: ReadonlyMap<Module, string>;
  readonly #siteNames: ReadonlySet<string>;
  readonly #unused: ReadonlySet<string>;
  readonly #builtIn: BuiltIn | undefined;

  /**
   * @internal
   * @throws ArgumentError for what is no network, or no passports at places of it: use `protect`.
   */
  constructor(network: N, protection: Protection) {
    super();
    expectNetwork("Protected", "network", network);
    const what = "what protect() puts together, { scheme, fc, sites, texts, inputShape }";
    const { scheme, fc, sites, texts, inputShape, channels = null } = objectOf("Protected", what, protection);
    if (!Array.isArray(sites)) refuse("Protected", "sites", "a list of sites, as protect() makes them", sites);
    this.#network = network;
    this.#sites = sites;
    this.scheme = scheme;
    this.texts = texts;
    this.inputShape = inputShape;
    this.#plan = planOf({ scheme, fc, sites, texts });
    this.#byNorm = new Map(sites.map((s) => [s.norm, s]));
    this.#normNames = firstNames(network);
    this.#siteNames = new Set(sites.map(({ name }) => name));
    // Where passports alone give γ and β, the norm's own are never used.
    const replaced = scheme === "v1" ? sites.filter(hasPassport).flatMap(({ norm }) => [norm.weight, norm.bias]) : [];
    this.#unused = pathsOf(network, new Set(replaced));
    const builtIn = (network as Partial<Record<typeof BUILT_IN, BuiltIn>>)[BUILT_IN];
    this.#builtIn = builtIn;
    // Passports that were put back from a credential came without a trace.
    this.#channels = channels ?? (builtIn ? () => channelsOf(network, [1, ...builtIn.input]) : null);
  }

  /** The ordinary network. */
  get network(): N {
    return this.#network;
  }

  /** Norms that the branches do not share, in the order of their names in the state dict. */
  get sites(): readonly Site[] {
    return this.#sites;
  }

  /**
   * Which channels of the network hang together, as the traced pass showed; null where there was
   * none, and the network is none of this package's.
   */
  get channels(): Channels | null {
    if (typeof this.#channels === "function") this.#channels = this.#channels();
    return this.#channels;
  }

  /** Shape of one sample, where it is known. */
  get sampleShape(): readonly number[] | null {
    return this.#builtIn?.input ?? this.inputShape?.slice(1) ?? null;
  }

  /** Number of classes, of a classifier of this package. */
  get classes(): number | null {
    return this.#builtIn?.classes ?? null;
  }

  /** The network's own, and beside each norm what the owner keeps of it. */
  override *children(): Iterable<[string, Module]> {
    yield ["", this.network];
    for (const site of this.sites) yield [secretName(site), site.secret];
  }

  protected override stateName(path: string): string | null {
    if (this.#unused.has(path)) return null;
    if (this.#builtIn) return this.#builtIn.names(path, this.#plan);
    const end = path.lastIndexOf(SECRET);
    const isSecret = end >= 0 && this.#siteNames.has(path.slice(0, end));
    return isSecret ? path : this.#network["stateName"](path);
  }

  /** What of the network carries a secret, as files say it. */
  get plan(): SecretPlan {
    return this.#plan;
  }

  /**
   * The branches there are: `public`, with two of them `private`, and `passport` alone where the
   * network works with its passports only.
   */
  get branches(): readonly Branch[] {
    return branchesOf(this.scheme);
  }

  /** The norms with a passport, in the order of their names in the state dict. */
  passportSites(): PassportSite[] {
    return this.sites.filter(hasPassport);
  }

  /**
   * What the network gives in one branch (default: the one that is given away).
   * @throws ArgumentError when the network has no such branch.
   */
  forward(x: InputsOf<N>, branch: Branch = this.branches[0]!): OutputOf<N> {
    this.checkBranches([branch]);
    return this.#run(x, new BranchPass([branch], this.#byNorm));
  }

  /**
   * What the network gives in several branches for one batch, and the sign loss; what the branches
   * share is computed once. What the network wants beside is in `penalties`.
   * @throws ArgumentError as {@link forward}, and for outputs that are no tensors, nor lists or
   * objects of such.
   */
  trainingPass(x: InputsOf<N>, options?: TrainingPassOptions): TrainingPass<OutputOf<N>> {
    const given = optionsOf("trainingPass", options, PASS_OPTIONS);
    const { branches = this.branches, signLoss = {}, aroundTrunk, measured, affine } = given;
    this.checkBranches(branches);
    const byName = affine && ((norm: Norm) => affine(this.#normNames.get(norm)!));
    const how = { signLoss, aroundTrunk, measured, affine: byName };
    const pass = new BranchPass([...new Set(branches)], this.#byNorm, how);
    const whole = this.#run(x, pass);
    const cut = new Map<Tensor, Tensor[]>();
    const each = pass.branches.map((_, i) => partOf(whole, i, cut));
    const outputs = Object.fromEntries(pass.branches.map((b, i) => [b, each[i]])) as TrainingPass<
      OutputOf<N>
    >["outputs"];
    return { outputs, signLoss: pass.signLoss, penalties: pass.penalties };
  }

  /**
   * Says which step of which run the next training pass belongs to: what dropout draws, and every
   * other `RandomStream` that a module holds, is a function of both alone, so that a resumed run
   * draws what the other would have. Without it, draws go on from pass to pass.
   */
  beginStep(seed: number, step: number): void {
    for (const [path, module] of this.network.namedModules())
      for (const { name, value } of contentsOf(module, isStream)) {
        // Dropout's stream has the name of the layer, as in runs that began before others had one.
        const place = module instanceof Dropout ? path : [path, name].join(".");
        const { key } = new Generator(seed).fork(place).state();
        value.restore({ key, step, draw: 0 });
      }
  }

  /** γ_raw of every passport against its signature bits. */
  async readSigns(): Promise<LayerSigns[]> {
    return Promise.all(
      this.passportSites().map(async ({ name, secret: { passport } }) => {
        const [gamma, bits] = await Promise.all([passport.readGamma(), passport.b.data()]);
        return { name, gamma, bits, matched: matchedBits(gamma, bits), unread: await passport.unread(gamma) };
      }),
    );
  }

  /** Replaces every passport by fresh random numbers: a stranger's forgery. */
  randomPassports(random: Generator): void {
    instance("randomPassports", "random", random, Generator);
    for (const { name, secret } of this.passportSites()) secret.passport.randomPassports(random.fork(name));
  }

  /**
   * γ and β that the passports give with the weights as they are, behind the FC where there is one,
   * by the norm's name.
   */
  async readGammaBeta(): Promise<GammaBetas> {
    // All are worked out before anything is awaited: they are of one moment.
    const reading = this.passportSites().map(async ({ name, secret }) => {
      const rows = scope(() => noGrad(() => secret.passport.gammaBeta().rows));
      const both = await rows.data();
      rows.dispose();
      const channels = both.length / 2;
      return [name, { gamma: both.slice(0, channels), beta: both.slice(channels) }] as const;
    });
    return new Map(await Promise.all(reading));
  }

  /**
   * What may be given away: exactly the state dict of the unprotected network, nothing private
   * inside. Of a network that works with its passports only (`v1`) the γ and β they give, as
   * constants in the place of the norm's own.
   * @throws ArgumentError when norms cannot be folded: of another network than this package's,
   * another norm than batch norm, or scheme `v1`.
   */
  async deployed(options?: DeployOptions): Promise<SafetensorsFile> {
    const { foldNorm = false } = optionsOf("deployed", options, ["foldNorm"]);
    flag("deployed", "foldNorm", foldNorm);
    const builtIn = this.#builtIn;
    if (foldNorm && this.scheme === "v1")
      throw new ArgumentError(
        "scheme v1 cannot fold its norms: γ = avg(W * P) times W has the signature's signs squared away, and nobody could verify the network any more",
      );
    if (foldNorm && !builtIn)
      throw new ArgumentError("foldNorm: only the networks of this package can run without their norms: leave it out");
    // Both are asked for at once, so that a training that goes on meanwhile comes between none of
    // their parts.
    const [constants, state] = await Promise.all([
      this.scheme === "v1" ? this.readGammaBeta() : (new Map() as GammaBetas),
      this.network.stateDict(),
    ]);
    const values = new Map<Tensor | null, NonSharedFloat32Array>();
    for (const { name, norm } of this.passportSites()) {
      const own = constants.get(name);
      if (own) values.set(norm.weight, own.gamma).set(norm.bias, own.beta);
    }
    for (const [name, t] of this.network.namedTensors()) {
      const value = values.get(t);
      if (value) state.set(name, hostVector(value));
    }
    const folded = foldNorm && builtIn ? builtIn.fold(state) : { state, model: builtIn?.model() };
    return deployedFile(folded.state, folded.model);
  }

  /**
   * What only the owner keeps: passports, signature, FC, private statistics and the claimed
   * accuracies, and in words where each passport sits. Whoever has it can claim the network. Which
   * channels hang together is left out of files that it would make too long.
   * @throws ArgumentError for a network without passports, and accuracies that are none.
   */
  async credential(claimed: BranchAccuracy = {}): Promise<SafetensorsFile> {
    if (this.scheme === "plain") throw new ArgumentError("a plain network has nothing private to keep");
    const tensors = await new Secrets(this.sites).stateDict();
    const model = this.#builtIn?.model();
    return credentialFile(tensors, { ...this.plan, claimed, model, channels: this.channels ?? undefined });
  }

  /**
   * Takes what the owner keeps from the tensors of a credential; the network stays as it is.
   * @throws StateDictError when they are not those of this network; nothing is changed then.
   */
  loadSecrets(tensors: StateDict): void {
    try {
      new Secrets(this.sites).loadStateDict(tensors);
    } catch (cause) {
      if (!(cause instanceof StateDictError)) throw cause;
      const own = ": pass the tensors of a credential of this network";
      throw new StateDictError(cause.message.replace(TAKE_WHAT_FITS, own), { cause });
    }
  }

  /**
   * As {@link Module.loadStateDict}; networks of the papers take checkpoints of the authors' code
   * as they are.
   */
  override loadStateDict(dict: StateDict, options?: { strict?: boolean }): LoadReport {
    checkStateDict(dict);
    const prepared = this.#builtIn?.prepare(dict, this.plan, this);
    try {
      return super.loadStateDict(prepared?.state ?? dict, options);
    } catch (cause) {
      const hint = cause instanceof StateDictError ? prepared?.hint : "";
      if (!hint) throw cause;
      throw new StateDictError(`${(cause as StateDictError).message}${hint}`, { cause });
    }
  }

  /** What the network is, weights and secrets apart; JSON-able. */
  fingerprint(): object {
    const shapes = this.namedTensors().map(([name, t]) => `${name} ${t.shape.join("×")}`);
    return { ...this.plan, ...(this.#builtIn ? { model: this.#builtIn.model() } : { shapes }) };
  }

  #run(x: InputsOf<N>, pass: BranchPass): OutputOf<N> {
    return duringPass(pass, () => this.network.forward(x as Inputs)) as OutputOf<N>;
  }

  private checkBranches(branches: readonly Branch[]): void {
    if (!Array.isArray(branches)) refuse("trainingPass", "branches", "a list of branches", branches);
    const unknown = branches.find((b) => !this.branches.includes(b));
    if (unknown === undefined && branches.length) return;
    const there = this.branches.map((b) => `"${b}"`).join(" and ");
    throw new ArgumentError(
      `a network of scheme "${this.scheme}" has the branch ${there}, found ${shown(unknown ?? "none")}`,
    );
  }
}

function planOf({ scheme, fc, sites, texts }: Pick<Protection, "scheme" | "fc" | "sites" | "texts">): SecretPlan {
  // Of one branch there is nobody to share them with.
  const two = branchesOf(scheme).length > 1;
  const shared = two && sites.some((s) => s.place && s.norm instanceof BatchNorm && !s.secret.norm);
  return {
    scheme,
    fc,
    statistics: shared ? "shared" : "separate",
    places: sites.filter(hasPassport).map(({ place }) => place),
    separate: sites.filter((s) => !hasPassport(s)).map((s) => s.name),
    texts,
  };
}

/** Where tensors of a network lie in it. */
function pathsOf(network: Module, tensors: ReadonlySet<Tensor | null>): ReadonlySet<string> {
  const paths = new Set<string>();
  network.visit({ tensor: (t, { path }) => void (tensors.has(t) && paths.add(path)) });
  return paths;
}

/** What stands between a norm's name and that of a tensor of its secret. */
const SECRET = `${secretName({ name: "" })}.`;

const isStream = (value: unknown): value is RandomStream => value instanceof RandomStream;

/** The secrets of a network by themselves, under the names that credentials give them. */
class Secrets extends Module {
  readonly #sites: readonly Site[];

  constructor(sites: readonly Site[]) {
    super();
    this.#sites = sites;
  }

  override *children(): Iterable<[string, Module]> {
    for (const site of this.#sites) yield [secretName(site), site.secret];
  }
}

const plain = new WeakMap<Module, Protected>();

/**
 * A module as whoever trains and measures sees it: protected as it is, or with no passports.
 * @throws ArgumentError for what is no module with a `forward`.
 */
export function asProtected(what: string, name: string, model: unknown): Protected {
  if (model instanceof Protected) return model;
  const network = expectNetwork(what, name, model);
  const known = plain.get(network);
  if (known) return known;
  const none = { scheme: "plain", fc: false, sites: [], texts: [], inputShape: null } as const;
  const made = new Protected(network, none);
  plain.set(network, made);
  return made;
}
