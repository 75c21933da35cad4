import type { NetworkNorm, NetworkSettings } from "./config";
import { normOf } from "./config";

/**
 * Settings of the plain network that computes what the given-away branch does: no word of
 * passports.
 */
export function plainSettings<S extends NetworkSettings>(settings: S): NetworkSettings & Pick<S, "input"> {
  const { classes, input } = settings;
  const own = normOf(settings);
  const norm: NetworkNorm = own === "sbn" ? "bn" : own;
  return { classes, input, scheme: "plain", ...(norm !== "bn" && { norm }) };
}
