import { objectOf } from "../demand";
import { ArgumentError } from "../errors";
import { listed } from "../io/shown";
import { Norm } from "../nn/norm";
import { Generator } from "../tensor/random";
import type { SecretPlan } from "./built-in";
import { isGeometryOf, isLinearMap, type LinearMap, outputsOf } from "./linear-map";
import type { PassportPlace } from "./place";
import { checkPlan } from "./plan";
import { Protected } from "./protected";
import { makeSites, type SiteParts } from "./site";
import { expectNetwork, type Network } from "./trace";

/**
 * Puts passports where a credential says they are, without a pass through the network; their
 * numbers are the credential's to give, by {@link Protected.loadSecrets}.
 * @throws ArgumentError for what is no network or plan, or when the network has no such norm or
 * map.
 */
export function protectAs<N extends Network>(network: N, plan: SecretPlan): Protected<N> {
  expectNetwork("protectAs", "network", network);
  const { scheme, fc, statistics, places, separate, texts } = objectOf("protectAs", "a plan of passports", plan);
  checkPlan({ scheme, fc, statistics, places, separate, texts });
  const modules = new Map(network.namedModules());
  const random = new Generator(0);
  const normAt = (name: string): Norm => {
    const norm = modules.get(name);
    if (norm instanceof Norm) return norm;
    throw new ArgumentError(
      `the credential has a passport at the norm ${name}, which the network does not have; its norms are ${listed(network.find(Norm as never).map(([n]) => n))}`,
    );
  };
  const tensors = new Map(network.namedTensors().map(([name, t]) => [name, t]));
  const maps = [...modules.values()].filter(isLinearMap);
  /** Maps may share their weights: the one that is meant has the place's bias and geometry too. */
  const mapAt = (place: PassportPlace): LinearMap => {
    const { weight, bias, channels } = place;
    const sharing = maps.filter((m) => m.weight === tensors.get(weight) && outputsOf(m) === channels);
    if (!sharing.length)
      throw new ArgumentError(
        `the credential has a passport of a map of weight ${weight} with ${channels} outputs, which the network does not have`,
      );
    const own = bias === undefined ? null : tensors.get(bias);
    const found = sharing.find((m) => (m.bias ?? null) === own && isGeometryOf(m, place));
    if (found) return found;
    throw new ArgumentError(
      `the credential has a passport of a map of weight ${weight} ${bias === undefined ? "without a bias" : `and bias ${bias}`}, and the network's has another bias, stride, padding, dilation or number of groups`,
    );
  };
  const sites = makeSites(network, plan, [
    ...plan.places.map((place): SiteParts => {
      const [map, norm] = [mapAt(place), normAt(place.norm)];
      if (scheme === "v1" && !(norm.weight && norm.bias))
        throw new ArgumentError(
          `the credential's passport at ${place.norm} gives γ and β in the place of the norm's own, and the network's has none`,
        );
      return { name: place.norm, norm, passport: { place, map, signature: "", random } };
    }),
    ...plan.separate.map((name): SiteParts => ({ name, norm: normAt(name), passport: null })),
  ]);
  return new Protected(network, { scheme: plan.scheme, fc: plan.fc, sites, texts: plan.texts, inputShape: null });
}
