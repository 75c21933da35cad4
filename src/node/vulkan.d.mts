/** File name of the Vulkan loader; Dawn opens it by this name. */
export declare const LOADER: string;

/** File name of SwiftShader's driver manifest inside its folder. */
export declare const SWIFTSHADER_MANIFEST: string;

/**
 * Loads a shared library into the process and keeps it there, so that a later `dlopen` of its bare
 * name finds it. Works with no LD_LIBRARY_PATH and no child process.
 *
 * @param path a file, or a bare name that the system's search path resolves.
 * @returns whether the library is resident; the first answer for a path is remembered.
 */
export declare function loadLibrary(path: string): boolean;

/**
 * Paths of the Vulkan driver manifests that the loader would read: those of `VK_DRIVER_FILES` (or
 * `VK_ICD_FILENAMES`) where set, else those in its standard folders.
 */
export declare function driverManifests(env?: NodeJS.ProcessEnv): string[];

/** Whether a folder holds SwiftShader: the driver, a loader and the manifest. */
export declare function isSwiftShader(directory: string): boolean;

/** The first `relative` that exists in `start` or a folder above it, or null. */
export declare function findUpwards(start: string, relative: string): string | null;

/**
 * Path of SwiftShader's archive in an installed `@sparticuz/chromium`, searched upwards from each
 * start, or null.
 */
export declare function findArchive(starts: readonly string[]): string | null;

/**
 * Unpacks SwiftShader from `@sparticuz/chromium`'s archive (brotli, tar) into `directory`, which
 * appears whole or not at all. What is left of an incomplete copy is replaced; a folder with
 * anything else in it is refused.
 *
 * @throws Error when the archive is damaged, or the folder cannot be written; nothing is left
 * behind then.
 */
export declare function unpackSwiftShader(archive: string, directory: string): Promise<void>;
