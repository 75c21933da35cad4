/**
 * Files by `torch.save`, read as data: the zip form (PyTorch 1.6 and later) and the older one,
 * pickles with the numbers behind them.
 *
 *     zip:   NAME/data.pkl, NAME/data/KEY for each storage, NAME/byteorder in later versions
 *     older: pickles of a magic number, of version 1001, of the system, of the object, of the list of keys;
 *            then for each key a count of 8 bytes and the numbers
 *
 * Source: torch/serialization.py.
 */
import { FormatError } from "../../errors";
import { elementCount } from "../header";
import { DTYPES, type HostArray, type HostTensor, type StateDict } from "../host-tensor";
import { quote } from "../shown";
import { Zip } from "../zip";
import { type Storage, type StoredTensor, TorchGlobals } from "./globals";
import { PickleReader, type PickleValue } from "./pickle";
import { weightsAmong } from "./state";

const MAGIC = 0x1950a86a20f9469cfc6cn;
const VERSION = 1001;
/** How often tensors may share the numbers of a storage: tied weights do it twice or thrice. */
const MOST_SHARED = 16;

const refuse = (problem: string): never => {
  throw new FormatError(`Not a valid PyTorch file: ${problem}. It is damaged or cut short: fetch or export it again.`);
};

/** Where the numbers of storages lie. */
interface Numbers {
  /** The bytes of a storage. @throws FormatError where there are none */
  of(storage: Storage): Uint8Array;
}

/** Tensors of a file, and what was left aside. */
export interface TorchWeights {
  readonly tensors: StateDict;
  readonly notes: readonly string[];
}

/**
 * The weights of a file by `torch.save`, in either form.
 * @param isZip by its first bytes
 * @throws FormatError for what is damaged, holds no tensors, or speaks of anything but tensors and
 * plain data
 */
export function decodeTorch(bytes: Uint8Array, isZip: boolean): TorchWeights {
  const { value, numbers } = isZip ? zipped(bytes) : older(bytes);
  const { tensors, notes } = weightsAmong(value);
  const reader = new TensorReader(numbers);
  const read: StateDict = new Map();
  for (const [name, tensor] of tensors) read.set(name, reader.read(name, tensor));
  return { tensors: read, notes };
}

function zipped(bytes: Uint8Array): { value: PickleValue; numbers: Numbers } {
  const zip = new Zip(bytes);
  const [pickle, ...others] = [...zip.names].filter((name) => /(^|\/)data\.pkl$/.test(name));
  if (pickle === undefined) return refuse("the zip archive has no data.pkl");
  // PyTorch takes the folder of the first entry, whatever it is: nobody shall read another network.
  if (others.length) return refuse(`the zip archive has several: ${[pickle, ...others].join(", ")}`);
  const folder = pickle.slice(0, -"data.pkl".length);
  const order = zip.has(`${folder}byteorder`) ? zip.read(`${folder}byteorder`) : null;
  if (order && String.fromCharCode(...order.subarray(0, 8)) !== "little") bigEndian();
  const data = zip.read(pickle);
  const value = new PickleReader(data, new TorchGlobals(bytes.length), bytes.length).read();
  const unpacked = new Map<string, Uint8Array>();
  const of = ({ key }: Storage): Uint8Array => {
    const found = unpacked.get(key) ?? zip.read(`${folder}data/${key}`);
    unpacked.set(key, found);
    return found;
  };
  return { value, numbers: { of } };
}

const bigEndian = (): never => {
  throw new FormatError(
    "The PyTorch file was written by a big-endian machine: load it there and save it by safetensors, whose files are little-endian everywhere.",
  );
};

function older(bytes: Uint8Array): { value: PickleValue; numbers: Numbers } {
  const globals = new TorchGlobals(bytes.length);
  const pickles = new PickleReader(bytes, globals);
  if (pickles.read() !== MAGIC) refuse("its magic number is another");
  const version = pickles.read();
  if (version !== VERSION) refuse(`version ${VERSION} expected, found ${String(version)}`);
  const system = pickles.read();
  if (system instanceof Map && system.get("little_endian") === false) bigEndian();
  const value = pickles.read();
  const keys = pickles.read();
  if (!Array.isArray(keys)) return refuse("a list of its storages expected");
  const places = new Map<PickleValue, number>();
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  // How long each is says its type alone, which the object's pickle told.
  let at = pickles.at;
  for (const key of keys) {
    const width = globals.widthOf(key) ?? refuse("a storage that no tensor has");
    if (at + 8 > bytes.length) refuse("a storage is cut");
    const count = Number(view.getBigUint64(at, true));
    places.set(key, at);
    at += 8 + count * width;
    if (at > bytes.length) refuse(`a storage of ${count} elements is cut`);
  }
  const of = ({ key }: Storage): Uint8Array => {
    const start = places.get(key);
    if (start === undefined) return refuse(`the storage ${quote(key)} is missing`);
    return bytes.subarray(start + 8, start + 8 + Number(view.getBigUint64(start, true)) * globals.widthOf(key)!);
  };
  return { value, numbers: { of } };
}

/** Reads tensors into memory of their own, within bounds. */
class TensorReader {
  /** Storages of which some tensor takes every other element. */
  readonly #whole = new Map<string, HostArray>();

  /** Bytes of a storage that tensors have taken. */
  readonly #taken = new Map<string, number>();

  constructor(private readonly numbers: Numbers) {}

  read(name: string, { storage, dtype, offset, shape, stride }: StoredTensor): HostTensor {
    const where = `tensor ${quote(name)}`;
    const count = elementCount(shape) ?? refuse(`${where} has more elements than there are numbers`);
    const make = DTYPES[dtype];
    const width = make.BYTES_PER_ELEMENT;
    const own = this.numbers.of(storage);
    if (own.length % width) refuse(`${where}: its storage has ${own.length} bytes`);
    const there = own.length / width;
    const first = storage.start + offset;
    const last = count ? shape.reduce((at, n, d) => at + (n - 1) * stride[d]!, first) : first;
    if (count && !(last < there)) refuse(`${where} goes to element ${last} of a storage of ${there}`);
    if (count > there)
      throw new FormatError(
        `${where} repeats its numbers (torch.expand): save it by \`tensor.contiguous()\`, so that the file holds all of them.`,
      );
    const taken = (this.#taken.get(storage.key) ?? 0) + count * width;
    if (taken > MOST_SHARED * own.length) refuse("its tensors share their numbers more often than weights do");
    this.#taken.set(storage.key, taken);
    if (isContiguous(shape, stride)) {
      const from = own.subarray(first * width, (first + count) * width);
      return { dtype, shape: [...shape], data: new make(from.slice().buffer) };
    }
    const key = `${dtype} ${storage.key}`;
    const whole = this.#whole.get(key) ?? new make(own.slice().buffer);
    this.#whole.set(key, whole);
    return { dtype, shape: [...shape], data: gathered(whole, make, count, { first, shape, stride }) };
  }
}

function isContiguous(shape: readonly number[], stride: readonly number[]): boolean {
  let step = 1;
  for (let d = shape.length - 1; d >= 0; d--) {
    if (shape[d] !== 1 && stride[d] !== step) return shape.includes(0);
    step *= shape[d]!;
  }
  return true;
}

/** The elements of a strided tensor, in row-major order. */
function gathered(
  from: HostArray,
  make: (typeof DTYPES)[keyof typeof DTYPES],
  count: number,
  { first, shape, stride }: { first: number; shape: readonly number[]; stride: readonly number[] },
): HostArray {
  const to = new make(count);
  const index = new Array<number>(shape.length).fill(0);
  let at = first;
  for (let i = 0; i < count; i++) {
    to[i] = from[at]!;
    for (let d = shape.length - 1; d >= 0; d--) {
      at += stride[d]!;
      if (++index[d]! < shape[d]!) break;
      at -= shape[d]! * stride[d]!;
      index[d] = 0;
    }
  }
  return to;
}
