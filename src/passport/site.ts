import { ArgumentError } from "../errors";
import { onDevice } from "../gpu/init";
import { BatchNorm } from "../nn/batch-norm";
import { constant } from "../nn/constant";
import { deviceOf, Module, type ModuleChild } from "../nn/module";
import type { Norm } from "../nn/norm";
import { parameter, registrationOf } from "../nn/registration";
import type { Tensor } from "../tensor/tensor";
import type { SecretPlan } from "./built-in";
import type { LinearMap } from "./linear-map";
import { Passport, type PassportOptions } from "./passport";
import type { PassportPlace } from "./place";
import { branchesOf } from "./schemes";

/**
 * A norm of a protected network that has something the public network has not: a passport, or
 * (`place` null) a γ, a β and statistics of the private branch's own.
 */
export interface Site {
  /** The norm's name in the plain network. */
  readonly name: string;
  readonly norm: Norm;
  /** What the owner keeps of it. */
  readonly secret: Secret;
  readonly place: PassportPlace | null;
}

/** A site with a passport. */
export interface PassportSite extends Site {
  readonly secret: Secret & { readonly passport: Passport };
  readonly place: PassportPlace;
}

export const hasPassport = (site: Site): site is PassportSite => site.place !== null;

/** What a site is made of: a norm, and for a passport its place, its map and its own numbers. */
export interface SiteParts {
  readonly name: string;
  readonly norm: Norm;
  readonly passport: ({ readonly place: PassportPlace; readonly map: LinearMap } & Omit<PassportOptions, "fc">) | null;
}

/**
 * The sites of a network, on its device, in the order of their names in its state dict. A norm is
 * one site, whatever it is called; one with a passport has γ and β from that alone.
 * @param plan.statistics whose running statistics batch norms with a passport have
 * @throws ArgumentError for two passports at one norm.
 */
export function makeSites(
  network: Module,
  { scheme, fc, statistics }: Pick<SecretPlan, "scheme" | "fc" | "statistics">,
  parts: readonly SiteParts[],
): Site[] {
  // Of one branch there is nobody to share them with: it has the norm's own.
  const shared = branchesOf(scheme).length === 1 || statistics === "shared";
  const order = new Map(network.namedModules().map(([name], i) => [name, i]));
  const byNorm = new Map<Norm, SiteParts>();
  for (const part of parts) {
    const before = byNorm.get(part.norm);
    if (before?.passport && part.passport)
      throw new ArgumentError(`${before.name} and ${part.name} are one norm, and a norm takes one passport`);
    if (!before || part.passport) byNorm.set(part.norm, part);
  }
  const sorted = [...byNorm.values()].sort((a, b) => order.get(a.name)! - order.get(b.name)!);
  const make = ({ name, norm, passport: own }: SiteParts): Site => {
    if (!own) return { name, norm, secret: new Secret(norm, null, false), place: null };
    const { place, map, signature, random } = own;
    const passport = new Passport(map, place, { fc, signature, random });
    return { name, norm, secret: new Secret(norm, passport, shared), place };
  };
  return onDevice(deviceOf(network), () => sorted.map(make));
}

/**
 * What the private branch has at a norm: a passport, or γ and β that are learned (`weight`,
 * `bias`), and running statistics (`norm`) where they are not the public branch's.
 *
 * Names in state dicts: the passport's own, `weight`, `bias`, `norm.running_mean` and so on.
 */
export class Secret extends Module {
  readonly #passport: Passport | null;
  /** Learned γ and β; null where a passport gives them. */
  readonly weight: Tensor | null;
  readonly bias: Tensor | null;
  /** A batch norm without γ and β; null where the norm keeps no statistics, or both share them. */
  readonly norm: BatchNorm | null;

  /** @param shared both branches use and move the norm's running statistics */
  constructor(norm: Norm, passport: Passport | null, shared: boolean) {
    super();
    this.#passport = passport;
    const learned = (like: Tensor | null, value: number) =>
      passport || !like ? null : parameter(constant(like.shape, value), registrationOf(like)?.layout);
    this.weight = learned(norm.weight, 1);
    this.bias = learned(norm.bias, 0);
    this.norm =
      norm instanceof BatchNorm && !shared
        ? new BatchNorm(norm.channels, { affine: false, eps: norm.eps, relu: norm.relu, momentum: norm.momentum })
        : null;
  }

  get passport(): Passport | null {
    return this.#passport;
  }

  override *children(): Iterable<ModuleChild> {
    if (this.#passport) yield* this.#passport.children();
    if (this.norm) yield ["norm", this.norm];
  }

  override *tensors(): Iterable<[string, Tensor]> {
    if (this.#passport) yield* this.#passport.tensors();
    if (this.weight) yield ["weight", this.weight];
    if (this.bias) yield ["bias", this.bias];
  }

  override dispose(): void {
    super.dispose();
    this.#passport?.dispose();
  }
}
