import { ArgumentError } from "../errors";
import { listed } from "../io/shown";
import { Norm } from "../nn/norm";
import { Generator } from "../tensor/random";
import type { SecretPlan } from "./built-in";
import { Passport } from "./passport";
import { isLinearMap, type LinearMap, outputsOf } from "./place";
import { Protected } from "./protected";
import { branchesOf } from "./schemes";
import { Secret, type Site } from "./site";
import type { Network } from "./trace";

/**
 * Puts passports where a credential says they are, without a pass through the network; their
 * numbers are the credential's to give, by {@link Protected.loadSecrets}.
 * @throws ArgumentError when the network has no such norm or map.
 */
export function protectAs<N extends Network>(network: N, plan: SecretPlan): Protected<N> {
  const modules = new Map(network.namedModules());
  const random = new Generator(0);
  const shared = branchesOf(plan.scheme).length === 1 || plan.statistics === "shared";
  const normAt = (name: string): Norm => {
    const norm = modules.get(name);
    if (norm instanceof Norm) return norm;
    throw new ArgumentError(
      `the credential has a passport at the norm ${name}, which the network does not have; its norms are ${listed(network.find(Norm as never).map(([n]) => n))}`,
    );
  };
  const tensors = new Map(network.namedTensors().map(([name, t]) => [name, t]));
  const maps = [...modules.values()].filter(isLinearMap);
  const mapAt = (name: string, channels: number): LinearMap => {
    const weight = tensors.get(name);
    const map = maps.find((m) => m.weight === weight);
    if (map && outputsOf(map) === channels) return map;
    throw new ArgumentError(
      `the credential has a passport of a map of weight ${name} with ${channels} outputs, which the network does not have`,
    );
  };
  const sites = [
    ...plan.places.map((place): Site => {
      const norm = normAt(place.norm);
      const map = mapAt(place.weight, place.channels);
      const passport = new Passport(map, place, { fc: plan.fc, signature: "", random });
      return { name: place.norm, norm, secret: new Secret(norm, passport, shared), place };
    }),
    ...plan.separate.map((name): Site => {
      const norm = normAt(name);
      return { name, norm, secret: new Secret(norm, null, false), place: null };
    }),
  ];
  const order = new Map([...modules.keys()].map((name, i) => [name, i]));
  sites.sort((a, b) => order.get(a.name)! - order.get(b.name)!);
  return new Protected(network, { scheme: plan.scheme, fc: plan.fc, sites, texts: plan.texts, inputShape: null });
}
