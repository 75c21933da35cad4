import { ArgumentError, FormatError } from "../../errors";
import { sha256Hex, sha512Hex } from "../../io/digest";
import { tensorsDigest } from "../../ownership/network-file";
import type { Command } from "../command";
import { readBytes } from "../files";
import { weightsIn } from "../weights";

/** A digest with its file's name, as `sha256sum` prints it. */
function line(digest: string, path: string): string {
  const plain = !/[\\\n\r]/.test(path);
  const name = path.replace(/\\/g, "\\\\").replace(/\n/g, "\\n").replace(/\r/g, "\\r");
  return `${plain ? "" : "\\"}${digest}  ${name}`;
}

/** What is printed of one file. */
interface Digests {
  readonly file: string;
  readonly sha256: string;
  readonly sha512: string;
  readonly tensors: string | null;
}

export const hash: Command = {
  name: "hash",
  summary: "Prints digests of files, as sha256sum does, or of their tensors",
  operands: [{ name: "FILE", about: "any file; of weights the tensors too", many: true }],
  options: {
    sha512: { about: "SHA-512 of the files in the place of SHA-256" },
    tensors: { about: "SHA-512 of names, types, shapes and numbers of all tensors, the same in every container" },
  },
  notes: ["`pan hash FILE | sha256sum -c` checks. --json gives all three."],
  async run(given, terminal) {
    const [sha512, wanted, json] = [given.flag("sha512"), given.flag("tensors"), given.flag("json")];
    if (sha512 && wanted) throw new ArgumentError("expected one of --sha512 and --tensors, got both");
    const found: Digests[] = [];
    for (const file of given.rest("FILE")) {
      terminal.step(`reading ${file}`);
      const bytes = await readBytes(file);
      const digests = { file, sha256: await sha256Hex(bytes), sha512: await sha512Hex(bytes) };
      found.push({ ...digests, tensors: wanted || json ? await ofTensors(bytes, file, wanted) : null });
    }
    const digest = (of: Digests) => (wanted ? of.tensors! : sha512 ? of.sha512 : of.sha256);
    return { code: 0, exact: true, json: found, text: () => found.map((of) => line(digest(of), of.file)).join("\n") };
  },
};

/** The digest of tensors; null for another kind of file where nobody asks for it. */
async function ofTensors(bytes: Uint8Array, path: string, wanted: boolean): Promise<string | null> {
  try {
    return await tensorsDigest(await weightsIn(bytes, path));
  } catch (cause) {
    if (!(cause instanceof FormatError)) throw cause;
    if (wanted) throw cause;
    return null;
  }
}
