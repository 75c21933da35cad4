/** The trained networks that lie beside this file, each in the folder that its training left. */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { ArgumentError, FormatError, type SafetensorsFile } from "@pan/core";
import { loadSafetensors } from "@pan/core/node";
import { checkSums } from "./sums";

/** Where they are. */
export const PRETRAINED = import.meta.dirname;

/** A trained network with what its owner would publish, and what no owner would. */
export interface Pretrained {
  name: string;
  /** Its folder. */
  folder: string;
  /** The network that is given away. */
  deployed: SafetensorsFile;
  /** The owner's credential, given away too, for demonstrations; null for a plain network. */
  credential: SafetensorsFile | null;
  /**
   * The owner's commitment, stamped by an authority of the demonstration; null where there is none.
   */
  commitment: string | null;
  /** Certificate of that authority's root, PEM. */
  root: string | null;
}

/** Names of the networks. */
export async function pretrainedNames(within = PRETRAINED): Promise<string[]> {
  const entries = await readdir(within, { withFileTypes: true });
  return entries
    .filter((e) => e.isDirectory())
    .map((e) => e.name)
    .sort();
}

/**
 * Reads one of the networks, every file of it checked against the digest that `SHA256SUMS` says.
 * @throws ArgumentError for a name that is none of them; FormatError for files that are missing or
 * others.
 */
export async function loadPretrained(name: string, within = PRETRAINED): Promise<Pretrained> {
  const names = await pretrainedNames(within);
  if (!names.includes(name))
    throw new ArgumentError(`a pretrained network expected (${names.join(", ")}), found "${name}"`);
  const folder = join(within, name);
  const sums = await checkSums(folder);
  if (!sums) throw new FormatError(`${folder}: digests of its files expected in SHA256SUMS, and it is not there`);
  const read = (file: string) => loadSafetensors(join(folder, file));
  const text = (file: string) => (sums.has(file) ? readFile(join(folder, file), "utf8") : null);
  return {
    name,
    folder,
    deployed: await read("deployed.safetensors"),
    credential: sums.has("owner.credential.safetensors") ? await read("owner.credential.safetensors") : null,
    commitment: await text("commitment.sigstore.json"),
    root: await text("root.pem"),
  };
}
