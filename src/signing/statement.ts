/**
 * in-toto Statements, version 1 (github.com/in-toto/attestation, spec/v1/statement.md and
 * digest_set.md): which files something is said of, by their digests, and what is said.
 */
import { FormatError } from "../errors";
import { bytesOf, utf8Of } from "../io/bytes";
import { sha256Hex, sha512Hex } from "../io/digest";
import { canonicalJson, parseStrictJson } from "../io/json";
import { shown } from "../io/shown";
import { fieldsOf, hexField, listField, textField } from "./fields";

/** Media type of a statement in an envelope. */
export const IN_TOTO = "application/vnd.in-toto+json";
const TYPE = "https://in-toto.io/Statement/v1";

/** A file by its digests in lower-case hexadecimal, one of them at least. */
export interface Subject {
  readonly name: string;
  readonly digest: { readonly sha256?: string; readonly sha512?: string };
}

/** Something said of files. */
export interface Statement {
  readonly subject: readonly Subject[];
  /** URI of what the predicate says, and how. */
  readonly predicateType: string;
  readonly predicate: Readonly<Record<string, unknown>>;
}

/** Longest statement, in characters of JSON. */
export const LONGEST_STATEMENT = 2 ** 21;
const MOST_SUBJECTS = 10_000;

/** A file as the subject of a statement, with what `sha256sum` and `sha512sum` print of it. */
export async function subjectOf(
  name: string,
  file: Uint8Array,
): Promise<Subject & { digest: { sha256: string; sha512: string } }> {
  const bytes = bytesOf(file, "subjectOf: the file");
  return { name, digest: { sha256: await sha256Hex(bytes), sha512: await sha512Hex(bytes) } };
}

/**
 * A statement as the bytes that are signed: canonical JSON in UTF-8.
 * @throws FormatError for one that {@link decodeStatement} would refuse.
 */
export function encodeStatement({ subject, predicateType, predicate }: Statement): Uint8Array<ArrayBuffer> {
  const bytes = new TextEncoder().encode(canonicalJson({ _type: TYPE, subject, predicateType, predicate }));
  decodeStatement(bytes, predicateType);
  return bytes;
}

/**
 * A statement out of signed bytes. Fields and digests that are not known are ignored, as the
 * specification has it.
 * @param predicateType the type that the caller understands
 * @throws FormatError for no statement of version 1, another predicate, and a subject without
 * SHA-256 and SHA-512.
 */
export function decodeStatement(bytes: Uint8Array, predicateType: string): Statement {
  const what = "the statement";
  const value = fieldsOf(parseStrictJson(utf8Text(bytes, what), what, LONGEST_STATEMENT), what);
  if (value["_type"] !== TYPE)
    throw new FormatError(`${what}: one of type ${TYPE} expected, found ${shown(value["_type"])}`);
  if (value["predicateType"] !== predicateType)
    throw new FormatError(
      `${what}: a predicate of type ${shown(predicateType)} expected, found ${shown(value["predicateType"])}`,
    );
  const subject = listField(value["subject"], `${what}: subject`, MOST_SUBJECTS).map((entry) => {
    const { name, digest } = fieldsOf(entry, `${what}: a subject`);
    return {
      name: textField(name ?? "", `${what}: a subject's name`),
      digest: digestOf(digest, `${what}: a subject's digest`),
    };
  });
  if (subject.length === 0) throw new FormatError(`${what}: a subject expected, found none`);
  return { subject, predicateType, predicate: { ...fieldsOf(value["predicate"] ?? {}, `${what}: predicate`) } };
}

function digestOf(value: unknown, what: string): Subject["digest"] {
  const { sha256, sha512 } = fieldsOf(value, what);
  if (sha256 === undefined && sha512 === undefined)
    throw new FormatError(`${what}: sha256 or sha512 expected, found neither`);
  return {
    ...(sha256 !== undefined && { sha256: hexField(sha256, `${what}: sha256`, 64) }),
    ...(sha512 !== undefined && { sha512: hexField(sha512, `${what}: sha512`, 128) }),
  };
}

/** @throws FormatError for bytes that are no UTF-8, or too many. */
function utf8Text(bytes: Uint8Array, what: string): string {
  if (bytes.length > 4 * LONGEST_STATEMENT)
    throw new FormatError(`${what}: at most ${4 * LONGEST_STATEMENT} bytes expected, found ${bytes.length}`);
  const text = utf8Of(bytes);
  if (text === undefined) throw new FormatError(`${what}: UTF-8 expected, found other bytes`);
  return text;
}

/**
 * The subject of a statement that a file is: all digests that the subject gives are the file's.
 * @throws FormatError when it is none of them.
 */
export async function findSubject(statement: Statement, file: Uint8Array): Promise<Subject> {
  const own = (await subjectOf("", file)).digest;
  const is = ({ sha256 = own.sha256, sha512 = own.sha512 }: Subject["digest"]) =>
    sha256 === own.sha256 && sha512 === own.sha512;
  const found = statement.subject.find(({ digest }) => is(digest));
  if (found) return found;
  throw new FormatError(
    `the statement: a file that it speaks of expected, found one with SHA-256 ${own.sha256}: another file, or a changed one`,
  );
}
