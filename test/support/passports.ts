/** Passports as tests look at them. */
import { Module, type Norm } from "../../src/nn";
import type { LinearMap, Passport, Protected } from "../../src/passport";
import { reshape } from "../../src/tensor/ops/elementwise";
import { narrow } from "../../src/tensor/ops/movement";
import type { Tensor } from "../../src/tensor/tensor";

/** γ and β of a norm's passports, each [O], and as the rows that a norm takes. */
export function scalesOf(passport: Passport) {
  const { raw, rows } = passport.gammaBeta();
  const row = (t: Tensor, i: number) => reshape(narrow(t, 0, i, 1), [passport.channels]);
  const gammaRaw = row(raw, 0);
  return { rows, gammaRaw, gamma: rows === raw ? gammaRaw : row(rows, 0), beta: row(rows, 1) };
}

/** A map and a norm behind it: the smallest network that can be protected. */
export class Mapped extends Module {
  constructor(
    readonly map: LinearMap,
    readonly norm: Norm,
  ) {
    super();
  }

  forward(x: Tensor): Tensor {
    return this.norm.forward(this.map.forward(x));
  }
}

/** The passport of a network with one. */
export const passportOf = (owned: Protected<Mapped>): Passport => owned.passportSites()[0]!.secret.passport;
