/**
 * Zip archives, as far as files of weights are some: entries by their names, stored or deflated.
 * The central directory says where they are; nothing is unpacked before it is asked for, and then
 * into memory of the size that the directory says. Source: PKWARE's APPNOTE 6.3.10.
 */
import { inflateSync } from "fflate";
import { FormatError } from "../errors";
import { utf8Of } from "./bytes";
import { quote } from "./shown";

/**
 * The end of the central directory: 22 bytes and a comment of up to 2¹⁶ − 1. PyTorch writes it a
 * second time in front, in the form for large archives, with a locator of that between them.
 */
const END = 0x06054b50;
const CENTRAL = 0x02014b50;
const LOCAL = 0x04034b50;
const [END64, LOCATOR64] = [0x06064b50, 0x07064b50];
const [END_BYTES, CENTRAL_BYTES, LOCAL_BYTES, END64_BYTES, LOCATOR64_BYTES] = [22, 46, 30, 56, 20];
const [STORED, DEFLATED] = [0, 8];

/**
 * Bytes that all entries together may unpack to, for each byte of the archive: weights shrink by a
 * few times where most of them are zero. DEFLATE could make a thousand of one.
 */
const MOST_PER_BYTE = 64;

interface Entry {
  readonly name: string;
  readonly method: number;
  readonly crc: number;
  readonly packed: number;
  readonly size: number;
  /** Of its local header. */
  readonly at: number;
}

const refuse = (problem: string): never => {
  throw new FormatError(
    `Not a valid zip archive: ${problem}. It is damaged or cut short: fetch or export the file again.`,
  );
};

/** The entries of an archive, unpacked one by one and kept. */
export class Zip {
  readonly #entries = new Map<string, Entry>();
  readonly #view: DataView;
  #left: number;
  /** Bytes of the archive that entries may still take: each of them is one entry's alone. */
  #own: number;

  /** @throws FormatError for bytes that are no such archive. */
  constructor(private readonly bytes: Uint8Array) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#left = MOST_PER_BYTE * bytes.length;
    this.#own = bytes.length;
    const end = this.#end();
    const count = this.#view.getUint16(end + 10, true);
    const begin = this.#view.getUint32(end + 16, true);
    if (count === 0xffff || begin === 0xffffffff)
      throw new FormatError(
        "The zip archive is of the form for more than 4 GB or 65,534 entries (zip64), which is not read here: save its tensors as safetensors, in several files.",
      );
    const size = this.#view.getUint32(end + 12, true);
    const behind = this.#end64(end, [count, size, begin]);
    let at = begin;
    for (let i = 0; i < count; i++) {
      if (at + CENTRAL_BYTES > end || this.#view.getUint32(at, true) !== CENTRAL) refuse("its directory is cut");
      at = this.#entry(at, end);
    }
    // Python goes by where the directory ends, others by where it begins, or by how many it has:
    // nobody shall read another network.
    if (at !== behind || size !== behind - begin) refuse("its directory is not where it should be");
  }

  get names(): IterableIterator<string> {
    return this.#entries.keys();
  }

  has = (name: string): boolean => this.#entries.has(name);

  /**
   * The bytes of an entry, which is asked for once: a view of the archive where it is stored as it
   * is.
   * @throws FormatError where it is missing, damaged, encrypted, or packed in another way.
   */
  read(name: string): Uint8Array {
    const entry = this.#entries.get(name) ?? refuse(`it has no entry ${quote(name)}`);
    const { at, method, packed, size, crc } = entry;
    const view = this.#view;
    if (at + LOCAL_BYTES > this.bytes.length || view.getUint32(at, true) !== LOCAL)
      refuse(`nothing is where its entry ${quote(name)} should be`);
    const start = at + LOCAL_BYTES + view.getUint16(at + 26, true) + view.getUint16(at + 28, true);
    if (start + packed > this.bytes.length) refuse(`its entry ${quote(name)} is cut`);
    this.#own -= packed;
    if (this.#own < 0) refuse("its entries overlap");
    const raw = this.bytes.subarray(start, start + packed);
    const found = method === STORED ? raw : this.#inflated(name, raw, method, size);
    if (found.length !== size) refuse(`its entry ${quote(name)} has ${found.length} bytes in the place of ${size}`);
    if (crc32(found) !== crc) refuse(`the checksum of its entry ${quote(name)} is not that of its bytes`);
    return found;
  }

  #inflated(name: string, raw: Uint8Array, method: number, size: number): Uint8Array {
    if (method !== DEFLATED)
      throw new FormatError(
        `The zip archive's entry ${quote(name)} is packed by method ${method}: pack it by deflate.`,
      );
    this.#left -= size;
    if (this.#left < 0)
      throw new FormatError(
        `The zip archive unpacks to more than ${MOST_PER_BYTE} times its size, which no weights do: it is not read.`,
      );
    try {
      return inflateSync(raw, { out: new Uint8Array(size) });
    } catch (cause) {
      return refuse(`its entry ${quote(name)} does not unpack (${cause instanceof Error ? cause.message : "?"})`);
    }
  }

  #end(): number {
    const last = this.bytes.length - END_BYTES;
    for (let at = last; at >= Math.max(0, last - 0xffff); at--) if (this.#view.getUint32(at, true) === END) return at;
    return refuse("it has no directory");
  }

  /**
   * Where the directory has to end: in front of its end, or of the second form of that. Readers
   * that go by the second form shall find the same.
   */
  #end64(end: number, said: readonly number[]): number {
    const [view, locator] = [this.#view, end - LOCATOR64_BYTES];
    if (locator < 0 || view.getUint32(locator, true) !== LOCATOR64) return end;
    const at = locator - END64_BYTES;
    const u64 = (offset: number) => Number(view.getBigUint64(offset, true));
    const same =
      at >= 0 &&
      view.getUint32(at, true) === END64 &&
      u64(locator + 8) === at &&
      said.every((value, i) => u64(at + 32 + 8 * i) === value);
    return same ? at : refuse("its two ends speak of different directories");
  }

  /** Takes the entry of the directory that begins there. @returns where the next one does */
  #entry(at: number, end: number): number {
    const [u16, u32] = [
      (o: number) => this.#view.getUint16(at + o, true),
      (o: number) => this.#view.getUint32(at + o, true),
    ];
    const next = at + CENTRAL_BYTES + u16(28) + u16(30) + u16(32);
    if (next > end) refuse("its directory is cut");
    const title = this.bytes.subarray(at + CENTRAL_BYTES, at + CENTRAL_BYTES + u16(28));
    const name = utf8Of(title) ?? refuse("the name of an entry is no UTF-8");
    if (u16(8) & 1) throw new FormatError(`The zip archive's entry ${quote(name)} is encrypted: decrypt it first.`);
    if (this.#entries.has(name)) refuse(`its entry ${quote(name)} is there twice`);
    this.#entries.set(name, { name, method: u16(10), crc: u32(16), packed: u32(20), size: u32(24), at: u32(42) });
    return next;
  }
}

let table: Uint32Array | null = null;

/** CRC-32 of ISO 3309, as in zip archives. */
export function crc32(bytes: Uint8Array): number {
  table ??= Uint32Array.from({ length: 256 }, (_, n) => {
    let c = n;
    for (let k = 0; k < 8; k++) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1;
    return c;
  });
  let crc = 0xffffffff;
  for (let i = 0; i < bytes.length; i++) crc = table[(crc ^ bytes[i]!) & 0xff]! ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}
