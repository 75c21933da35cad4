/**
 * The names that a PyTorch file may speak of: tensors, their storages and types, and plain data.
 * What each makes is a description; nothing is run. Source: torch/_weights_only_unpickler.py.
 */
import { FormatError } from "../../errors";
import { DTYPES, type SafetensorsDtype } from "../host-tensor";
import { quote, shown } from "../shown";
import { Global, type Known, Opaque, type PickleValue } from "./pickle";

/** Numbers that lie in the file, as the pickle speaks of them. */
export class Storage {
  constructor(
    /** Under which they lie. */
    readonly key: string,
    /** Null where the tensor says it. */
    readonly dtype: SafetensorsDtype | null,
    /** Elements, or bytes where the type is not known. */
    readonly count: number,
    /** Elements before the first one. */
    readonly start: number,
  ) {}
}

/** A tensor of a file that is not read yet. */
export class StoredTensor {
  constructor(
    readonly storage: Storage,
    readonly dtype: SafetensorsDtype,
    readonly offset: number,
    readonly shape: readonly number[],
    readonly stride: readonly number[],
  ) {}
}

const STORAGES: ReadonlyMap<string, SafetensorsDtype> = new Map([
  ["DoubleStorage", "F64"],
  ["FloatStorage", "F32"],
  ["HalfStorage", "F16"],
  ["BFloat16Storage", "BF16"],
  ["LongStorage", "I64"],
  ["IntStorage", "I32"],
  ["ShortStorage", "I16"],
  ["CharStorage", "I8"],
  ["ByteStorage", "U8"],
  ["BoolStorage", "BOOL"],
]);

/** Types that are said by their own names. */
const TYPES: ReadonlyMap<string, SafetensorsDtype | null> = new Map([
  ["float64", "F64"],
  ["float32", "F32"],
  ["float16", "F16"],
  ["bfloat16", "BF16"],
  ["int64", "I64"],
  ["int32", "I32"],
  ["int16", "I16"],
  ["int8", "I8"],
  ["uint8", "U8"],
  ["uint16", "U16"],
  ["uint32", "U32"],
  ["uint64", "U64"],
  ["bool", "BOOL"],
  ["complex64", null],
  ["complex128", null],
]);

/** Of classes whose objects are plain data, and of no interest to weights. */
const PLAIN = new Set([
  "torch.Size",
  "torch.device",
  "argparse.Namespace",
  "numpy.dtype",
  "numpy.ndarray",
  ...["numpy.core", "numpy._core"].flatMap((at) => [`${at}.multiarray.scalar`, `${at}.multiarray._reconstruct`]),
  "_codecs.encode",
]);

const UNTYPED = "torch.storage.UntypedStorage";
const FROM_TYPE = "torch._tensor._rebuild_from_type_v2";
const MAX_RANK = 64;

const SETS = new Set(["builtins.set", "__builtin__.set", "builtins.frozenset", "builtins.list"]);
const DICTS = new Set(["collections.OrderedDict", "collections.defaultdict", "collections.Counter", "builtins.dict"]);
/** Classes that tensors are saved under. */
const TENSORS = new Set(["torch.Tensor", "torch.nn.parameter.Parameter"]);

const refuse = (problem: string): never => {
  throw new FormatError(`Not a valid PyTorch file: ${problem}. It is damaged: fetch or export it again.`);
};

type Maker = (args: readonly PickleValue[]) => PickleValue;

/** What is known of one file. */
export class TorchGlobals implements Known {
  /** Pairs that may still be copied: no more than the file has bytes. */
  #left: number;
  /** Types of storages, by their keys. */
  readonly #types = new Map<PickleValue, string>();
  readonly #makers: ReadonlyMap<string, Maker>;

  constructor(fileBytes: number) {
    this.#left = fileBytes;
    const tensor: Maker = (args) => tensorOf(args, null, args[6]);
    const first: Maker = ([value]) => (value instanceof StoredTensor ? value : refuse("a parameter that is no tensor"));
    this.#makers = new Map<string, Maker>([
      ["torch._utils._rebuild_tensor", tensor],
      ["torch._utils._rebuild_tensor_v2", tensor],
      ["torch._utils._rebuild_tensor_v3", (args) => tensorOf(args, typeOf(args[6]), args[7])],
      ["torch._utils._rebuild_parameter", first],
      ["torch._utils._rebuild_parameter_with_state", first],
      [FROM_TYPE, ([made, , args]) => this.#fromType(made, args)],
      ...[...SETS].map((name): [string, Maker] => [name, ([list]) => (Array.isArray(list) ? list : [])]),
      ...[...DICTS].map((name): [string, Maker] => [name, (args) => this.#dict(args)]),
      ...[...PLAIN].map((name): [string, Maker] => [name, () => new Opaque()]),
    ]);
  }

  has(name: string): boolean {
    if (this.#makers.has(name) || TENSORS.has(name) || name === UNTYPED) return true;
    const end = name.startsWith("torch.") ? name.slice(6) : "";
    return STORAGES.has(end) || TYPES.has(end);
  }

  make(name: string, args: readonly PickleValue[]): PickleValue {
    const maker = this.#makers.get(name);
    return maker ? maker(args) : refuse(`${name} is called, which makes nothing`);
  }

  /** ("storage", type, key, device, elements, view of another one) */
  persistent(id: PickleValue): Storage {
    const [what, type, key, , count, view] = Array.isArray(id) ? id : [];
    if (what !== "storage" || !(type instanceof Global) || typeof key !== "string" || !isSize(count))
      return refuse(`a storage expected, found ${shown(id)}`);
    const dtype = storedAs(type.name);
    if (!dtype && type.name !== UNTYPED) refuse(`a storage of type ${type.name}`);
    // PyTorch would go by the type that it meets first.
    const before = this.#types.get(key) ?? type.name;
    if (before !== type.name) refuse(`the storage ${quote(key)} is of type ${before} and of type ${type.name}`);
    this.#types.set(key, type.name);
    if (view === undefined || view === null) return new Storage(key, dtype ?? null, count, 0);
    const [, start, size] = Array.isArray(view) ? view : [];
    if (!isSize(start) || !isSize(size)) return refuse(`a view of a storage expected, found ${shown(view)}`);
    return new Storage(key, dtype ?? null, count, start);
  }

  /** Bytes of an element of a storage; undefined for a key that none has. */
  widthOf(key: PickleValue): number | undefined {
    const type = this.#types.get(key);
    if (type === undefined) return undefined;
    const dtype = storedAs(type);
    return dtype ? DTYPES[dtype].BYTES_PER_ELEMENT : 1;
  }

  /** A dictionary, with the pairs it is made of. */
  #dict(args: readonly PickleValue[]): Map<PickleValue, PickleValue> {
    // defaultdict(factory), Counter({…}) and OrderedDict([[key, value], …]) of Python 2.
    const pairs = args.flatMap((arg) => (arg instanceof Map || Array.isArray(arg) ? [arg] : []))[0] ?? [];
    this.#left -= pairs instanceof Map ? pairs.size : pairs.length;
    if (this.#left < 0) refuse("more entries of dictionaries than it has bytes");
    if (pairs instanceof Map) return new Map(pairs);
    return new Map(
      pairs.map((pair) =>
        Array.isArray(pair) && pair.length === 2
          ? (pair as [PickleValue, PickleValue])
          : refuse("an entry without a value"),
      ),
    );
  }

  #fromType(made: PickleValue | undefined, args: PickleValue | undefined): PickleValue {
    if (!(made instanceof Global) || !Array.isArray(args) || made.name === FROM_TYPE)
      return refuse("a tensor of no kind");
    return this.make(made.name, args);
  }
}

const isSize = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
const areSizes = (value: unknown): value is number[] =>
  Array.isArray(value) && value.length <= MAX_RANK && value.every(isSize);

const storedAs = (type: string): SafetensorsDtype | undefined => STORAGES.get(type.slice(6));

function typeOf(type: PickleValue | undefined): SafetensorsDtype {
  const dtype = type instanceof Global ? TYPES.get(type.name.slice(6)) : undefined;
  return dtype ?? refuse(`a tensor of type ${type instanceof Global ? type.name : shown(type)}`);
}

/**
 * (storage, offset, size, stride, …)
 * @param more what PyTorch would do to the numbers behind that: negate them, conjugate them
 */
function tensorOf(
  [storage, offset, shape, stride]: readonly PickleValue[],
  type: SafetensorsDtype | null,
  more: PickleValue | undefined,
): StoredTensor {
  if (more !== undefined && more !== null && !(more instanceof Map && more.size === 0))
    throw new FormatError(
      "The PyTorch file holds a tensor that is a negated or conjugated view: save it by `tensor.resolve_neg().resolve_conj()`.",
    );
  if (!(storage instanceof Storage) || !isSize(offset) || !areSizes(shape) || !areSizes(stride))
    return refuse("a tensor without storage, offset, size and stride");
  const dtype = type ?? storage.dtype ?? refuse("a tensor without a type");
  if (shape.length !== stride.length) refuse(`a tensor of ${shape.length} sizes and ${stride.length} strides`);
  return new StoredTensor(storage, dtype, offset, shape, stride);
}
