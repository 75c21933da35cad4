import type { NetworkNorm, NetworkSettings } from "../config";

/**
 * Files call the norms what the first files did: `ln` there is group norm in one group, which is
 * `gn1` here, and layer norm over channels is `layer`, a name that older readers refuse.
 */
const IN_FILES: Readonly<Record<string, string>> = { gn1: "ln", ln: "layer" };
const FROM_FILES: Readonly<Record<string, NetworkNorm>> = { ln: "gn1", layer: "ln" };

/** A configuration as files have it, with their names of norms. */
export function writtenConfig(config: NetworkSettings): string {
  const { norm } = config;
  return JSON.stringify(norm === undefined ? config : { ...config, norm: IN_FILES[norm] ?? norm });
}

/** A configuration out of a file, of whatever form, with the norms' names of this package. */
export function readNorm<T>(config: T): T {
  const norm: unknown = typeof config === "object" && config !== null ? (config as { norm?: unknown }).norm : undefined;
  if (typeof norm !== "string" || !Object.hasOwn(FROM_FILES, norm)) return config;
  return { ...config, norm: FROM_FILES[norm] };
}
