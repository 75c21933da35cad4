/**
 * Files on disk that are either whole or absent: every write goes to a temporary file beside the
 * target, which then takes the target's name in one step. A crash, a full disk or Ctrl-C in between
 * leaves the earlier file as it was.
 */
import { type FileHandle, lstat, open, readlink, realpath, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { optionsOf } from "../demand";
import { ArgumentError, PanError } from "../errors";
import { bytesOf } from "../io/bytes";
import type { StateDict } from "../io/host-tensor";
import { encodeSafetensors, type SafetensorsFile } from "../io/safetensors";
import { clip, isPlain, shown } from "../io/shown";
import type { CheckpointStore } from "../train/checkpoint";
import { errorCode, kindOf, pathOf } from "./file-path";
import { removeLeftovers, temporaryName } from "./leftovers";
import { readWhole, reasonOf } from "./read-files";
import { checkMode, isSecret, PRIVATE } from "./secrets";

/** Options of everything that writes a file. */
export interface WriteOptions {
  /**
   * Permission bits that the file gets, whatever it had before and whatever the process's umask is;
   * `0o600` is the owner alone.
   * Default: those of the file that is replaced; for a new one what the umask leaves of `0o666`.
   */
  readonly mode?: number;
}

/** @throws ArgumentError for what is no set of permission bits, and other options. */
const modeOf = (what: string, options: WriteOptions): number | undefined =>
  checkMode(optionsOf(what, options, ["mode"]).mode);

const ADVICE: Readonly<Record<string, string>> = {
  ENOSPC: "the disk is full: free some space and save again",
  EDQUOT: "the disk quota is used up: free some space and save again",
  EACCES: "permission was denied: choose a folder you may write to",
  EPERM: "permission was denied: choose a folder you may write to",
  EROFS: "the disk is read-only: choose another folder",
  ENOENT: "the folder does not exist: create it first",
  ENOTDIR: "a part of the path is not a folder: check the path",
  EISDIR: "the path is a folder: give a file name",
  ELOOP: "its symbolic links lead in a circle: remove them",
  ENAMETOOLONG: "the name is too long: choose a shorter one",
};

/**
 * The file behind a symbolic link, so that the link survives the rename; the path itself where
 * there is nothing yet.
 */
async function resolveTarget(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch (error) {
    if (errorCode(error) !== "ENOENT") throw error;
    const found = await lstat(path).catch(() => null);
    if (!found?.isSymbolicLink()) return path;
    throw new PanError(
      `Could not write ${clip(path, 300)}: it is a symbolic link to ${clip(await readlink(path), 300)}, where there is nothing: remove the link, or create what it leads to.`,
    );
  }
}

/**
 * Permission bits of the file to be replaced.
 * @throws PanError where something else than a file would be replaced.
 */
async function existingMode(path: string): Promise<number | undefined> {
  try {
    const found = await stat(path);
    if (found.isFile()) return found.mode & 0o777;
    const advice = found.isDirectory() ? "give a file name" : "only files are replaced: choose another path";
    throw new PanError(`Could not write ${clip(path, 300)}: it is ${kindOf(found)}: ${advice}.`);
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined;
    throw error;
  }
}

/**
 * Codes by which systems say that folders cannot be opened or forced to disk at all, and not that
 * doing it failed.
 */
const CANNOT = new Set(["EISDIR", "EINVAL", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EPERM", "EACCES"]);

/** Makes the rename itself survive a power cut, where the system can do that (Windows cannot). */
async function syncFolder(folder: string): Promise<void> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(folder, "r");
    await handle.sync();
  } catch (error) {
    if (!CANNOT.has(errorCode(error) ?? "")) throw error;
  } finally {
    await handle?.close().catch(() => {});
  }
}

async function writeAndSync(
  path: string,
  write: (handle: FileHandle) => Promise<void>,
  mode: number | undefined,
): Promise<void> {
  // Never wider than it shall be, not even before the first byte.
  const handle = await open(path, "wx", mode ?? 0o666);
  try {
    if (mode !== undefined) await handle.chmod(mode);
    await write(handle);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/**
 * Writes a file so that a reader, at any moment and after any crash, finds either the earlier
 * contents or all of the new ones.
 *
 * The bytes go to a temporary file of unique name in the same folder, are forced to disk, and take
 * the target's name by `rename`, which is atomic within a file system; then the folder is forced to
 * disk where the system can. Writers at the same time do not mix: the last rename wins. A symbolic
 * link is followed, permissions of an existing file are kept unless `mode` says others. Temporary
 * files of writers of this target that were killed are removed first.
 *
 * @param path file to create or replace; its folder must exist
 * @param bytes the whole contents
 * @throws ArgumentError when path, bytes or mode are none, and for other options
 * @throws PanError when the write fails (disk full, no permission, no such folder), or the target
 * is no file (folder, pipe, socket, device, a link to nothing): the earlier file, if any, is
 * intact, the temporary file is removed, and `cause` holds the system's error
 */
export async function writeFileAtomic(path: string, bytes: Uint8Array, options: WriteOptions = {}): Promise<void> {
  const wanted = pathOf(path, "writeFileAtomic");
  const contents = bytesOf(bytes, "writeFileAtomic");
  const mode = modeOf("writeFileAtomic", options);
  await replaceFile(wanted, (handle) => handle.writeFile(contents), mode);
}

/**
 * {@link writeFileAtomic} for contents that are made piece by piece: `write` writes them to a
 * temporary file. What it throws is thrown on, if it is one of this package's errors.
 */
export async function replaceFile(
  wanted: string,
  write: (handle: FileHandle) => Promise<void>,
  mode?: number,
): Promise<void> {
  let temporary: string | undefined;
  let placed = false;
  try {
    const target = await resolveTarget(wanted);
    const kept = await existingMode(target);
    const folder = dirname(target);
    await removeLeftovers(folder, basename(target));
    temporary = join(folder, await temporaryName(basename(target)));
    await writeAndSync(temporary, write, mode ?? kept);
    await rename(temporary, target);
    placed = true;
    await syncFolder(folder);
  } catch (cause) {
    if (temporary !== undefined && !placed) await rm(temporary, { force: true }).catch(() => {});
    if (cause instanceof PanError) throw cause;
    const shown = clip(wanted, 300);
    const reason = ADVICE[errorCode(cause) ?? ""] ?? clip(String(cause), 300);
    if (placed)
      throw new PanError(
        `${shown} was written, but its folder could not be forced to disk: ${reason}. A power cut may bring the earlier file back: save again.`,
        { cause },
      );
    throw new PanError(`Could not write ${shown}: ${reason}. Whatever was at that path before is intact.`, { cause });
  }
}

/**
 * Saves tensors as a safetensors file, atomically ({@link writeFileAtomic}).
 *
 * What is its owner's alone is written readable for the owner alone (mode `0o600`, an existing file
 * of wider mode narrowed): files that say they are a credential, a watermark or a checkpoint, and
 * whatever holds passports. Others, the deployed model among them, get the usual permissions.
 *
 * @param path file to create or replace
 * @param file tensors, alone or with their metadata
 * @param metadata string to string, added to the file's own; on equal keys this one wins
 * @param options `mode` instead of these permissions
 * @throws ArgumentError, ShapeError as {@link encodeSafetensors}, before anything is written
 * @throws PanError when the disk refuses; the earlier file is intact
 */
export async function saveSafetensors(
  path: string,
  file: SafetensorsFile | StateDict,
  metadata: Record<string, string> = {},
  options: WriteOptions = {},
): Promise<void> {
  const mode = modeOf("saveSafetensors", options);
  const whole = isPlain(file) && file["tensors"] instanceof Map;
  const { tensors, metadata: own = {} } = whole ? (file as unknown as SafetensorsFile) : { tensors: file as StateDict };
  for (const part of [own, metadata])
    if (!isPlain(part)) throw new ArgumentError(`metadata: an object of names to text expected, found ${shown(part)}`);
  const all = { ...own, ...metadata };
  const bytes = encodeSafetensors(tensors, all);
  const names = tensors instanceof Map ? tensors.keys() : Object.keys(tensors);
  const allowed = mode ?? (isSecret(names, all) ? PRIVATE : undefined);
  await writeFileAtomic(path, bytes, allowed === undefined ? {} : { mode: allowed });
}

/**
 * Keeps a trainer's checkpoint in one file: written whole or not at all, the earlier one standing
 * until then. A checkpoint holds passports: the file is readable for its owner alone, unless `mode`
 * says otherwise.
 *
 * @example
 * new Trainer(model, optimizer, { checkpoints: fileCheckpoints("out/run.checkpoint") });
 *
 * @throws ArgumentError when path or mode are none, and for other options
 */
export function fileCheckpoints(path: string, options: WriteOptions = {}): CheckpointStore {
  const file = pathOf(path, "fileCheckpoints");
  const mode = modeOf("fileCheckpoints", options) ?? PRIVATE;
  return {
    save: (bytes) => writeFileAtomic(file, bytes, { mode }),
    async load() {
      try {
        return await readWhole(file);
      } catch (cause) {
        if (errorCode(cause) === "ENOENT") return null;
        throw new PanError(`${clip(file, 300)}: the checkpoint could not be read: ${reasonOf(cause)}`, { cause });
      }
    },
  };
}
