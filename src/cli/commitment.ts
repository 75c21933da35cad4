/** What commitments say, out of files of strangers. */
import { FormatError } from "../errors";
import type { CommittedClaim } from "../ownership/claim/commitment";
import { fromBase64 } from "../signing/base64";
import { expected, fieldsOf, hexField, textField } from "../signing/fields";

const what = "the commitment";
/** Most characters of a statement, and of a key in base64. */
const [STATEMENT, KEY] = [2 ** 19, 2 ** 12];

const natural = (value: unknown, name: string): number =>
  Number.isSafeInteger(value) && (value as number) >= 0
    ? (value as number)
    : expected(`${what}: ${name}`, "a whole number", value);

function triggersOf(value: unknown): CommittedClaim["triggers"] {
  if (value === null) return null;
  const { count, classes, groups } = fieldsOf(value, `${what}: triggers`);
  return {
    count: natural(count, "count of triggers"),
    classes: natural(classes, "classes of triggers"),
    groups: natural(groups, "groups of triggers"),
  };
}

/**
 * A commitment's predicate, every field of its type. Nothing is verified.
 * @throws FormatError naming the field that is not.
 */
export function committedClaimOf(predicate: unknown): CommittedClaim {
  const said = fieldsOf(predicate, what);
  const digest = (name: string) => hexField(said[name], `${what}: ${name}`, 128);
  const publicKey = textField(said["publicKey"], `${what}: publicKey`, KEY);
  fromBase64(publicKey, `${what}: publicKey`);
  const statement = textField(said["statement"], `${what}: statement`, STATEMENT);
  if (statement === "") throw new FormatError(`${what}: a statement expected, found an empty one`);
  return {
    claim: digest("claim"),
    credential: digest("credential"),
    tensors: digest("tensors"),
    spec: digest("spec"),
    publicKey,
    bits: natural(said["bits"], "bits"),
    triggers: triggersOf(said["triggers"]),
    statement,
    parent: said["parent"] === null ? null : digest("parent"),
  };
}
