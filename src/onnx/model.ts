/**
 * ONNX models as their file format has them. Numbers of fields: `onnx.proto` of the ONNX project,
 * format version 8.
 */
import { LimitError } from "../errors";
import { Message } from "../io/protobuf-writer";
import { sizeOf } from "../tensor/shape";

/** Format version, and that of the operators: ONNX 1.12 and later. */
const IR_VERSION = 8;
export const OPSET = 17;
/** Protocol buffers end here. */
const LARGEST = 2 ** 31 - 1;

/** Element types of ONNX. */
export const ELEMENT = { float: 1, int64: 7, bool: 9 } as const;
export type Element = keyof typeof ELEMENT;

/** A constant: elements in row-major order. */
export interface Constant {
  readonly type: Element;
  readonly shape: readonly number[];
  readonly data: Float32Array | BigInt64Array | Uint8Array;
}

/** Numbers and texts that belong to a node; whole numbers are integers unless they are marked. */
export type Attribute = number | string | readonly number[] | { readonly float: number };

/** One operation of a graph. */
export interface Node {
  readonly type: string;
  readonly name: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Readonly<Record<string, Attribute>>;
}

/** An input or output: sizes that are texts are free, equal texts are equal sizes. */
export interface Port {
  readonly name: string;
  readonly type: Element;
  readonly shape: readonly (number | string)[];
}

/** A whole graph. */
export interface OnnxGraph {
  readonly name: string;
  readonly nodes: readonly Node[];
  readonly constants: ReadonlyMap<string, Constant>;
  readonly inputs: readonly Port[];
  readonly outputs: readonly Port[];
}

/** A graph as a file. @throws LimitError from 2 GiB on, which the format cannot hold. */
export function encodeModel(graph: OnnxGraph): Uint8Array<ArrayBuffer> {
  const body = new Message()
    .messages(1, graph.nodes.map(nodeOf))
    .text(2, graph.name)
    .messages(
      5,
      [...graph.constants].map(([name, constant]) => tensorOf(name, constant)),
    )
    .messages(11, graph.inputs.map(portOf))
    .messages(12, graph.outputs.map(portOf));
  const model = new Message()
    .integer(1, IR_VERSION)
    .text(2, "@pan/core")
    .message(7, body)
    .message(8, new Message().text(1, "").integer(2, OPSET));
  if (model.length > LARGEST)
    throw new LimitError(
      `exportOnnx: the model would have ${model.length} bytes, and ONNX files end at 2 GiB: export it in parts`,
    );
  return model.bytes();
}

function nodeOf({ type, name, inputs, outputs, attributes }: Node): Message {
  const message = new Message();
  for (const input of inputs) message.text(1, input);
  for (const output of outputs) message.text(2, output);
  return message.text(3, name).text(4, type).messages(5, Object.entries(attributes).map(attributeOf));
}

function attributeOf([name, value]: [string, Attribute]): Message {
  const message = new Message().text(1, name);
  if (typeof value === "number") return message.integer(3, value).integer(20, 2);
  if (typeof value === "string") return message.text(4, value).integer(20, 3);
  if ("float" in value) return message.float(2, value.float).integer(20, 1);
  return message.integers(8, value).integer(20, 7);
}

function tensorOf(name: string, { type, shape, data }: Constant): Message {
  if (data.length !== sizeOf(shape)) throw new RangeError(`${name}: ${data.length} elements for [${shape}]`);
  return new Message().integers(1, shape).integer(2, ELEMENT[type]).text(8, name).data(9, littleEndian(data));
}

function portOf({ name, type, shape }: Port): Message {
  const sizes = shape.map((size) =>
    typeof size === "number" ? new Message().integer(1, size) : new Message().text(2, size),
  );
  const tensor = new Message().integer(1, ELEMENT[type]).message(2, new Message().messages(1, sizes));
  return new Message().text(1, name).message(2, new Message().message(1, tensor));
}

/** Bytes as files have them. Every platform with WebGPU is little-endian. */
const littleEndian = (data: Constant["data"]): Uint8Array =>
  new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
