/**
 * Python's pickles, read as data: a small machine with a stack that knows the instructions of
 * protocols 2 to 5 and calls nothing. What a pickle would import or call is asked of the caller by
 * name, who knows a few names; all others are refused. Each instruction makes at most one value,
 * and of those that take memory of their own there are no more than the file has bytes, packed as
 * it is: memory and time are linear in the file.
 *
 * Own code: the library for it on npm (`pickleparser` 0.2.1) reads no integer of more than eight
 * bytes, with one of which every PyTorch file of the old form begins, takes negative ones for large
 * ones, writes into whatever object it is told to (`__proto__` too), and calls what it was handed.
 * Source: Lib/pickletools.py of CPython; torch/_weights_only_unpickler.py of PyTorch.
 */
import { FormatError } from "../../errors";
import { utf8Of } from "../bytes";
import { clip, quote } from "../shown";

/** A name of Python's, as `module.name`, that a pickle speaks of. */
export class Global {
  constructor(readonly name: string) {}
}

/** Something that was made and is of no interest here. */
export class Opaque {}

/** Tuples, lists and sets are arrays. */
export type PickleValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | PickleValue[]
  | Map<PickleValue, PickleValue>
  | Global
  | object;

/** What a pickle may speak of. */
export interface Known {
  /** Whether a name may be spoken of. */
  has(name: string): boolean;
  /** What it makes of arguments. @throws FormatError */
  make(name: string, args: readonly PickleValue[]): PickleValue;
  /** What a persistent id stands for. @throws FormatError */
  persistent(id: PickleValue): PickleValue;
}

/** Longest integers: the magic number of PyTorch's old form has ten bytes. */
const LONGEST = 16;
const MARK = Symbol("mark");
/**
 * Most lists, dictionaries, entries of these, and values that are remembered: thirty for each of as
 * many tensors as are read. Each takes up to some hundred bytes of memory for one in the pickle.
 */
const MOST_KEPT = 2 ** 22;

const refuse = (problem: string): never => {
  throw new FormatError(`Not a valid pickle: ${problem}. It is damaged or cut short: fetch or export the file again.`);
};

/** A name that is none of those that are read. */
function unknown(name: string): never {
  if (name.startsWith("__torch__"))
    throw new FormatError(
      "The PyTorch file is a TorchScript program (torch.jit.save), which is code: save `model.state_dict()` by `torch.save` instead.",
    );
  throw new FormatError(
    `The pickle speaks of ${quote(name)}, which is none of the few names that stand for tensors and plain data; nothing of a pickle is run here. Save the weights alone: \`torch.save(model.state_dict(), path)\`, or by safetensors.`,
  );
}

/** Reads one pickle after another out of bytes. */
export class PickleReader {
  #stack: (PickleValue | typeof MARK)[] = [];
  #memo = new Map<number, PickleValue>();
  /** How many more things may be kept. */
  #left: number;
  readonly #view: DataView;

  constructor(
    private readonly bytes: Uint8Array,
    private readonly known: Known,
    /** Bytes of the file that pays for it: fewer than those of a pickle that was packed. */
    fileBytes = bytes.length,
    /** Where the next pickle begins. */
    public at = 0,
  ) {
    this.#left = Math.min(MOST_KEPT, fileBytes);
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** The value of the pickle that begins here. @throws FormatError */
  read(): PickleValue {
    this.#stack = [];
    this.#memo = new Map();
    for (;;) {
      const op = this.#byte();
      if (op === 0x2e) return this.#pop(); // STOP
      this.#step(op);
    }
  }

  #step(op: number): void {
    const push = (value: PickleValue) => {
      if (typeof value === "object" && value !== null) this.#keep();
      this.#stack.push(value);
    };
    switch (String.fromCharCode(op)) {
      case "\x80": {
        const protocol = this.#byte();
        if (protocol > 5) refuse(`protocols up to 5 expected, found ${protocol}`);
        return;
      }
      case "\x95": // FRAME
        this.#take(8);
        return;
      case "(":
        this.#stack.push(MARK);
        return;
      case "0":
        this.#pop();
        return;
      case "1":
        this.#marked();
        return;
      case "2":
        return push(this.#top());
      case "N":
        return push(null);
      case "\x88":
        return push(true);
      case "\x89":
        return push(false);
      case "K":
        return push(this.#byte());
      case "M":
        return push(this.#view.getUint16(this.#take(2), true));
      case "J":
        return push(this.#view.getInt32(this.#take(4), true));
      case "\x8a":
        return push(this.#integer(this.#byte()));
      case "\x8b":
        return push(this.#integer(this.#length(4)));
      case "G":
        return push(this.#view.getFloat64(this.#take(8), false));
      case "X":
      case "T":
        return push(this.#text(this.#length(4)));
      case "\x8c":
      case "U":
        return push(this.#text(this.#byte()));
      case "\x8d":
        return push(this.#text(this.#length(8)));
      case "B":
        return push(this.#raw(this.#length(4)));
      case "C":
        return push(this.#raw(this.#byte()));
      case "\x8e":
      case "\x96":
        return push(this.#raw(this.#length(8)));
      case ")":
      case "]":
        return push([]);
      case "\x85":
        return push([this.#pop()]);
      case "\x86": {
        const [b, a] = [this.#pop(), this.#pop()];
        return push([a, b]);
      }
      case "\x87": {
        const [c, b, a] = [this.#pop(), this.#pop(), this.#pop()];
        return push([a, b, c]);
      }
      case "t":
      case "l":
      case "\x91":
        return push(this.#marked());
      case "\x8f":
        return push([]);
      case "}":
        return push(new Map());
      case "d":
        return push(this.#pairs(new Map(), this.#marked()));
      case "a": {
        const value = this.#pop();
        this.#list().push(value);
        return;
      }
      case "e":
      case "\x90": {
        const values = this.#marked();
        const list = this.#list();
        for (const value of values) list.push(value);
        return;
      }
      case "s": {
        const [value, key] = [this.#pop(), this.#pop()];
        this.#pairs(this.#dict(), [key, value]);
        return;
      }
      case "u": {
        const values = this.#marked();
        this.#pairs(this.#dict(), values);
        return;
      }
      case "c":
        return push(this.#global(`${this.#line()}.${this.#line()}`));
      case "\x93": {
        const [name, module] = [this.#pop(), this.#pop()];
        if (typeof name !== "string" || typeof module !== "string") return refuse("a name that is no text");
        return push(this.#global(`${module}.${name}`));
      }
      case "Q":
        return push(this.known.persistent(this.#pop()));
      case "R":
      case "\x81": {
        const [args, made] = [this.#pop(), this.#pop()];
        if (!(made instanceof Global) || !Array.isArray(args)) return refuse("a call of what cannot be called");
        return push(this.known.make(made.name, args));
      }
      case "b":
        // Attributes of what was made; those of a dictionary are PyTorch's versions of modules.
        this.#pop();
        if (!(this.#top() instanceof Map || this.#top() instanceof Opaque)) refuse("attributes of what has none");
        return;
      case "q":
        return this.#remember(this.#byte());
      case "r":
        return this.#remember(this.#length(4));
      case "\x94":
        return this.#remember(this.#memo.size);
      case "h":
        return push(this.#remembered(this.#byte()));
      case "j":
        return push(this.#remembered(this.#length(4)));
      default:
        refuse(`the instruction 0x${op.toString(16)} at byte ${this.at - 1} is none that is read here`);
    }
  }

  /** Moves on by n bytes. @returns where they begin */
  #take(n: number): number {
    const start = this.at;
    if (n > this.bytes.length - start) refuse(`${n} more bytes expected, found ${this.bytes.length - start}`);
    this.at = start + n;
    return start;
  }

  #byte = (): number => this.bytes[this.#take(1)]!;

  #length(size: 4 | 8): number {
    const at = this.#take(size);
    const high = size === 8 ? this.#view.getUint32(at + 4, true) : 0;
    return this.#view.getUint32(at, true) + 2 ** 32 * high;
  }

  #raw(n: number): Uint8Array {
    const at = this.#take(n);
    return this.bytes.subarray(at, at + n);
  }

  #text = (n: number): string => utf8Of(this.#raw(n)) ?? refuse("a text that is no UTF-8");

  #line(): string {
    const end = this.bytes.indexOf(0x0a, this.at);
    if (end < 0) refuse("a name without an end");
    const text = this.#text(end - this.at);
    this.at = end + 1;
    return text;
  }

  /** Two's complement, least byte first. */
  #integer(n: number): number | bigint {
    if (n > LONGEST) refuse(`integers of up to ${LONGEST} bytes expected, found one of ${n}`);
    const raw = this.#raw(n);
    let value = 0n;
    for (let i = n - 1; i >= 0; i--) value = (value << 8n) | BigInt(raw[i]!);
    value = BigInt.asIntN(8 * n, value);
    return Number.isSafeInteger(Number(value)) ? Number(value) : value;
  }

  #global(name: string): Global {
    if (!this.known.has(name)) unknown(clip(name));
    return new Global(name);
  }

  #pop(): PickleValue {
    const value = this.#stack.pop();
    return value === undefined || value === MARK ? refuse("an instruction finds nothing on the stack") : value;
  }

  #top(): PickleValue {
    const value = this.#stack.at(-1);
    return value === undefined || value === MARK ? refuse("an instruction finds nothing on the stack") : value;
  }

  /** All above the last mark, and the mark away. */
  #marked(): PickleValue[] {
    const at = this.#stack.lastIndexOf(MARK);
    if (at < 0) refuse("an instruction finds no mark on the stack");
    const values = this.#stack.splice(at);
    return values.slice(1) as PickleValue[];
  }

  #list(): PickleValue[] {
    const list = this.#top();
    return Array.isArray(list) ? list : refuse("something is added to what is no list");
  }

  #dict(): Map<PickleValue, PickleValue> {
    const dict = this.#top();
    return dict instanceof Map ? dict : refuse("something is added to what is no dictionary");
  }

  #pairs(dict: Map<PickleValue, PickleValue>, values: readonly PickleValue[]): Map<PickleValue, PickleValue> {
    if (values.length % 2) refuse("a key without a value");
    for (let i = 0; i < values.length; i += 2) {
      this.#keep();
      dict.set(values[i]!, values[i + 1]!);
    }
    return dict;
  }

  #keep(): void {
    if (--this.#left < 0)
      throw new FormatError(
        `The pickle holds more than ${MOST_KEPT} lists, dictionaries and entries, or more of them than its file has bytes: save the weights alone, \`torch.save(model.state_dict(), path)\`.`,
      );
  }

  #remember(index: number): void {
    this.#keep();
    this.#memo.set(index, this.#top());
  }

  #remembered(index: number): PickleValue {
    const value = this.#memo.get(index);
    return value === undefined ? refuse(`nothing was remembered under ${index}`) : value;
  }
}
