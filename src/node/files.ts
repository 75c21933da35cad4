/**
 * Files on disk that are either whole or absent: every write goes to a temporary file beside the target, which then takes
 * the target's name in one step. A crash, a full disk or Ctrl-C in between leaves the earlier file as it was.
 */
import { randomUUID } from "node:crypto";
import { type FileHandle, open, readFile, realpath, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { FormatError, PanError } from "../errors";
import type { StateDict } from "../io/host-tensor";
import { decodeSafetensors, encodeSafetensors, type SafetensorsFile } from "../io/safetensors";
import type { CheckpointStore } from "../train/checkpoint";

const errorCode = (error: unknown): string | undefined =>
  error instanceof Error && "code" in error ? String(error.code) : undefined;

const ADVICE: Readonly<Record<string, string>> = {
  ENOSPC: "the disk is full: free some space and save again",
  EDQUOT: "the disk quota is used up: free some space and save again",
  EACCES: "permission was denied: choose a folder you may write to",
  EPERM: "permission was denied: choose a folder you may write to",
  EROFS: "the disk is read-only: choose another folder",
  ENOENT: "the folder does not exist: create it first",
  ENOTDIR: "a part of the path is not a folder: check the path",
  EISDIR: "the path is a folder: give a file name",
};

/** The file behind a symbolic link, so that the link survives the rename; the path itself where there is nothing yet. */
async function resolveTarget(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch (error) {
    if (errorCode(error) === "ENOENT") return path;
    throw error;
  }
}

/** Permission bits of the file to be replaced: an owner's secret kept at 0600 must not become readable by being saved again. */
async function existingMode(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).mode & 0o777;
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined;
    throw error;
  }
}

/** Makes the rename itself survive a power cut; where folders cannot be opened or synced (Windows) there is nothing to do. */
async function syncFolder(folder: string): Promise<void> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(folder, "r");
    await handle.sync();
  } catch {
    // The new file is already in place and whole.
  } finally {
    await handle?.close().catch(() => {});
  }
}

async function writeAndSync(path: string, bytes: Uint8Array, mode: number | undefined): Promise<void> {
  const handle = await open(path, "wx", mode ?? 0o666);
  try {
    if (mode !== undefined) await handle.chmod(mode);
    await handle.writeFile(bytes);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/**
 * Writes a file so that a reader, at any moment and after any crash, finds either the earlier contents or all of the new ones.
 *
 * The bytes go to a temporary file of unique name in the same folder, are forced to disk, and take the target's name by `rename`,
 * which is atomic within a file system; then the folder is forced to disk where the system can. Writers at the same time do
 * not mix: the last rename wins. A symbolic link is followed, permissions of an existing file are kept.
 *
 * @param path file to create or replace; its folder must exist
 * @param bytes the whole contents
 * @throws PanError when the write fails (disk full, no permission, no such folder): the earlier file, if any, is intact, the temporary
 * file is removed, and `cause` holds the system's error
 */
export async function writeFileAtomic(path: string, bytes: Uint8Array): Promise<void> {
  let temporary: string | undefined;
  try {
    const target = await resolveTarget(path);
    const mode = await existingMode(target);
    const folder = dirname(target);
    // 50 characters keep the name under the usual limit of 255 bytes, whatever the script.
    temporary = join(folder, `.${basename(target).slice(0, 50)}.${randomUUID()}.tmp`);
    await writeAndSync(temporary, bytes, mode);
    await rename(temporary, target);
    await syncFolder(folder);
  } catch (cause) {
    if (temporary !== undefined) await rm(temporary, { force: true }).catch(() => {});
    const reason = ADVICE[errorCode(cause) ?? ""] ?? String(cause);
    throw new PanError(`Could not write ${path}: ${reason}. Whatever was at that path before is intact.`, { cause });
  }
}

/**
 * Saves tensors as a safetensors file, atomically ({@link writeFileAtomic}).
 *
 * @param path file to create or replace
 * @param file tensors, alone or with their metadata
 * @param metadata string to string, added to the file's own; on equal keys this one wins
 * @throws ArgumentError, ShapeError as {@link encodeSafetensors}, before anything is written
 * @throws PanError when the disk refuses; the earlier file is intact
 */
export async function saveSafetensors(
  path: string,
  file: SafetensorsFile | StateDict,
  metadata: Record<string, string> = {},
): Promise<void> {
  const { tensors, metadata: own } = file instanceof Map ? { tensors: file, metadata: {} } : file;
  await writeFileAtomic(path, encodeSafetensors(tensors, { ...own, ...metadata }));
}

/**
 * Reads a safetensors file.
 *
 * @param path file to read
 * @returns its tensors in host memory, and its metadata
 * @throws FormatError when the file cannot be read (`cause` holds the system's error) or is not valid ({@link decodeSafetensors}); the
 * message starts with the path
 */
export async function loadSafetensors(path: string): Promise<SafetensorsFile> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch (cause) {
    const problem =
      errorCode(cause) === "ENOENT"
        ? `there is no such file (looked from ${process.cwd()}): check the path, or save the model first`
        : `could not be read (${String(cause)}): check that it is a file you may read`;
    throw new FormatError(`${path}: ${problem}.`, { cause });
  }
  try {
    return decodeSafetensors(bytes);
  } catch (cause) {
    if (cause instanceof FormatError) throw new FormatError(`${path}: ${cause.message}`, { cause });
    throw cause;
  }
}

/**
 * Keeps a trainer's checkpoint in one file: written whole or not at all, the earlier one standing until then.
 *
 * @example
 * new Trainer(model, optimizer, { checkpoints: fileCheckpoints("out/run.checkpoint") });
 */
export function fileCheckpoints(path: string): CheckpointStore {
  return {
    save: (bytes) => writeFileAtomic(path, bytes),
    async load() {
      try {
        return await readFile(path);
      } catch (cause) {
        if (errorCode(cause) === "ENOENT") return null;
        throw new PanError(`${path}: the checkpoint could not be read: ${String(cause)}`, { cause });
      }
    },
  };
}
