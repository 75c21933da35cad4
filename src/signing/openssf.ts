/**
 * OpenSSF Model Signing, version 1.0 (`model.sig`): a Sigstore bundle around an in-toto statement
 * of all files of a model, which `model_signing verify key` accepts. As the sources of
 * sigstore/model-transparency have it (`src/model_signing/_signing/signing.py`, `sign_ec_key.py`,
 * `manifest.py`; `github.com/ossf/model-signing-spec`):
 *
 *     subject digest = SHA-256(SHA-256(file 1) ‖ SHA-256(file 2) ‖ …)
 *
 * over the files in order of their paths, compared part by part. A model that is one file has one
 * resource, named ".".
 */
import { optionsOf, refuse, text as textOf, texts } from "../demand";
import { ArgumentError, FormatError } from "../errors";
import { bytesOf } from "../io/bytes";
import { sha256Hex } from "../io/digest";
import { listed, shown } from "../io/shown";
import { decodeBundle, encodeBundle, signBundle, verifyBundle } from "./bundle";
import { expected, fieldsOf, hexField, listField, textField } from "./fields";
import { checkSigner, publicKeyOf, type Signer } from "./keys";
import { parsePublicKey } from "./public-key";
import { decodeStatement, encodeStatement, IN_TOTO } from "./statement";

/**
 * The files of a model by their paths below its folder, with "/" between the parts; or the bytes of
 * the one file that it is.
 */
export type ModelFiles = ReadonlyMap<string, Uint8Array> | Uint8Array;

/** Options of {@link signModel}. */
export interface SignModelOptions {
  /** The model's name: for people, nothing depends on it. */
  name: string;
  /** Paths that verifiers shall pass over, a folder's with all that is below it. */
  ignorePaths?: readonly string[];
}

/** What a signature of a model says, once it holds. */
export interface SignedModel {
  readonly name: string;
  /** SHA-256 of each file by its path. */
  readonly digests: ReadonlyMap<string, string>;
}

/** Type of the statement's predicate. */
export const MODEL_PREDICATE = "https://model_signing/signature/v1.0";
const MOST_FILES = 10_000;
const LONGEST_PATH = 4096;
/** What a model that is one file calls it. */
const ITSELF = ".";

/**
 * Signs a model; the text is the file `model.sig`.
 * @param signer ECDSA over P-256, P-384 or P-521: model signing takes no other keys
 * @throws ArgumentError for what are no files, paths that do not stay in a folder, an Ed25519 key,
 * or what is no signer.
 */
export async function signModel(files: ModelFiles, signer: Signer, options: SignModelOptions): Promise<string> {
  const what = "signModel";
  const { name, ignorePaths = [] } = optionsOf(what, options, ["name", "ignorePaths"]);
  textOf(what, "name", name);
  texts(what, "ignorePaths", ignorePaths);
  checkSigner(signer, what);
  if (parsePublicKey(publicKeyOf(signer.publicKey), what).kind !== "ECDSA")
    throw new ArgumentError(
      `${what}: a key of ECDSA expected, found Ed25519, which OpenSSF model signing does not take: make one with newSigningKey()`,
    );
  const digests = await digestsOf(files, what);
  if (digests.size === 0) throw new ArgumentError(`${what}: files expected, found none`);
  const resources = [...digests].map(([path, digest]) => ({ algorithm: "sha256", digest, name: path }));
  const statement = {
    subject: [{ name, digest: { sha256: await rootOf(digests) } }],
    predicateType: MODEL_PREDICATE,
    predicate: {
      serialization: { method: "files", hash_type: "sha256", allow_symlinks: false, ignore_paths: [...ignorePaths] },
      resources,
    },
  };
  return encodeBundle(await signBundle(encodeStatement(statement), IN_TOTO, signer));
}

/**
 * Verifies a `model.sig`: its signature is the key's, and the files are those that it lists, each
 * with its digest, none missing and none besides but those below its ignored paths.
 * @param signature the text of the file
 * @param key PEM or DER
 * @throws ArgumentError for what are no files; FormatError naming what is not as signed, and for a
 * signature of another form (serialized by shards, other digests than SHA-256, by a certificate).
 */
export async function verifyModel(
  files: ModelFiles,
  signature: string,
  key: string | Uint8Array,
): Promise<SignedModel> {
  const payload = await verifyBundle(decodeBundle(signature), key, IN_TOTO);
  const { subject, predicate } = decodeStatement(payload, MODEL_PREDICATE);
  const signed = readResources(predicate["resources"]);
  const root = await rootOf(signed);
  if (subject.length !== 1 || subject[0]!.digest.sha256 !== root)
    throw new FormatError(
      `the model's signature: one subject with the digest of all resources, ${root}, expected, found ${shown(subject[0]!.digest.sha256)}`,
    );
  const ignored = readSerialization(predicate["serialization"]);
  const given = await digestsOf(files, "verifyModel");
  const isIgnored = (path: string) =>
    path.split("/").some((_, i, parts) => ignored.has(parts.slice(0, i + 1).join("/")));
  const problems = [
    ["missing", [...signed.keys()].filter((path) => !given.has(path))],
    ["changed", [...signed].flatMap(([path, digest]) => (given.has(path) && given.get(path) !== digest ? [path] : []))],
    ["not signed", [...given.keys()].filter((path) => !signed.has(path) && !isIgnored(path))],
  ] as const;
  const found = problems
    .filter(([, paths]) => paths.length > 0)
    .map(([problem, paths]) => `${problem}: ${listed(paths)}`);
  if (found.length > 0)
    throw new FormatError(`the model: the files that were signed expected, found others (${found.join("; ")})`);
  return { name: subject[0]!.name, digests: signed };
}

/** SHA-256 over the digests one behind the other. */
async function rootOf(digests: ReadonlyMap<string, string>): Promise<string> {
  const all = [...digests.values()].join("");
  return sha256Hex(
    Uint8Array.from({ length: all.length / 2 }, (_, i) => Number.parseInt(all.slice(2 * i, 2 * i + 2), 16)),
  );
}

/** SHA-256 of each file, in the order in which they are signed. */
async function digestsOf(files: unknown, what: string): Promise<Map<string, string>> {
  const digests = new Map<string, string>();
  if (!(files instanceof Map)) {
    digests.set(ITSELF, await sha256Hex(bytesOf(files, `${what}: the model's file, or a Map of files`)));
    return digests;
  }
  if (files.size > MOST_FILES) refuse(what, "the model", `of at most ${MOST_FILES} files`, files);
  const paths = [...(files.keys() as Iterable<unknown>)].map((path) => {
    if (typeof path !== "string" || !isPath(path))
      return refuse(what, "a path", "relative, with / between its parts and none of them . or ..", path);
    return path;
  });
  for (const path of paths.sort(byParts))
    digests.set(path, await sha256Hex(bytesOf(files.get(path), `${what}: ${shown(path)}`)));
  return digests;
}

/** Whether a path stays below a folder, and is the only one to its file. */
function isPath(path: string): boolean {
  const parts = path.split("/");
  return (
    path.length <= LONGEST_PATH &&
    !/[\0\\]/.test(path) &&
    parts.every((part) => part !== "" && part !== "." && part !== "..")
  );
}

/** Order of Python's `PurePosixPath`: part by part, each by code points. */
function byParts(a: string, b: string): number {
  const [x, y] = [a.split("/"), b.split("/")];
  const i = x.findIndex((part, k) => part !== y[k]);
  if (i < 0) return x.length - y.length;
  if (y[i] === undefined) return 1;
  const [p, q] = [[...x[i]!], [...y[i]!]];
  const k = p.findIndex((char, j) => char !== q[j]);
  if (k < 0) return -1;
  return (p[k]!.codePointAt(0) ?? 0) - (q[k]?.codePointAt(0) ?? -1);
}

/** @throws FormatError for what is no list of files with SHA-256, each there once. */
function readResources(value: unknown): Map<string, string> {
  const what = "the model's signature: resources";
  const digests = new Map<string, string>();
  for (const entry of listField(value, what, MOST_FILES)) {
    const { name, algorithm, digest } = fieldsOf(entry, `${what}: a file`);
    const path = textField(name, `${what}: a file's name`, LONGEST_PATH);
    if (algorithm !== "sha256") expected(`${what}: algorithm of ${shown(path)}`, '"sha256"', algorithm);
    if (digests.has(path) || (path !== ITSELF && !isPath(path)))
      expected(`${what}: a file's name`, "a path below the model, each once", path);
    digests.set(path, hexField(digest, `${what}: digest of ${shown(path)}`, 64));
  }
  return digests;
}

/**
 * The paths that a signature passes over.
 * @throws FormatError for another way than file by file.
 */
function readSerialization(value: unknown): Set<string> {
  const what = "the model's signature: serialization";
  const { method, hash_type: hash, ignore_paths: ignored } = fieldsOf(value, what);
  if (method !== "files" || hash !== "sha256") expected(what, 'method "files" and hash_type "sha256"', value);
  const paths = listField(ignored ?? [], `${what}: ignore_paths`, MOST_FILES);
  // A folder may end in a "/".
  return new Set(paths.map((path) => textField(path, `${what}: a path`, LONGEST_PATH).replace(/\/$/, "")));
}
