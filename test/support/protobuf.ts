/** Protocol buffers written by hand: fields one after the other. */
import { bytesOf } from "./torch";

/** Seven bits a byte, least first. */
export function varint(value: number | bigint): Uint8Array {
  let rest = BigInt.asUintN(64, BigInt(value));
  const out: number[] = [];
  do {
    out.push(Number(rest & 0x7fn) | (rest > 0x7fn ? 0x80 : 0));
    rest >>= 7n;
  } while (rest);
  return Uint8Array.from(out);
}

export const integer = (field: number, value: number | bigint): Uint8Array => bytesOf(varint(8 * field), varint(value));

export const message = (field: number, ...parts: (string | Uint8Array)[]): Uint8Array => {
  const content = bytesOf(...parts);
  return bytesOf(varint(8 * field + 2), varint(content.length), content);
};

/** A model of ONNX with these initialisers, each the fields of a TensorProto. */
export const onnxOf = (...tensors: Uint8Array[][]): Uint8Array =>
  bytesOf(integer(1, 8), message(2, "test"), message(7, ...tensors.map((fields) => message(5, ...fields))));
