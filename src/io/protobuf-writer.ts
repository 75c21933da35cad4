/**
 * Protocol buffers, written: as much of their wire format as ONNX models and event files need.
 */

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;

const utf8 = new TextEncoder();

/**
 * A message that is put together field by field; nothing is copied before {@link Message.bytes}.
 */
export class Message {
  readonly #pieces: Uint8Array[] = [];
  #length = 0;

  /** Bytes that it takes. */
  get length(): number {
    return this.#length;
  }

  /** A field of type int32, int64 or enum: negative numbers take ten bytes. */
  integer(field: number, value: number | bigint): this {
    this.#tag(field, VARINT);
    return this.#varint(BigInt.asUintN(64, BigInt(value)));
  }

  /** Each of a repeated field, one behind the other. */
  integers(field: number, values: readonly (number | bigint)[]): this {
    for (const value of values) this.integer(field, value);
    return this;
  }

  float(field: number, value: number): this {
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setFloat32(0, value, true);
    this.#tag(field, FIXED32);
    return this.#append(bytes);
  }

  double(field: number, value: number): this {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setFloat64(0, value, true);
    this.#tag(field, FIXED64);
    return this.#append(bytes);
  }

  text(field: number, value: string): this {
    return this.data(field, utf8.encode(value));
  }

  data(field: number, value: Uint8Array): this {
    this.#tag(field, BYTES);
    this.#varint(BigInt(value.length));
    return this.#append(value);
  }

  message(field: number, value: Message): this {
    this.#tag(field, BYTES);
    this.#varint(BigInt(value.#length));
    for (const piece of value.#pieces) this.#append(piece);
    return this;
  }

  messages(field: number, values: readonly Message[]): this {
    for (const value of values) this.message(field, value);
    return this;
  }

  /** All of it. */
  bytes(): Uint8Array<ArrayBuffer> {
    const all = new Uint8Array(this.#length);
    let at = 0;
    for (const piece of this.#pieces) {
      all.set(piece, at);
      at += piece.length;
    }
    return all;
  }

  #tag(field: number, wire: number): void {
    this.#varint(BigInt(field * 8 + wire));
  }

  #varint(value: bigint): this {
    const bytes: number[] = [];
    let rest = value;
    for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
    bytes.push(Number(rest));
    return this.#append(Uint8Array.from(bytes));
  }

  #append(piece: Uint8Array): this {
    this.#pieces.push(piece);
    this.#length += piece.length;
    return this;
  }
}
