import { ArgumentError } from "../errors";
import { isPromise, shown } from "./shown";

/**
 * The bytes of an argument that shall hold a whole file: an `ArrayBuffer`, a `SharedArrayBuffer`,
 * or any view of one. Nothing is copied.
 *
 * @param value what the caller gave
 * @param what the function and argument, for the message
 * @throws ArgumentError for anything else, with what to do instead; for memory that was transferred
 * away
 */
export function bytesOf(value: unknown, what: string): Uint8Array {
  try {
    if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
    // By its tag: buffers of another realm (a frame, a worker, a test's sandbox) are not
    // `instanceof` this one's.
    const tag = Object.prototype.toString.call(value);
    if (tag === "[object ArrayBuffer]" || tag === "[object SharedArrayBuffer]")
      return new Uint8Array(value as ArrayBuffer);
  } catch (cause) {
    throw new ArgumentError(
      `${what}: the memory was transferred elsewhere or is no buffer: pass bytes that are still here`,
      { cause },
    );
  }
  throw new ArgumentError(`${what}: a Uint8Array or ArrayBuffer expected, found ${shown(value)}: ${advice(value)}`);
}

function advice(value: unknown): string {
  if (isPromise(value)) return "await it first";
  if (typeof value === "string")
    return "a path is read by `loadSafetensors` of @pan/core/node or `fetch`, text becomes bytes by `new TextEncoder().encode(text)`";
  if (Array.isArray(value)) return "make bytes of it by `Uint8Array.from(list)`";
  const reader = (value as { arrayBuffer?: unknown } | null | undefined)?.arrayBuffer;
  if (typeof reader === "function") return "pass `await it.arrayBuffer()`";
  return "pass the whole contents of a file";
}

const UTF8 = /* @__PURE__ */ new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Bytes as text, each text of other bytes than every other one: none is passed over or replaced, so
 * that two names in a file never become one.
 * @returns undefined for bytes that are no UTF-8
 */
export function utf8Of(bytes: Uint8Array): string | undefined {
  try {
    // A copy, for decoders refuse shared memory.
    return UTF8.decode(bytes.slice());
  } catch {
    return undefined;
  }
}

/** Whether two sequences of bytes are the same. */
export const sameBytes = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && a.every((byte, i) => byte === b[i]);
