/** A claim before training: what follows from it is put into the network. */
import { ArgumentError } from "../../errors";
import { shown } from "../../io/shown";
import { fromTorch } from "../../nn/state";
import { passportShape } from "../../passport/place";
import { Protected } from "../../passport/protected";
import { boundBits, type DerivedClaim, deriveClaim } from "./derive";
import { type Binding, checkBinding, type Follows, specOf } from "./own";

/**
 * Bits below which a claim survives hardly any removal: 128 need 123, 160 need 148, 256 need 217.
 */
const FEW_BITS = 160;

/**
 * Gives a network the passports, signature bits and triggers of a claim. Call it before training;
 * texts stay. `boundCredential` then puts the binding into the owner's file.
 * @returns everything that follows: train on `groups` with `boundTriggers`
 * @throws ArgumentError for a plain network, one with fewer than 128 free bits, or a binding that
 * is none; nothing is changed then.
 */
export async function bind(model: Protected, binding: Binding): Promise<DerivedClaim> {
  if (!(model instanceof Protected))
    throw new ArgumentError(`bind: a network that protect() made expected, found ${shown(model)}`);
  if (model.scheme === "plain")
    throw new ArgumentError("a plain network has no passports to bind: use a scheme with passports");
  checkBinding(binding);
  const derived = await deriveClaim(binding.secret, specOf(binding, model.plan), binding.inputs);
  const bits = boundBits(derived.spec);
  if (bits < FEW_BITS)
    console.warn(
      `@pan/core: bind: ${bits} bits that no text takes: a claim needs nearly all of them, and whatever turns a few ends it; give passports to more or wider layers, 224 bits or more`,
    );
  await carry(model, derived);
  return derived;
}

/** Gives a network the passports and bits of a claim; bits that a text takes stay. */
export async function carry(model: Protected, { passports, bits }: Follows): Promise<void> {
  for (const { name, place, secret } of model.passportSites()) {
    const { torch, own, layout } = passportShape(place);
    const ours = (data: Float32Array<ArrayBuffer>) =>
      fromTorch({ dtype: "F32", shape: torch, data }, own, layout, name);
    const { gamma, beta } = passports.get(name)!;
    const { passport } = secret;
    const before = await passport.b.data();
    passport.b.write(bits.get(name)!.map((bit, i) => bit || before[i]!));
    passport.setPassports({ gamma: ours(gamma), beta: ours(beta) });
  }
}
