import { ArgumentError } from "../errors";
import type { StateDict } from "../io/host-tensor";
import type { SafetensorsFile } from "../io/safetensors";
import { Conv2d } from "../nn/conv";
import { kaimingNormal } from "../nn/init";
import { Flatten, MaxPool2d } from "../nn/layers";
import { Linear } from "../nn/linear";
import { type LoadReport, Module } from "../nn/module";
import { BatchNorm } from "../nn/norm";
import { type Branch, PassportConv2d, type PrivateScales } from "../passport/passport-aware";
import { add } from "../tensor/ops/elementwise";
import { Generator } from "../tensor/random";
import type { Shape } from "../tensor/shape";
import type { Tensor } from "../tensor/tensor";
import { withoutDuplicates } from "./authors";
import { type ConvNetConfig, checkConfig, layerSizes, passportLayers } from "./config";
import { type BranchAccuracy, credentialFile, deployedConfig, deployedFile } from "./split";

/** conv → batch norm → ReLU, without a passport. Names in state dicts: `conv.weight`, `bn.*`. */
export class ConvBlock extends Module {
  readonly conv: Conv2d;
  readonly bn: BatchNorm;

  constructor(
    inChannels: number,
    outChannels: number,
    kernel: number,
    options: { stride?: number; padding?: number; random: Generator },
  ) {
    super();
    const init = (shape: Shape, random: Generator) => kaimingNormal(shape, random, { mode: "fanOut" });
    this.conv = new Conv2d(inChannels, outChannels, kernel, { ...options, bias: false, init });
    this.bn = new BatchNorm(outChannels, { relu: true });
  }

  forward(x: Tensor): Tensor {
    return this.bn.forward(this.conv.forward(x));
  }
}

/** Outputs of one training pass through both branches. */
export interface BothBranches {
  public: Tensor;
  private: Tensor;
  /** Σ over passport layers of the sign loss. */
  signLoss: Tensor;
}

/** How many of a layer's signature bits the signs of γ match. */
export interface LayerSigns {
  name: string;
  gamma: Float32Array<ArrayBuffer>;
  bits: Float32Array<ArrayBuffer>;
  matched: number;
}

/**
 * A chain of convolutions and poolings with a linear classifier, plain or with passport-aware layers; AlexNet in the papers' CIFAR form is one.
 *
 * Shape: x [N, H, W, C] → logits [N, classes]. Names in state dicts: `features.I.…`, `classifier.weight`, `classifier.bias`.
 * @throws ArgumentError when the configuration does not hold together (see {@link checkConfig}).
 */
export class ConvNet extends Module {
  readonly features: readonly (ConvBlock | PassportConv2d | MaxPool2d)[];
  readonly classifier: Linear;
  readonly #flatten = new Flatten();

  constructor(
    readonly config: ConvNetConfig,
    { seed = 0 }: { seed?: number } = {},
  ) {
    super();
    checkConfig(config);
    const random = new Generator(seed);
    const sizes = layerSizes(config);
    const passports = new Map(passportLayers(config));
    this.features = config.layers.map((layer, i) => {
      if (layer === "pool") return new MaxPool2d(2);
      const [h, w, c] = sizes[i]!;
      const options = { stride: layer.stride ?? 1, padding: layer.padding ?? 0, random: random.fork(`features.${i}`) };
      const passport = passports.get(i);
      if (passport === undefined) return new ConvBlock(c, layer.channels, layer.kernel, options);
      const signature = passport === true ? "" : passport;
      return new PassportConv2d(c, layer.channels, layer.kernel, { ...options, inputSize: [h, w], signature });
    });
    const [h, w, c] = sizes[sizes.length - 1]!;
    this.classifier = new Linear(h * w * c, config.classes, { random: random.fork("classifier") });
  }

  /** Logits of one branch. @throws ArgumentError when the network has no private branch. */
  forward(x: Tensor, branch: Branch = "public"): Tensor {
    if (branch === "private" && this.config.scheme === "plain")
      throw new ArgumentError("a plain network has no private branch");
    const h = this.features.reduce((t, f) => (f instanceof PassportConv2d ? f.forward(t, branch) : f.forward(t)), x);
    return this.head(h);
  }

  /**
   * Logits of both branches and the sign loss for one batch. What comes before the first passport layer, and that layer's convolution, is the same for
   * both and computed once.
   */
  forwardBoth(x: Tensor): BothBranches {
    const first = this.features.findIndex((f) => f instanceof PassportConv2d);
    if (first < 0) throw new ArgumentError("a plain network has no private branch");
    const trunk = this.features.slice(0, first).reduce((t, f) => (f as ConvBlock | MaxPool2d).forward(t), x);
    const fork = this.features[first] as PassportConv2d;
    const shared = fork.convolve(trunk);
    let scales: PrivateScales = fork.privateScales();
    let signLoss = fork.signLoss(scales.gammaRaw);
    let open = fork.normalise(shared, "public");
    let secret = fork.normalise(shared, "private", scales);
    for (const f of this.features.slice(first + 1)) {
      if (!(f instanceof PassportConv2d)) {
        open = f.forward(open);
        secret = f.forward(secret);
        continue;
      }
      scales = f.privateScales();
      signLoss = add(signLoss, f.signLoss(scales.gammaRaw));
      open = f.normalise(f.convolve(open), "public");
      secret = f.normalise(f.convolve(secret), "private", scales);
    }
    return { public: this.head(open), private: this.head(secret), signLoss };
  }

  /** As {@link Module.loadStateDict}; takes checkpoints of the authors' code as they are, with tensors that are saved under two names. */
  override loadStateDict(dict: StateDict, options?: { strict?: boolean }): LoadReport {
    return super.loadStateDict(withoutDuplicates(dict), options);
  }

  /** Passport layers with their names in state dicts. */
  passportLayers(): { name: string; index: number; layer: PassportConv2d }[] {
    return this.features.flatMap((layer, index) =>
      layer instanceof PassportConv2d ? [{ name: `features.${index}`, index, layer }] : [],
    );
  }

  /** γ_raw of every passport layer against its signature bits. */
  async readSigns(): Promise<LayerSigns[]> {
    return Promise.all(
      this.passportLayers().map(async ({ name, layer }) => {
        const [gamma, bits] = await Promise.all([layer.readGamma(), layer.b.data()]);
        return { name, gamma, bits, matched: gamma.reduce((n, g, i) => n + (g > 0 === bits[i]! > 0 ? 1 : 0), 0) };
      }),
    );
  }

  /** Replaces every passport by fresh random numbers: a stranger's forgery. */
  randomPassports(random: Generator): void {
    for (const { name, layer } of this.passportLayers()) layer.randomPassports(random.fork(name));
  }

  /** What may be given away: the public branch as a plain network of the same structure, nothing private inside. */
  async deployed(): Promise<SafetensorsFile> {
    return deployedFile(await this.stateDict(), this.config);
  }

  /** What only the owner keeps: passports, signature, FC, private statistics and the claimed accuracies. Whoever has it can claim the network. */
  async credential(claimed: BranchAccuracy = {}): Promise<SafetensorsFile> {
    if (this.config.scheme === "plain") throw new ArgumentError("a plain network has nothing private to keep");
    return credentialFile(await this.stateDict(), this.config, claimed);
  }

  /** The network in a deployed file, plain and in evaluation mode. @throws FormatError, StateDictError when the file is something else. */
  static fromDeployed(file: SafetensorsFile): ConvNet {
    const model = new ConvNet(deployedConfig(file));
    model.loadStateDict(file.tensors);
    return model.eval();
  }

  private head(h: Tensor): Tensor {
    return this.classifier.forward(this.#flatten.forward(h));
  }
}
