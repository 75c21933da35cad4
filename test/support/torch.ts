/**
 * Files as `torch.save` writes them, and zip archives; `test/io/weights` holds them against real
 * ones.
 */
import { deflateRawSync } from "node:zlib";
import type { HostTensor, SafetensorsDtype, StateDict } from "../../src/io/host-tensor";
import { crc32 } from "../../src/io/zip";

const utf8 = new TextEncoder();

/** Bytes of numbers, characters and bytes one after the other. */
export function bytesOf(...parts: (number | string | Uint8Array)[]): Uint8Array {
  const all = parts.map((part) =>
    typeof part === "number" ? Uint8Array.of(part) : typeof part === "string" ? utf8.encode(part) : part,
  );
  const out = new Uint8Array(all.reduce((n, part) => n + part.length, 0));
  let at = 0;
  for (const part of all) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

const little = (size: number, value: number): Uint8Array =>
  Uint8Array.from({ length: size }, (_, i) => Math.floor(value / 256 ** i) % 256);
export const u16 = (value: number) => little(2, value);
export const u32 = (value: number) => little(4, value);

/**
 * A zip archive of some entries.
 * @param more `deflated` packs them, `size` is what is said of all, `overlap` puts them in one
 * place
 */
export function zipOf(
  entries: ReadonlyMap<string, Uint8Array>,
  { deflated = false, size, overlap = false }: { deflated?: boolean; size?: number; overlap?: boolean } = {},
): Uint8Array {
  const locals: Uint8Array[] = [];
  const directory: Uint8Array[] = [];
  let at = 0;
  const sums = new Map<Uint8Array, number>();
  for (const [name, data] of entries) {
    const sum = sums.get(data) ?? crc32(data);
    sums.set(data, sum);
    const packed = deflated ? deflateRawSync(data) : data;
    const common = bytesOf(
      u16(20),
      u16(0x800),
      u16(deflated ? 8 : 0),
      u32(0),
      u32(sum),
      u32(packed.length),
      u32(size ?? data.length),
    );
    const title = utf8.encode(name);
    const local = bytesOf("PK\x03\x04", common, u16(title.length), u16(0), title, packed);
    directory.push(bytesOf("PK\x01\x02", u16(20), common, u16(title.length), new Uint8Array(12), u32(at), title));
    // All others lie where the first one does.
    if (overlap && locals.length) continue;
    locals.push(local);
    if (!overlap) at += local.length;
  }
  const central = bytesOf(...directory);
  return bytesOf(
    ...locals,
    central,
    "PK\x05\x06",
    u32(0),
    u16(entries.size),
    u16(entries.size),
    u32(central.length),
    u32(locals.reduce((n, local) => n + local.length, 0)),
    u16(0),
  );
}

const STORAGES: Partial<Record<SafetensorsDtype, string>> = {
  F64: "Double",
  F32: "Float",
  F16: "Half",
  BF16: "BFloat16",
  I64: "Long",
  I32: "Int",
  I16: "Short",
  I8: "Char",
  U8: "Byte",
  BOOL: "Bool",
};

const text = (value: string) => bytesOf("X", u32(utf8.encode(value).length), value);
export const global = (module: string, name: string) => bytesOf("c", module, "\n", name, "\n");
const int = (value: number) =>
  value < 256 ? bytesOf("K", value) : value < 65536 ? bytesOf("M", u16(value)) : bytesOf("J", u32(value));

/** The pickle of a state dict, as PyTorch's but for what it remembers. */
export function torchPickle(tensors: StateDict): Uint8Array {
  const parts: Uint8Array[] = [bytesOf(0x80, 2), global("collections", "OrderedDict"), bytesOf(")R(")];
  [...tensors].forEach(([name, { dtype, shape, data }], key) => {
    const strides = shape.map((_, d) => shape.slice(d + 1).reduce((a, b) => a * b, 1));
    const ints = (values: readonly number[]) => bytesOf("(", ...values.map(int), "t");
    const storage = bytesOf(
      "(",
      text("storage"),
      global("torch", `${STORAGES[dtype]}Storage`),
      text(`${key}`),
      text("cpu"),
      int(data.length),
      "tQ",
    );
    const rest = bytesOf(0x89, global("collections", "OrderedDict"), ")R");
    parts.push(
      text(name),
      global("torch._utils", "_rebuild_tensor_v2"),
      bytesOf("(", storage, "K", 0, ints(shape), ints(strides), rest, "tR"),
    );
  });
  return bytesOf(...parts, "u.");
}

const raw = ({ data }: HostTensor) => new Uint8Array(data.buffer, data.byteOffset, data.byteLength);

/** A state dict as `torch.save` writes it. */
export const torchFile = (
  tensors: StateDict,
  more: { pickle?: Uint8Array; deflated?: boolean; order?: string } = {},
): Uint8Array =>
  zipOf(
    new Map<string, Uint8Array>([
      ["net/data.pkl", more.pickle ?? torchPickle(tensors)],
      ...(more.order === undefined ? [] : [["net/byteorder", utf8.encode(more.order)] as const]),
      ...[...tensors.values()].map((t, key) => [`net/data/${key}`, raw(t)] as const),
      ["net/version", utf8.encode("3\n")],
    ]),
    { deflated: more.deflated ?? false },
  );
