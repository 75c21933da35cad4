/** An NPY file of version 1.0 with this header text or these fields. */
export function npyFile(
  header: string | { descr: string; shape: readonly number[]; fortran?: boolean },
  data: ArrayBufferView,
): Uint8Array {
  const tuple = (shape: readonly number[]) => `(${shape.join(", ")}${shape.length === 1 ? "," : ""})`;
  const dict =
    typeof header === "string"
      ? header
      : `{'descr': '${header.descr}', 'fortran_order': ${header.fortran ? "True" : "False"}, 'shape': ${tuple(header.shape)}, }`;
  const text = new TextEncoder().encode(dict.padEnd(64 * Math.ceil((dict.length + 11) / 64) - 11) + "\n");
  const body = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  const head = [0x93, ...new TextEncoder().encode("NUMPY"), 1, 0, text.length & 255, text.length >> 8];
  return Uint8Array.of(...head, ...text, ...body);
}
