import { whole } from "../demand";
import { ArgumentError, StateDictError } from "../errors";
import type { StateDict } from "../io/host-tensor";
import type { SafetensorsFile } from "../io/safetensors";
import { titleOf } from "../nn/contents";
import { inMode } from "../nn/mode";
import { Module } from "../nn/module";
import { checkStateDict } from "../nn/state";
import type { LoadReport } from "../nn/state-dict";
import type { Branch, BranchAccuracy } from "../passport/branches";
import { PassportLayer } from "../passport/layer";
import { matchedBits } from "../passport/matches";
import type { SignLossOptions } from "../passport/sign-loss";
import { Generator } from "../tensor/random";
import { keep, scope } from "../tensor/storage";
import { noGrad, type Tensor } from "../tensor/tensor";
import { type Block, makeBlock } from "./block";
import { hintOfNorm, withAffine, withoutDuplicates, withoutUnused } from "./compat/state-dicts";
import { branchesOf, type NetworkSettings, passportPlan } from "./config";
import { credentialFile, deployedFile } from "./files";
import { Flow } from "./flow";
import type { MapLayer } from "./layers";
import { Pass, type PassOptions } from "./pass";
import type { GammaBetas } from "./split";

/** How many of a layer's signature bits the signs of γ match; a γ of 0 matches neither. */
export interface LayerSigns {
  name: string;
  gamma: Float32Array<ArrayBuffer>;
  bits: Float32Array<ArrayBuffer>;
  matched: number;
}

/** Signature bits of all layers together, and how many match. */
export const countSigns = (layers: readonly LayerSigns[]): { bits: number; matched: number } => ({
  bits: layers.reduce((n, l) => n + l.bits.length, 0),
  matched: layers.reduce((n, l) => n + l.matched, 0),
});

/** Outputs of one training pass. */
export interface TrainingPass {
  /** Logits of each branch that ran. */
  logits: Partial<Record<Branch, Tensor>>;
  /**
   * Σ over passport layers of the sign loss; null without passports, or where no passport branch
   * ran.
   */
  signLoss: Tensor | null;
  /** What the network adds to the loss of each branch by itself, where it adds something. */
  penalties: Partial<Record<Branch, Tensor>>;
}

/** How a training pass runs. */
export interface TrainingPassOptions extends Pick<PassOptions, "aroundTrunk" | "affine"> {
  /** Default: all there are. */
  branches?: readonly Branch[] | undefined;
  signLoss?: SignLossOptions | undefined;
}

/** What {@link Network.deployed} may do beside. */
export interface DeployOptions {
  /**
   * Fold batch norm into the convolutions: one kernel less a layer, the same function up to
   * rounding (default false).
   */
  foldNorm?: boolean;
}

/**
 * A classifier of images or point clouds by linear maps, plain or with passports at some of them,
 * in any of the schemes. What is the same for all architectures: branches, signatures, what is
 * given away and what is kept.
 *
 * Shape: x [N, H, W, C] or [N, P, 3] → logits [N, classes] of one branch.
 */
export abstract class Network extends Module {
  /** Private, since a subclass holds the same blocks in properties, which name them. */
  readonly #blocks: ReadonlyMap<string, Block>;
  /** Source of the weights that a subclass adds. */
  protected readonly random: Generator;

  protected constructor(
    readonly config: NetworkSettings,
    readonly layers: readonly MapLayer[],
    seed: number,
  ) {
    super();
    const plan = passportPlan(config, layers);
    this.random = new Generator(whole(titleOf(this), "seed", seed, 0));
    this.#blocks = new Map(
      layers.map((l) => [l.name, makeBlock(l, config, plan.get(l.name), this.random.fork(l.name))]),
    );
  }

  /** Every linear map and what follows it by name, in order. */
  protected get blocks(): ReadonlyMap<string, Block> {
    return this.#blocks;
  }

  /** Everything between inputs and logits, for as many branches as the pass has. */
  protected abstract body(pass: Pass, x: Flow): Flow;

  /** The configuration of the plain network that computes what the given-away branch does. */
  abstract plainConfig(): NetworkSettings;

  /**
   * The branches there are: `public`, with two of them `private`, and `passport` alone where the
   * network works with its passports only.
   */
  get branches(): readonly Branch[] {
    return branchesOf(this.config.scheme);
  }

  /**
   * Logits of one branch (default: the one that is given away).
   * @throws ArgumentError when the network has no such branch.
   */
  forward(x: Tensor, branch: Branch = this.branches[0]!): Tensor {
    this.checkBranches([branch]);
    return this.body(new Pass([branch]), new Flow(x)).tensor;
  }

  /**
   * Logits of several branches and the sign loss for one batch; what the branches share is computed
   * once. What the network wants beside is in `penalties`.
   * @throws ArgumentError as {@link forward}.
   */
  trainingPass(x: Tensor, options: TrainingPassOptions = {}): TrainingPass {
    const { branches = this.branches, signLoss = {}, aroundTrunk, affine } = options;
    this.checkBranches(branches);
    const pass = new Pass([...new Set(branches)], { signLoss, aroundTrunk, affine, penalties: true });
    const logits = pass.outputs(this.body(pass, new Flow(x)));
    return { logits, signLoss: pass.signLoss, penalties: pass.penalties };
  }

  /**
   * Says which step of which run the next training pass belongs to: what it draws at random, such
   * as dropout's masks, is a function of both alone, so that a resumed run draws what the other
   * would have. Without it, draws go on from pass to pass.
   */
  beginStep(_seed: number, _step: number): void {}

  /**
   * What every block is given for a batch: the feature maps that passports can be made of. In
   * evaluation mode, whatever the network's own; the caller disposes them.
   */
  layerInputs(x: Tensor, branch: Branch = this.branches[0]!): Map<string, Tensor> {
    this.checkBranches([branch]);
    const inputs = new Map<string, Tensor>();
    const visit = (name: string, input: Tensor) => void inputs.set(name, keep(input.detach()));
    const pass = () => void this.body(new Pass([branch], { visit }), new Flow(x));
    scope(() => noGrad(() => inMode(this, false, pass)));
    return inputs;
  }

  /**
   * As {@link Module.loadStateDict}; takes checkpoints of the authors' code as they are, with
   * tensors that are saved under two names, statistics that are never used, and norms without γ and
   * β.
   */
  override loadStateDict(dict: StateDict, options?: { strict?: boolean }): LoadReport {
    checkStateDict(dict);
    const state = withAffine(withoutUnused(withoutDuplicates(dict), this.layers), this);
    try {
      return super.loadStateDict(state, options);
    } catch (cause) {
      const hint = cause instanceof StateDictError ? hintOfNorm(state, this) : "";
      if (!hint) throw cause;
      throw new StateDictError(`${(cause as StateDictError).message}${hint}`, { cause });
    }
  }

  /** Passport layers with their names in state dicts, in order. */
  passportLayers(): { name: string; layer: PassportLayer }[] {
    return [...this.blocks].flatMap(([name, layer]) => (layer instanceof PassportLayer ? [{ name, layer }] : []));
  }

  /** γ_raw of every passport layer against its signature bits. */
  async readSigns(): Promise<LayerSigns[]> {
    return Promise.all(
      this.passportLayers().map(async ({ name, layer }) => {
        const [gamma, bits] = await Promise.all([layer.readGamma(), layer.b.data()]);
        return { name, gamma, bits, matched: matchedBits(gamma, bits) };
      }),
    );
  }

  /** Replaces every passport by fresh random numbers: a stranger's forgery. */
  randomPassports(random: Generator): void {
    for (const { name, layer } of this.passportLayers()) layer.randomPassports(random.fork(name));
  }

  /**
   * What may be given away: the public branch as a plain network of the same structure, nothing
   * private inside. Of a network that works with its passports only (`v1`) the γ and β they give,
   * as constants: the passports themselves, which the scheme hands out, are in {@link stateDict}
   * alone.
   * @throws ArgumentError when the norm to fold is not batch norm, or the scheme is `v1`.
   */
  async deployed({ foldNorm = false }: DeployOptions = {}): Promise<SafetensorsFile> {
    const { config, layers } = this;
    if (foldNorm && config.scheme === "v1")
      throw new ArgumentError(
        "scheme v1 cannot fold its norms: γ = avg(W * P) times W has the signature's signs squared away, and nobody could verify the network any more",
      );
    // Both are asked for at once, so that a training that goes on meanwhile comes between none of
    // their parts.
    const [gammaBetas, state] = await Promise.all([
      config.scheme === "v1" ? this.readGammaBeta() : undefined,
      this.stateDict(),
    ]);
    return deployedFile(state, { config, layers, plain: this.plainConfig(), gammaBetas, foldNorm });
  }

  /**
   * What only the owner keeps: passports, signature, FC, private statistics and the claimed
   * accuracies. Whoever has it can claim the network.
   * @throws ArgumentError for a plain one.
   */
  async credential(claimed: BranchAccuracy = {}): Promise<SafetensorsFile> {
    const { config, layers } = this;
    if (config.scheme === "plain") throw new ArgumentError("a plain network has nothing private to keep");
    return credentialFile(await this.stateDict(), { config, layers, claimed });
  }

  /**
   * γ and β that the passports give with the weights as they are, behind the FC where there is one,
   * layer by layer.
   */
  async readGammaBeta(): Promise<GammaBetas> {
    // All layers' are worked out before anything is awaited: they are of one moment.
    const reading = this.passportLayers().map(async ({ name, layer }) => {
      const rows = scope(() => noGrad(() => layer.gammaBeta().rows));
      const both = await rows.data();
      rows.dispose();
      const channels = both.length / 2;
      return [name, { gamma: both.slice(0, channels), beta: both.slice(channels) }] as const;
    });
    return new Map(await Promise.all(reading));
  }

  private checkBranches(branches: readonly Branch[]): void {
    const unknown = branches.find((b) => !this.branches.includes(b));
    if (unknown === undefined && branches.length) return;
    const there = this.branches.map((b) => `"${b}"`).join(" and ");
    throw new ArgumentError(
      `a network of scheme "${this.config.scheme}" has the branch ${there}, found "${unknown ?? "none"}"`,
    );
  }
}
