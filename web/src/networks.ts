/** Networks as people have them: one file, or an index and the files that it names. */
import { KIND_NAMES, kindOf, namedIn } from "./kinds";

/** Files of one network: where it has an index, that is the first. */
export type NetworkFiles = readonly File[];

const nameIn = (path: string): string => path.slice(path.lastIndexOf("/") + 1);

interface Together {
  /** The index first. */
  readonly set: NetworkFiles;
  readonly missing: readonly string[];
  /** A name that several files have, or shall have. */
  readonly twice: string | undefined;
}

function repeated(names: readonly string[]): string | undefined {
  const seen = new Set<string>();
  return names.find((name) => seen.size === seen.add(name).size);
}

/** Those of some files that an index names, by their names without folders. */
async function together(index: File, files: readonly File[]): Promise<Together> {
  const names = [...new Set(await namedIn(index))].map(nameIn);
  const parts = files.filter((file) => file !== index && names.includes(file.name));
  return {
    set: [index, ...parts],
    missing: [...new Set(names)].filter((name) => !parts.some((part) => part.name === name)),
    twice: repeated(names) ?? repeated(parts.map(({ name }) => name)),
  };
}

/**
 * The one network that some files are.
 * @returns what is wrong, in words, where they are none, or more
 */
export async function oneNetwork(files: readonly File[]): Promise<NetworkFiles | string> {
  const kinds = await Promise.all(files.map(kindOf));
  const index = files[kinds.indexOf("index")];
  if (!index) {
    if (files.length > 1) return `one network expected, and ${files.length} files are there, without an index.`;
    const [kind, file] = [kinds[0]!, files[0]!];
    return kind === "network" ? files : `${KIND_NAMES.network} expected, and ${file.name} is ${KIND_NAMES[kind]}.`;
  }
  const { set, missing, twice } = await together(index, files);
  if (twice !== undefined)
    return `${index.name} has two files called ${twice}, of which this page cannot know which is which: npx @pan/core convert makes one file of them.`;
  if (missing.length) {
    const more = missing.length > 3 ? ` and ${missing.length - 3} more` : "";
    return `${index.name} names ${missing.slice(0, 3).join(", ")}${more}: choose them together with it.`;
  }
  const strange = files.find((file) => !set.includes(file));
  return strange ? `${index.name} does not name ${strange.name}: choose the files of one network.` : set;
}

/**
 * All networks among files of any kind.
 * @returns networks, and the files that are part of none
 */
export async function networksAmong(
  files: readonly File[],
): Promise<{ networks: NetworkFiles[]; rest: readonly File[] }> {
  const kinds = await Promise.all(files.map((file) => kindOf(file).catch(() => "other" as const)));
  const sets: NetworkFiles[] = [];
  for (const [i, index] of files.entries()) if (kinds[i] === "index") sets.push((await together(index, files)).set);
  const taken = new Set(sets.flat());
  const single = files.filter((file, i) => kinds[i] === "network" && !taken.has(file));
  for (const file of single) taken.add(file);
  return { networks: [...single.map((file) => [file]), ...sets], rest: files.filter((file) => !taken.has(file)) };
}

/** Reads a file that an index names, out of those that were chosen with it. */
export const partOf =
  ([, ...parts]: NetworkFiles) =>
  async (name: string): Promise<ArrayBuffer> => {
    const part = parts.find((file) => file.name === nameIn(name));
    if (!part) throw new Error(`${name} was not chosen`);
    return part.arrayBuffer();
  };
