import { ArgumentError } from "../errors";
import { isObject, shown } from "../io/shown";
import { type NetworkSettings, plainNorm } from "./config";

/** What a configuration says of passports. */
export type OfPassports = "scheme" | "passports" | "signature" | "fc" | "branchStatistics";

/** Names of those that every architecture has, beside the scheme. */
export const OF_PASSPORTS = ["passports", "signature", "fc"] as const;

/** A configuration without a word of passports. */
export type PlainConfig<C extends NetworkSettings> = Omit<C, OfPassports> & { scheme?: "plain" };

/**
 * The configuration of an ordinary network, checked.
 * @throws ArgumentError for one with passports, and as `check`.
 */
export function checkPlain<C extends NetworkSettings>(
  what: string,
  config: PlainConfig<C>,
  check: (config: C) => void,
): C & { scheme: "plain" } {
  const scheme: unknown = isObject(config) ? config["scheme"] : undefined;
  if (scheme !== undefined && scheme !== "plain")
    throw new ArgumentError(
      `${what}: an ordinary network has no scheme, found ${shown(scheme)}: protect(new ${what}(…), { scheme, at, sample }) puts passports into one, and buildNetwork(config) makes both`,
    );
  const whole = (isObject(config) ? { ...config, scheme: "plain" } : config) as unknown as C & { scheme: "plain" };
  check(whole);
  return whole;
}

/**
 * The configuration of the plain network that computes what the given-away branch does: no word of
 * passports.
 */
export function plainOf<C extends NetworkSettings>(config: C): C & { scheme: "plain" } {
  const {
    passports: _p,
    signature: _s,
    fc: _f,
    norm: _n,
    branchStatistics: _b,
    ...rest
  } = config as C & {
    branchStatistics?: unknown;
  };
  const norm = plainNorm(config);
  return { ...rest, scheme: "plain", ...(norm !== "bn" && { norm }) } as unknown as C & { scheme: "plain" };
}
