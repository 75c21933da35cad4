import { ArgumentError } from "../../errors";
import { shown } from "../../io/shown";
import { Protected } from "../../passport/protected";
import { carry } from "../claim/bind";
import { type Binding, deriveBinding } from "./binding";

/**
 * Gives a network the passports and signature bits of a binding. Call it before training; texts
 * stay. `boundCredential` then puts the binding into the owner's file.
 * @throws ArgumentError for a plain network, one with fewer than 80 free bits, or a
 * binding that is none; nothing is changed then.
 */
export async function bind(model: Protected, binding: Binding): Promise<void> {
  if (!(model instanceof Protected))
    throw new ArgumentError(`bind: a network that protect() made expected, found ${shown(model)}`);
  if (model.scheme === "plain")
    throw new ArgumentError("a plain network has no passports to bind: use a scheme with passports");
  const derived = await deriveBinding(binding, model.plan);
  await carry(model, derived);
}
