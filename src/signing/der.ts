/**
 * A strict reader of DER (ITU-T X.690): lengths definite and in their shortest form, tags below 31,
 * nothing behind the end. It walks along the bytes that it was given and copies nothing; whoever
 * asks for what is inside an element does so by name, so that depth and work are those of the code
 * and not of the file.
 */
import { FormatError } from "../errors";

/** Tags of the universal class, constructed where the type is; and of the context, by number. */
export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  utf8: 0x0c,
  sequence: 0x30,
  set: 0x31,
  printable: 0x13,
  ia5: 0x16,
  utcTime: 0x17,
  generalizedTime: 0x18,
  /** [n], implicit around a primitive type. */
  primitive: (n: number) => 0x80 | n,
  /** [n], explicit, or implicit around a constructed type. */
  constructed: (n: number) => 0xa0 | n,
} as const;

/** One element. */
export interface Element {
  readonly tag: number;
  readonly content: Uint8Array;
  /** Tag, length and content. */
  readonly whole: Uint8Array;
}

/** Walks along elements that lie one behind the other. */
export class DerReader {
  #at = 0;

  /**
   * @param what whose elements they are, for messages
   * @param file what they are all part of
   */
  constructor(
    private readonly bytes: Uint8Array,
    readonly what: string,
    readonly file = what,
  ) {}

  /** Whether all elements were read. */
  get done(): boolean {
    return this.#at === this.bytes.length;
  }

  /** The tag of the next element; undefined at the end. */
  get tag(): number | undefined {
    return this.bytes[this.#at];
  }

  /** @throws FormatError saying what is wrong with `part`. */
  refuse(part: string, problem: string): never {
    throw new FormatError(`${this.what}: ${part}: ${problem}`);
  }

  /**
   * The next element, whatever it is.
   * @throws FormatError at the end, and for what is no DER.
   */
  any(part: string): Element {
    const { bytes } = this;
    const start = this.#at;
    const tag = bytes[start];
    const first = bytes[start + 1];
    if (tag === undefined || first === undefined) return this.refuse(part, "expected, found the end");
    if ((tag & 0x1f) === 0x1f) this.refuse(part, "DER with tags below 31 expected, found a larger one");
    let at = start + 2;
    let length = first;
    if (first & 0x80) {
      const count = first & 0x7f;
      if (count === 0 || count > 4) this.refuse(part, "DER with a definite length below 2^32 expected, found another");
      length = 0;
      for (let i = 0; i < count; i++) length = 256 * length + (bytes[at++] ?? 0);
      if (length < 0x80 || length < 256 ** (count - 1))
        this.refuse(part, "DER with lengths in their shortest form expected, found a longer one");
    }
    const end = at + length;
    if (end > bytes.length) this.refuse(part, `${length} bytes expected, found ${Math.max(0, bytes.length - at)}`);
    this.#at = end;
    return { tag, content: bytes.subarray(at, end), whole: bytes.subarray(start, end) };
  }

  /** @throws FormatError unless the next element has that tag. */
  read(tag: number, part: string): Element {
    if (this.tag !== undefined && this.tag !== tag)
      this.refuse(
        part,
        `the tag 0x${tag.toString(16).padStart(2, "0")} expected, found 0x${this.tag.toString(16).padStart(2, "0")}`,
      );
    return this.any(part);
  }

  /** The next element where it has that tag. */
  optional(tag: number, part: string): Element | undefined {
    return this.tag === tag ? this.any(part) : undefined;
  }

  /** What is inside the next element, which has that tag: a sequence by default. */
  inside(part: string, tag: number = TAG.sequence): DerReader {
    return new DerReader(this.read(tag, part).content, `${this.file}: ${part}`, this.file);
  }

  /** {@link inside}, where the next element has that tag. */
  insideOptional(part: string, tag: number): DerReader | undefined {
    return this.tag === tag ? this.inside(part, tag) : undefined;
  }

  /** @throws FormatError unless all elements were read. */
  end(): void {
    if (!this.done)
      throw new FormatError(`${this.what}: nothing more expected, found ${this.bytes.length - this.#at} bytes`);
  }

  /**
   * The elements that are left, each read by `read` to its end.
   * @throws FormatError for more than `most`.
   */
  list<T>(most: number, read: (reader: this) => T): T[] {
    const list: T[] = [];
    while (!this.done) {
      if (list.length === most) throw new FormatError(`${this.what}: at most ${most} entries expected, found more`);
      list.push(read(this));
    }
    return list;
  }
}

/** The one element of a file, its content walked along. */
export function onlyElement(bytes: Uint8Array, what: string, tag: number = TAG.sequence): DerReader {
  const file = new DerReader(bytes, what);
  const { content } = file.read(tag, "the whole");
  file.end();
  return new DerReader(content, what);
}
