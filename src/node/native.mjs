/**
 * What Node, Bun and Deno do in different ways: making a shared library resident, and setting a
 * variable of the environment that native code reads. Plain JavaScript, as vulkan.mjs, which uses
 * it; types in native.d.mts.
 */
import { createRequire } from "node:module";
import { constants } from "node:os";

// glibc's RTLD_NODELETE, which Node does not name: Node closes a library that is no addon, and this
// keeps it resident.
const RTLD_NODELETE = 0x1000;

/** Handles of libraries, which are closed where they are collected. */
const handles = [];

/** Bun's foreign functions; null elsewhere. */
const bun = () =>
  globalThis.Bun === undefined ? null : createRequire(import.meta.url ?? `file://${__filename}`)("bun:ffi");

/**
 * Makes a shared library resident for all native code of the process, by path or by name.
 * @param {string} path
 * @param {string} symbol one that it has: Bun asks for some
 * @returns {boolean} whether it is
 */
export function makeResident(path, symbol) {
  try {
    const ffi = bun();
    if (ffi) handles.push(ffi.dlopen(path, { [symbol]: { args: [], returns: "ptr" } }));
    else if (globalThis.Deno !== undefined) handles.push(globalThis.Deno.dlopen(path, {}));
    else process.dlopen({ exports: {} }, path, constants.dlopen.RTLD_NOW | RTLD_NODELETE);
    return true;
  } catch (error) {
    // "Did not self-register" is Node's word for a library that was loaded and is no addon: just
    // what is wanted.
    return String(error.message).includes("self-register");
  }
}

/**
 * The environment as native code reads it: `process.env`, which in Bun is a copy.
 * @returns {NodeJS.ProcessEnv}
 */
export function nativeEnvironment() {
  const ffi = process.platform === "linux" ? bun() : null;
  if (!ffi) return process.env;
  const { symbols } = ffi.dlopen("libc.so.6", {
    setenv: { args: ["cstring", "cstring", "i32"], returns: "i32" },
    unsetenv: { args: ["cstring"], returns: "i32" },
  });
  const text = (value) => Buffer.from(`${value}\0`);
  return new Proxy(process.env, {
    set(env, name, value) {
      symbols.setenv(text(name), text(value), 1);
      env[name] = value;
      return true;
    },
    deleteProperty(env, name) {
      symbols.unsetenv(text(name));
      return delete env[name];
    },
  });
}
