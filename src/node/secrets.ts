import { ArgumentError } from "../errors";
import { shown } from "../io/shown";
import { DEPLOYED, FIRST_DEPLOYED } from "../passport/files";

/** Permissions of a file that only its owner may read. */
export const PRIVATE = 0o600;

/** Names of passports in state dicts. */
const PASSPORT = /(^|\.)s?key(_private)?$/;

/**
 * Whether a file is its owner's alone: every format of this package but the deployed one
 * (credentials, watermarks, checkpoints), and whatever holds passports, such as the whole state
 * dict of a network that has some.
 */
export function isSecret(names: Iterable<string>, metadata: Readonly<Record<string, string>>): boolean {
  const { format } = metadata;
  if (format?.startsWith("pan-") && format !== DEPLOYED && format !== FIRST_DEPLOYED) return true;
  for (const name of names) if (PASSPORT.test(name)) return true;
  return false;
}

/** @throws ArgumentError for what is no set of permission bits. */
export function checkMode(mode: unknown): number | undefined {
  if (mode === undefined) return undefined;
  if (Number.isInteger(mode) && (mode as number) >= 0 && (mode as number) <= 0o777) return mode as number;
  const hint = mode === 600 || mode === 644 ? `: write 0o${mode}, in octal digits` : "";
  throw new ArgumentError(`mode: permission bits from 0 to 0o777 expected, such as 0o600, found ${shown(mode)}${hint}`);
}
