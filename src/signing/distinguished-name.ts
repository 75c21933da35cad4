import { clip } from "../io/shown";
import { type DerReader, onlyElement, TAG } from "./der";
import { readOid } from "./der-values";

const SHORT: Readonly<Record<string, string>> = {
  "2.5.4.3": "CN",
  "2.5.4.6": "C",
  "2.5.4.7": "L",
  "2.5.4.8": "ST",
  "2.5.4.10": "O",
  "2.5.4.11": "OU",
};
const MOST = 16;
const LONGEST = 200;

/**
 * A distinguished name in words, `C=DE, O=…, CN=…`, for people: attributes and string types that
 * are not common are left out, characters that do not print become "?", what is long is cut.
 * @param name a `Name` of X.501 in DER
 * @throws FormatError for what is none.
 */
export function nameInWords(name: Uint8Array, what: string): string {
  const names = onlyElement(name, what);
  const parts = names.list(MOST, () => {
    const set = names.inside("name", TAG.set);
    return set.list(MOST, () => attributeInWords(set));
  });
  return clip(parts.flat().filter(Boolean).join(", "), LONGEST) || "an authority without a name";
}

function attributeInWords(set: DerReader): string {
  const attribute = set.inside("attribute");
  const kind = SHORT[readOid(attribute, "kind")];
  const { tag, content } = attribute.any("value");
  attribute.end();
  if (!kind || ![TAG.utf8, TAG.printable, TAG.ia5].includes(tag as never)) return "";
  // Control characters, and those that turn the direction of writing, could disguise a message.
  return `${kind}=${new TextDecoder().decode(content).replace(/[\p{C}\p{Zl}\p{Zp}]/gu, "?")}`;
}
