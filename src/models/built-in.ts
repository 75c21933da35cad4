import type { Module } from "../nn/module";
import type { BuiltIn } from "../passport/built-in";
import { authorsName } from "./compat/authors-names";
import { writtenConfig } from "./compat/file-norms";
import { hintOfNorm, withAffine, withoutDuplicates, withoutUnused } from "./compat/state-dicts";
import type { NetworkSettings } from "./config";
import { foldBatchNorm } from "./fold";
import type { MapLayer } from "./layers";

/**
 * What a network of the papers adds to an ordinary one.
 * @param shared what the authors call batch norm whose statistics both branches share
 */
export const builtIn = (
  config: NetworkSettings,
  layers: readonly MapLayer[],
  shared: "bn" | "bn0" = "bn",
): BuiltIn => ({
  input: config.input,
  classes: config.classes,
  model: () => writtenConfig(config),
  fold: (state) => ({
    state: foldBatchNorm(state, layers),
    model: writtenConfig({ ...config, norm: "folded" }),
  }),
  names: (path, plan) => authorsName(path, plan, shared),
  prepare: (dict, plan, owned: Module) => {
    const state = withAffine(withoutUnused(withoutDuplicates(dict), plan, shared), owned);
    return { state, hint: hintOfNorm(state, plan) };
  },
});
