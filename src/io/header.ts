/**
 * The JSON header of a safetensors file, read in one pass. A header needs three levels of nesting,
 * strings, lists and plain non-negative integers; this reads that language and no more, so that
 * neither depth nor duplicate keys nor odd numbers reach anything else. Time and memory are linear
 * in the header.
 */
import { FormatError } from "../errors";
import { DTYPES, type SafetensorsDtype } from "./host-tensor";
import { clip, quote } from "./shown";

export const METADATA_KEY = "__metadata__";
/** Header object, tensor object, list of integers. */
const MAX_DEPTH = 3;
/** Numbers in one list: dimensions, far more than any tensor has. */
const MAX_RANK = 256;
/**
 * Names in one object: tensors, or entries of the metadata. The largest models have some ten
 * thousand tensors per file; a million empty ones would take a gigabyte of objects out of sixty
 * megabytes of text.
 */
export const MAX_NAMES = 131_072;
export const SPLIT_IT = "keep so many in several files, or as rows of fewer tensors";
export const LONE_SURROGATE = /\p{Surrogate}/u;
export const DTYPE_NAMES = Object.keys(DTYPES) as SafetensorsDtype[];
export const DTYPE_LIST = DTYPE_NAMES.join(", ");

/**
 * Element types of the format that nothing here computes with. Source: `Dtype` of the safetensors
 * crate.
 */
const OTHER_DTYPES = new Set("F4 F6_E2M3 F6_E3M2 F8_E5M2 F8_E4M3 F8_E8M0 F8_E4M3FNUZ F8_E5M2FNUZ C64".split(" "));

export const isDtype = (name: string): name is SafetensorsDtype => Object.hasOwn(DTYPES, name);

/** One tensor as the header describes it; offsets count from the start of the data section. */
export interface Entry {
  readonly name: string;
  readonly dtype: SafetensorsDtype;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

/** A header's contents, in its order. */
export interface Header {
  readonly entries: Entry[];
  readonly metadata: Record<string, string>;
}

const FIELDS = ["data_offsets", "dtype", "shape"] as const;
type Fields = Record<(typeof FIELDS)[number], Value | undefined>;
type Value = string | number | Value[] | Map<string, Value>;

/** @throws FormatError always. */
export function refuse(where: string, problem: string): never {
  throw new FormatError(
    `Not a valid safetensors file: ${where}: ${problem}. It is damaged or cut short: fetch or export it again.`,
  );
}

/** Product of the dimensions; `undefined` where it leaves the safe integers. */
export function elementCount(shape: readonly number[]): number | undefined {
  if (shape.includes(0)) return 0;
  let count = 1;
  for (const dimension of shape) {
    count *= dimension;
    if (!Number.isSafeInteger(count)) return undefined;
  }
  return count;
}

const show = (value: Value): string =>
  value instanceof Map
    ? "an object"
    : Array.isArray(value)
      ? clip(`[${value.slice(0, 40).map(show)}]`)
      : typeof value === "string"
        ? quote(value)
        : String(value);

/**
 * Reads the header's text.
 * @throws FormatError naming the tensor or the metadata, what was expected and what was found.
 */
export const readHeader = (text: string, available: number): Header => new HeaderReader(text, available).read();

class HeaderReader {
  #at = 0;
  /** Key of the tensor at hand; null before the first. */
  #key: string | null = null;

  constructor(
    private readonly text: string,
    private readonly available: number,
  ) {}

  read(): Header {
    const entries: Entry[] = [];
    let metadata: Record<string, string> = {};
    if (this.text[0] !== "{") this.#refuse(`expected "{" at its start, found ${quote(this.text.slice(0, 12))}`);
    const keys = new Set<string>();
    this.#members((name) => {
      this.#key = name;
      if (keys.has(name)) this.#twice(name);
      keys.add(name);
      this.#colon();
      if (name === METADATA_KEY) metadata = this.#metadata(this.#value(2));
      else entries.push(this.#entry(name));
    });
    this.#key = null;
    if (this.#next() !== undefined) this.#syntax("the end");
    return { entries, metadata };
  }

  /** Position in words, made only when something is wrong. */
  #where(): string {
    if (this.#key === null) return "header";
    return this.#key === METADATA_KEY ? "metadata" : `tensor ${quote(this.#key)}`;
  }

  #refuse(problem: string): never {
    return refuse(this.#where(), problem);
  }

  #twice(key: string): never {
    return this.#refuse(`the key ${quote(key)} appears twice, names must be unique`);
  }

  #syntax(expected: string): never {
    const found =
      this.#at < this.text.length ? quote(this.text.slice(this.#at, this.#at + 12)) : "the end of the header";
    return this.#refuse(`expected JSON, with ${expected} at character ${this.#at}, found ${found}`);
  }

  /** The next character that is not white space; it is not consumed. */
  #next(): string | undefined {
    for (;;) {
      const code = this.text.charCodeAt(this.#at);
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return this.text[this.#at];
      this.#at++;
    }
  }

  #colon(): void {
    if (this.#next() !== ":") this.#syntax('":"');
    this.#at++;
  }

  /** Elements up to `close`, separated by commas; the opening bracket is at hand. */
  #elements(close: string, element: () => void): void {
    this.#at++;
    if (this.#next() === close) {
      this.#at++;
      return;
    }
    for (;;) {
      element();
      const next = this.#next();
      if (next !== "," && next !== close) this.#syntax(`"," or "${close}"`);
      this.#at++;
      if (next === close) return;
    }
  }

  #members(member: (key: string) => void): void {
    let count = 0;
    this.#elements("}", () => {
      if (++count > MAX_NAMES) throw new FormatError(`The header holds more than ${MAX_NAMES} names: ${SPLIT_IT}.`);
      if (this.#next() !== '"') this.#syntax("a key");
      member(this.#string());
    });
  }

  #value(depth: number): Value {
    const next = this.#next();
    if (next === '"') return this.#string();
    if (next === "{" || next === "[") {
      if (depth > MAX_DEPTH) this.#refuse(`nested deeper than the ${MAX_DEPTH} levels of the format`);
      return next === "[" ? this.#list(depth) : this.#object(depth);
    }
    if (next !== undefined && next >= "0" && next <= "9") return this.#natural();
    if (next === undefined || ",:]}".includes(next)) return this.#syntax("a value");
    const found = quote(this.text.slice(this.#at, this.#at + 12));
    return this.#refuse(`expected strings, lists and plain non-negative integers, found ${found}`);
  }

  #object(depth: number): Value {
    const members = new Map<string, Value>();
    this.#members((key) => {
      if (members.has(key)) this.#twice(key);
      this.#colon();
      members.set(key, this.#value(depth + 1));
    });
    return members;
  }

  #list(depth: number): Value {
    const list: Value[] = [];
    this.#elements("]", () => {
      if (list.push(this.#value(depth + 1)) > MAX_RANK) this.#refuse(`a list of more than ${MAX_RANK} numbers`);
    });
    return list;
  }

  #natural(): number {
    const start = this.#at;
    let value = 0;
    for (;;) {
      const digit = this.text.charCodeAt(this.#at) - 0x30;
      if (!(digit >= 0 && digit <= 9)) break;
      value = 10 * value + digit;
      this.#at++;
    }
    const leadingZero = this.#at > start + 1 && this.text[start] === "0";
    if (leadingZero || "eE.+-".includes(this.text[this.#at] ?? " "))
      this.#refuse(`expected plain non-negative integers, found ${quote(this.text.slice(start, start + 12))}`);
    return value;
  }

  #string(): string {
    const start = this.#at++;
    let escaped = false;
    for (;;) {
      const code = this.text.charCodeAt(this.#at);
      // Past the end the code is not a number, and JSON forbids raw control characters.
      if (!(code >= 0x20)) this.#syntax("the end of a string");
      this.#at++;
      if (code === 0x22) break;
      if (code !== 0x5c) continue;
      escaped = true;
      this.#at++;
    }
    if (!escaped) return this.text.slice(start + 1, this.#at - 1);
    let value: string;
    try {
      value = JSON.parse(this.text.slice(start, this.#at)) as string;
    } catch {
      this.#at = start;
      return this.#syntax("a string with escapes of JSON");
    }
    // Only escapes can write half a pair: the bytes were checked to be UTF-8.
    if (LONE_SURROGATE.test(value)) this.#refuse(`the text ${quote(value)} holds half a surrogate pair`);
    return value;
  }

  #metadata(value: Value): Record<string, string> {
    if (!(value instanceof Map)) return this.#refuse(`expected an object of strings, found ${show(value)}`);
    for (const [key, text] of value) {
      if (typeof text === "string") continue;
      this.#refuse(`expected text under ${quote(key)}, found ${Array.isArray(text) ? "list" : typeof text}`);
    }
    return Object.fromEntries(value as Map<string, string>);
  }

  #entry(name: string): Entry {
    if (this.#next() !== "{") return this.#fields(show(this.#value(2)));
    const fields: Fields = { dtype: undefined, shape: undefined, data_offsets: undefined };
    let foreign: string[] | undefined;
    this.#members((key) => {
      this.#colon();
      if (key === "dtype" || key === "shape" || key === "data_offsets") {
        if (fields[key] !== undefined) this.#twice(key);
        fields[key] = this.#value(3);
      } else {
        if (foreign?.includes(key)) this.#twice(key);
        foreign ??= [];
        if (foreign.length < 8) foreign.push(key);
        this.#value(3);
      }
    });
    const { dtype, shape, data_offsets: offsets } = fields;
    if (foreign !== undefined || dtype === undefined || shape === undefined || offsets === undefined) {
      const known = FIELDS.filter((field) => fields[field] !== undefined);
      return this.#fields(quote([...known, ...(foreign ?? [])].join(", ")));
    }
    if (typeof dtype !== "string" || !isDtype(dtype)) return this.#otherDtype(dtype);
    if (!isNaturals(shape)) return this.#refuse(`expected a shape of integers below 2^53, found ${show(shape)}`);
    if (!isNaturals(offsets) || offsets.length !== 2)
      return this.#refuse(`expected data_offsets of two integers below 2^53, found ${show(offsets)}`);
    const [begin, end] = offsets as [number, number];
    if (begin > end || end > this.available) {
      this.#refuse(
        `expected data_offsets within the ${this.available} bytes of data, in order, found [${begin}, ${end}]`,
      );
    }
    const count = elementCount(shape);
    if (count === undefined || count * DTYPES[dtype].BYTES_PER_ELEMENT !== end - begin) {
      this.#refuse(`${dtype} of shape ${show(shape)} does not take the ${end - begin} bytes its data_offsets span`);
    }
    return { name, dtype, shape, begin, end };
  }

  #fields(found: string): never {
    return this.#refuse(`expected exactly the fields ${FIELDS.join(", ")}, found ${found}`);
  }

  #otherDtype(dtype: Value): never {
    if (typeof dtype !== "string" || !OTHER_DTYPES.has(dtype))
      return this.#refuse(`expected a dtype out of ${DTYPE_LIST}, found ${show(dtype)}`);
    const how =
      dtype === "C64"
        ? "save its real and its imaginary part as two F32 tensors (`torch.view_as_real`)"
        : "convert it to F32, F16 or BF16 with the program that made it (in PyTorch `tensor.to(torch.float32)`, times its scale where it has one), and save it again";
    throw new FormatError(
      `${this.#where()} has dtype ${dtype}, which the safetensors format knows and this package does not compute with; it reads ${DTYPE_LIST}: ${how}.`,
    );
  }
}

const isNaturals = (value: Value): value is number[] =>
  Array.isArray(value) && value.every((v) => Number.isSafeInteger(v));
