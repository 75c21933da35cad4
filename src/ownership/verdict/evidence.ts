/** What a claim is verified by beside the suspect and the credential. */
import { type Check, refuse, text, whole } from "../../demand";
import { isObject } from "../../io/shown";
import type { Bundle } from "../../signing/bundle";
import { isDate, isRate, isRoots } from "../check";
import type { Possession } from "../claim/possession";
import type { NetworkFile } from "../network-file";

/** What a verdict may go by beside the suspect and the credential. */
export interface Evidence {
  /** What the owner published before the release: a bundle, or the text of its file. */
  commitment?: Bundle | string;
  /** The file that was committed to and released, as it was. */
  released?: NetworkFile;
  /**
   * A network that was public before the claim: a suspect and a committed file that are both made
   * from it are related by that alone.
   */
  base?: NetworkFile;
  /** Certificates of time-stamping authorities that the verifier trusts, PEM or DER. */
  roots?: readonly (string | Uint8Array)[];
  /**
   * When the suspect was there at the latest, as the verifier knows it: a day (its beginning, UTC),
   * or a time with its zone, ISO 8601.
   */
  published?: Date | string;
  /**
   * The answer of the claim's key to a nonce of the verifier's own: whoever has seen an opened
   * credential has not the key.
   */
  possession?: Possession;
  /** What `sha256sum` prints of the suspect that is meant. */
  suspectSha256?: string;
  /** Networks that were looked at before this one was accused (default 1). */
  suspects?: number;
  /** False-positive rate of the verdict (default 1e-6), of one claim of all that 2⁸⁰ tries give. */
  falsePositiveRate?: number;
}

/** {@link Evidence}, each with its check. */
export const EVIDENCE: Readonly<Record<keyof Evidence, Check>> = {
  commitment: (what, name, v) =>
    typeof v === "string" || isObject(v) || refuse(what, name, "a bundle, or the text of its file", v),
  released: () => true,
  base: () => true,
  roots: isRoots,
  published: isDate,
  possession: (what, name, v) =>
    (isObject(v) && v["signature"] instanceof Uint8Array) || refuse(what, name, "{ nonce, signature }", v),
  suspectSha256: (what, name, v) =>
    /^[0-9a-f]{64}$/.test(text(what, name, v)) || refuse(what, name, "64 hexadecimal digits", v),
  suspects: (what, name, v) => whole(what, name, v),
  falsePositiveRate: isRate,
};
