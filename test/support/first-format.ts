/**
 * Files as the first versions wrote them, which are still read: the authors' names, one
 * configuration that says scheme, passports and texts, and passports of a binding that follow from
 * those names.
 */
import type { StateDict } from "../../src/io/host-tensor";
import type { NetworkConfig } from "../../src/models";
import { authorsName } from "../../src/models/compat/authors-names";
import { writtenConfig } from "../../src/models/compat/file-norms";
import { planOf } from "../../src/models/credential";
import { fromTorch } from "../../src/nn/state";
import { type Binding, deriveBinding } from "../../src/ownership/first/binding";
import type { BranchAccuracy } from "../../src/passport";
import { passportShape } from "../../src/passport/place";
import type { Claim } from "./claims";
import type { Network } from "./networks";

/** A protected network's two files as the first version has them. */
export async function firstFormat(
  model: Network,
  config: NetworkConfig,
  { claimed = {}, binding }: { claimed?: BranchAccuracy; binding?: Binding } = {},
): Promise<Claim> {
  const [deployed, credential] = [await model.deployed(), await model.credential(claimed)];
  const shared = config.arch === "pointnet" ? "bn0" : "bn";
  const tensors: StateDict = new Map(
    [...credential.tensors].map(([name, t]) => [authorsName(name, model.plan, shared), t]),
  );
  const metadata = { format: "pan-credential-1", model: writtenConfig(config), claimed: JSON.stringify(claimed) };
  return {
    deployed: { ...deployed, metadata: { ...deployed.metadata, format: "pan-deployed-1" } },
    credential: { tensors, metadata: { ...metadata, ...(binding && { binding: JSON.stringify(binding) }) } },
  };
}

/** Gives a network the passports and bits of a binding as the first version derives them. */
export async function bindFirst(model: Network, config: NetworkConfig, binding: Binding): Promise<void> {
  const { passports, bits } = await deriveBinding(binding, { ...planOf(config), format: 1 });
  for (const { name, place, secret } of model.passportSites()) {
    const { torch, own, layout } = passportShape(place);
    const { gamma, beta } = passports.get(name)!;
    const [p, q] = [gamma, beta].map((data) => fromTorch({ dtype: "F32", shape: torch, data }, own, layout, name));
    const before = await secret.passport.b.data();
    secret.passport.b.write(bits.get(name)!.map((bit, i) => bit || before[i]!));
    secret.passport.setPassports({ gamma: p!, beta: q! });
  }
}
