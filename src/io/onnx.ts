/**
 * The weights of an ONNX model: the initialisers of its graph, by the names that they have there.
 * Maps of exported networks are in PyTorch's order; products of matrices have theirs the other way
 * round. Source: onnx/onnx.proto (ModelProto, GraphProto, TensorProto).
 */
import { FormatError } from "../errors";
import { utf8Of } from "./bytes";
import { elementCount, MAX_NAMES, SPLIT_IT } from "./header";
import { DTYPES, type HostArray, type HostTensor, type SafetensorsDtype, type StateDict } from "./host-tensor";
import { fieldsOf, varintsOf } from "./protobuf";
import { quote } from "./shown";

const [GRAPH, INITIALIZER, SPARSE] = [7, 5, 15];
/** Fields of a tensor. */
const T = {
  dims: 1,
  type: 2,
  floats: 4,
  int32s: 5,
  strings: 6,
  int64s: 7,
  name: 8,
  raw: 9,
  doubles: 10,
  uint64s: 11,
  external: 13,
  location: 14,
} as const;

/** Element types by their numbers. */
const TYPES: Readonly<Record<number, SafetensorsDtype>> = {
  1: "F32",
  2: "U8",
  3: "I8",
  4: "U16",
  5: "I16",
  6: "I32",
  7: "I64",
  9: "BOOL",
  10: "F16",
  11: "F64",
  12: "U32",
  13: "U64",
  16: "BF16",
};

const refuse = (problem: string): never => {
  throw new FormatError(`Not a valid ONNX model: ${problem}. It is damaged or cut short: fetch or export it again.`);
};

/**
 * @throws FormatError for what is damaged, has weights in files of their own (external data), or of
 * types that nothing here computes with
 */
export function decodeOnnx(bytes: Uint8Array): { tensors: StateDict; notes: readonly string[] } {
  const tensors: StateDict = new Map();
  const notes: string[] = [];
  let unnamed = 0;
  for (const model of fieldsOf(bytes)) {
    if (model.number !== GRAPH || model.kind !== "bytes") continue;
    for (const field of fieldsOf(model.value)) {
      if (field.kind !== "bytes") continue;
      if (field.number === SPARSE) notes.push("a sparse initialiser was left aside");
      if (field.number !== INITIALIZER) continue;
      const [name, tensor] = tensorOf(field.value);
      const own = name === "" ? `initializer.${unnamed++}` : name;
      if (tensors.has(own)) refuse(`two initialisers are called ${quote(own)}`);
      tensors.set(own, tensor);
      if (tensors.size > MAX_NAMES)
        throw new FormatError(`The ONNX model has more than ${MAX_NAMES} initialisers: ${SPLIT_IT}.`);
    }
  }
  if (!tensors.size)
    throw new FormatError("The ONNX model has no initialisers: its weights were left out, or are computed by nodes.");
  return { tensors, notes: [...new Set(notes)] };
}

function tensorOf(message: Uint8Array): [name: string, tensor: HostTensor] {
  const shape: number[] = [];
  let [name, type, isExternal] = ["", 0, false];
  let raw: Uint8Array | null = null;
  for (const field of fieldsOf(message)) {
    if (field.number === T.dims) for (const size of varintsOf(field)) shape.push(Number(size));
    else if (field.number === T.type && field.kind === "varint") type = Number(field.value);
    else if (field.number === T.name && field.kind === "bytes")
      name = utf8Of(field.value) ?? refuse("an initialiser's name is no UTF-8");
    else if (field.number === T.raw && field.kind === "bytes") raw = field.value;
    else if (field.number === T.external) isExternal = true;
    else if (field.number === T.location && field.kind === "varint") isExternal ||= field.value === 1n;
  }
  const where = `initialiser ${quote(name)}`;
  if (isExternal)
    throw new FormatError(
      `The ONNX model keeps its ${where} in another file (external data): save it in one file, \`onnx.save_model(onnx.load(path), path, save_as_external_data=False)\`.`,
    );
  const dtype = TYPES[type];
  if (!dtype)
    throw new FormatError(`The ONNX model's ${where} is of type ${type}, which is none that is computed with here.`);
  const count = elementCount(shape);
  if (shape.length > 64 || count === undefined) return refuse(`${where} has no possible shape`);
  const data = raw ? fromRaw(raw, dtype) : fromFields(message, dtype, count);
  if (data.length !== count) refuse(`${where} has ${data.length} elements, and its shape ${count}`);
  return [name, { dtype, shape, data }];
}

function fromRaw(raw: Uint8Array, dtype: SafetensorsDtype): HostArray {
  const make = DTYPES[dtype];
  if (raw.length % make.BYTES_PER_ELEMENT) refuse("an initialiser's bytes are no whole number of elements");
  return new make(raw.slice().buffer);
}

/**
 * Numbers in fields by their type: those of 16 bits and fewer, halves too, as integers of 32. Each
 * goes to its place as it is read: an object for each would take sixty bytes for one of the file.
 */
function fromFields(message: Uint8Array, dtype: SafetensorsDtype, most: number): HostArray {
  const room = Math.min(most, message.length);
  const data = new DTYPES[dtype](room);
  let n = 0;
  if (dtype === "F32" || dtype === "F64") {
    const whole = new Uint8Array(data.buffer);
    for (const field of fieldsOf(message)) {
      if (field.number !== (dtype === "F32" ? T.floats : T.doubles)) continue;
      if (field.kind === "varint") return refuse("an integer in the place of a number");
      if (n + field.value.length > whole.length) return refuse("an initialiser has more elements than its shape");
      whole.set(field.value, n);
      n += field.value.length;
    }
    n /= data.BYTES_PER_ELEMENT;
  } else {
    const number = dtype === "I64" ? T.int64s : dtype === "U64" || dtype === "U32" ? T.uint64s : T.int32s;
    const wide = dtype === "I64" || dtype === "U64";
    for (const field of fieldsOf(message)) {
      if (field.number !== number) continue;
      for (const value of varintsOf(field)) {
        if (n >= room) return refuse("an initialiser has more elements than its shape");
        (data as { [at: number]: number | bigint })[n++] = wide ? value : Number(BigInt.asIntN(32, value));
      }
    }
  }
  if (n !== most) refuse(`an initialiser has ${n} elements, and its shape ${most}`);
  return data;
}
