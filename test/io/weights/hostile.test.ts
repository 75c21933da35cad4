/**
 * Files of weights made to hurt: whatever is damaged is refused with a `FormatError`, soon, and
 * takes no more than the file pays for. `WEIGHTS_MUTATIONS=50000` tries as many of each.
 */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { decodeWeights } from "@pan/core/weights";
import { describe, expect, it } from "vitest";
import { FormatError } from "../../../src/errors";
import { Generator } from "../../../src/tensor/random";
import { floats } from "../../support/edits";
import { integer, message, onnxOf, varint } from "../../support/protobuf";
import { bytesOf, global, torchFile, torchPickle, u32, zipOf } from "../../support/torch";

const folder = resolve(import.meta.dirname, "../../fixtures/weights");
const file = (name: string) => new Uint8Array(readFileSync(resolve(folder, name)));
const shard = file("group1-shard1of1.bin");
const COUNT = Number(process.env["WEIGHTS_MUTATIONS"] ?? 400);

/** Decodes; an error is a `FormatError` in a bounded message. @returns whether it was read */
async function isRead(bytes: Uint8Array, what: string): Promise<boolean> {
  const start = performance.now();
  const error = await decodeWeights(bytes, { fetch: () => shard }).then(
    () => null,
    (cause: unknown) => cause,
  );
  expect(performance.now() - start, what).toBeLessThan(3000);
  if (error === null) return true;
  expect(error, `${what}: ${error instanceof Error ? error.stack : String(error)}`).toBeInstanceOf(FormatError);
  expect((error as Error).message.length, what).toBeLessThan(1000);
  return false;
}

/**
 * Pickles of archives, whose checksums would find every change, are changed before they are packed.
 */
const pickle = torchPickle(
  new Map([
    ["a", floats([3, 4])],
    ["b", floats([2])],
  ]),
);
const packed = (data: Uint8Array) =>
  torchFile(
    new Map([
      ["a", floats([3, 4])],
      ["b", floats([2])],
    ]),
    { pickle: data },
  );
const same = (bytes: Uint8Array) => bytes;

const SOURCES: Record<string, [bytes: Uint8Array, pack: (bytes: Uint8Array) => Uint8Array]> = {
  "a zip archive": [file("numbers.pth"), same],
  "a pickle in an archive": [pickle, packed],
  "PyTorch's old form": [file("numbers-older.pth"), same],
  ONNX: [file("net.onnx"), same],
  "TensorFlow.js": [file("tfjs-model.json"), same],
};

describe.each(Object.entries(SOURCES))("%s", (name, [source, pack]) => {
  it("is read as it is", async () => {
    expect(await isRead(pack(source), name)).toBe(true);
  });

  it("changed at random, is read or refused", async () => {
    const random = new Generator(7).fork(name);
    let refused = 0;
    for (let i = 0; i < COUNT; i++) {
      const bytes = Uint8Array.from(source);
      // Where it is structure, and not numbers: at the front or at the end.
      for (let n = 1 + random.integer(3); n > 0; n--) {
        const at = random.integer(2) ? random.integer(bytes.length) : random.integer(Math.min(600, bytes.length));
        bytes[at] = random.integer(2) ? random.integer(256) : bytes[at]! ^ (1 << random.integer(8));
      }
      if (!(await isRead(pack(bytes), `${name}, mutant ${i}`))) refused++;
    }
    expect(refused).toBeGreaterThan(COUNT / 20);
  });

  it("cut anywhere, is read or refused", async () => {
    const step = Math.ceil(source.length / 300);
    for (let n = 0; n < source.length; n += step) await isRead(pack(source.subarray(0, n)), `${name}, ${n} bytes`);
  });

  it("with a part doubled or taken out, is read or refused", async () => {
    const random = new Generator(8).fork(name);
    for (let i = 0; i < COUNT / 4; i++) {
      const [a, n] = [random.integer(source.length), random.integer(40)];
      const part = source.subarray(a, a + n);
      const rest = source.subarray(random.integer(2) ? a : a + 2 * n);
      await isRead(pack(bytesOf(source.subarray(0, a), part, rest)), `${name}, part ${i}`);
    }
  });
});

const head = bytesOf(0x80, 2);
const dict = bytesOf(global("collections", "OrderedDict"));
const repeated = (n: number, ...parts: Parameters<typeof bytesOf>) => {
  const one = bytesOf(...parts);
  const all = new Uint8Array(n * one.length);
  for (let i = 0; i < n; i++) all.set(one, i * one.length);
  return all;
};
const storage = bytesOf(
  "(X",
  u32(7),
  "storage",
  global("torch", "FloatStorage"),
  "X",
  u32(1),
  "0",
  "X",
  u32(3),
  "cpuJ",
  u32(0x7fffffff),
  "tQ",
);
const tensor = (sizes: Uint8Array, strides: Uint8Array) =>
  bytesOf(global("torch._utils", "_rebuild_tensor_v2"), "(", storage, "K", 0, sizes, strides, 0x89, "NtR");
const inArchive = (data: Uint8Array, numbers = new Uint8Array(40)) =>
  zipOf(
    new Map([
      ["a/data.pkl", data],
      ["a/data/0", numbers],
    ]),
  );
const named = (value: Uint8Array) => bytesOf("X", u32(1), "w", value);

it("refuses an archive with several pickles: PyTorch may take another than we would", async () => {
  const value = bytesOf(head, "}", ".");
  const both = zipOf(
    new Map([
      ["archive/version", bytesOf("3")],
      ["decoy/data.pkl", value],
      ["archive/data.pkl", value],
    ]),
  );
  await expect((async () => decodeWeights(both))()).rejects.toThrow(
    /has several: decoy\/data\.pkl, archive\/data\.pkl/,
  );
});

/** An archive of about n bytes, whatever its pickle. */
const packedAs = (n: number, data: Uint8Array) => {
  const random = new Generator(3);
  const rest = Uint8Array.from({ length: n }, () => random.integer(256));
  return zipOf(
    new Map([
      ["a/data.pkl", data],
      ["a/data/0", rest],
    ]),
    { deflated: true },
  );
};
/** Values under numbers. */
const numbered = (n: number, value: Uint8Array) => Array.from({ length: n }, (_, i) => bytesOf("J", u32(i), value));

/** Files of about n bytes that a careless reader takes n² steps or 2ⁿ bytes for. */
const BOMBS: Record<string, (n: number) => Uint8Array> = {
  "lists in lists": (n) => inArchive(bytesOf(head, repeated(n, "]"), repeated(n - 1, "a"), ".")),
  "dictionaries in dictionaries": (n) =>
    inArchive(bytesOf(head, repeated(n / 4, "}U", 1, "k"), "}", repeated(n / 4, "s"), ".")),
  marks: (n) => inArchive(bytesOf(head, repeated(n, "("), ".")),
  "lists of themselves": (n) => inArchive(bytesOf(head, "]q", 0, repeated(n / 3, "h", 0, "a"), ".")),
  "a list of twice the list before, and so on": (n) =>
    inArchive(bytesOf(head, "]q", 0, repeated(n / 10, "(h", 0, "h", 0, "lq", 0, "0"), "h", 0, ".")),
  "dictionaries made of one long list": (n) =>
    inArchive(
      bytesOf(
        head,
        "(",
        repeated(n / 8, "U", 1, "k", "N", 0x86),
        "lq",
        0,
        dict,
        "q",
        1,
        repeated(n / 8, "h", 1, "h", 0, 0x85, "R0"),
        ".",
      ),
    ),
  "dictionaries made of one long dictionary": (n) =>
    inArchive(
      bytesOf(
        head,
        "}q",
        0,
        "(",
        ...Array.from({ length: n / 16 }, (_, i) => bytesOf("J", u32(i), "N")),
        "u",
        dict,
        "q",
        1,
        repeated(n / 8, "h", 1, "h", 0, 0x85, "R0"),
        ".",
      ),
    ),
  "a tensor of 2⁶⁰ elements": () =>
    inArchive(
      bytesOf(
        head,
        "}",
        named(tensor(bytesOf("(", repeated(2, "J", u32(2 ** 30)), "t"), bytesOf("(K", 0, "K", 0, "t"))),
        "s.",
      ),
    ),
  "a tensor far behind its storage": () =>
    inArchive(bytesOf(head, "}", named(tensor(bytesOf("(K", 2, "t"), bytesOf("(J", u32(2 ** 31 - 1), "t"))), "s.")),
  "a negative stride": () =>
    inArchive(bytesOf(head, "}", named(tensor(bytesOf("(K", 2, "t"), bytesOf("(J", u32(2 ** 32 - 1), "t"))), "s.")),
  "a tensor of many dimensions": (n) =>
    inArchive(
      bytesOf(
        head,
        "}",
        named(tensor(bytesOf("(", repeated(n / 4, "K", 1), "t"), bytesOf("(", repeated(n / 4, "K", 1), "t"))),
        "s.",
      ),
    ),
  "many tensors of one storage": (n) => {
    const one = tensor(bytesOf("(M", 0, 16, "t"), bytesOf("(K", 1, "t"));
    const many = Array.from({ length: Math.ceil(n / 12) }, (_, i) => bytesOf("U", 8, String(i).padStart(8), "h", 9));
    return inArchive(bytesOf(head, one, "q", 9, "0}(", ...many, "u."), new Uint8Array(4 * 4096));
  },
  "many tensors of one storage, with strides": (n) => {
    const one = tensor(bytesOf("(M", 0, 8, "t"), bytesOf("(K", 2, "t"));
    const many = Array.from({ length: Math.ceil(n / 12) }, (_, i) => bytesOf("U", 8, String(i).padStart(8), "h", 9));
    return inArchive(bytesOf(head, one, "q", 9, "0}(", ...many, "u."), new Uint8Array(4 * 4096));
  },
  "a text of 4 GB": () => inArchive(bytesOf(head, "X", u32(2 ** 32 - 1), "abc.")),
  "a text of 2⁶³ bytes": () => inArchive(bytesOf(head, 0x8d, repeated(8, 0x7f), "abc.")),
  "an integer of many bytes": (n) => inArchive(bytesOf(head, 0x8b, u32(n), new Uint8Array(n), ".")),
  "names without an end": (n) => inArchive(bytesOf(head, "c", repeated(n, "x"))),
  "a dictionary a byte, packed": (n) => packedAs(n / 4, bytesOf(head, repeated(8 * n, "}"), ".")),
  "a list a byte, packed": (n) => packedAs(n / 4, bytesOf(head, repeated(8 * n, "]"), ".")),
  "something remembered a byte, packed": (n) => packedAs(n / 4, bytesOf(head, "N", repeated(8 * n, 0x94), ".")),
  "entries of a dictionary, packed": (n) =>
    packedAs(n / 16, bytesOf(head, "}", ...numbered(n / 4, bytesOf("Ns")), ".")),
  "a long key over many dictionaries": (n) =>
    inArchive(
      bytesOf(
        head,
        tensor(bytesOf("(K", 2, "t"), bytesOf("(K", 1, "t")),
        "q",
        1,
        "0}X",
        u32(n),
        repeated(n, "k"),
        "}(",
        ...Array.from({ length: n / 10 }, (_, i) => bytesOf("J", u32(i), "}K", 0, "h", 1, "s")),
        "us.",
      ),
    ),
  "a list under many keys": (n) =>
    inArchive(bytesOf(head, "](", repeated(n, "N"), "eq", 1, "0}(", ...numbered(n / 10, bytesOf("h", 1)), "u.")),
  "a dictionary under many keys, deep down": (n) =>
    inArchive(
      bytesOf(
        head,
        "}(",
        ...numbered(n / 10, bytesOf("N")),
        "uq",
        1,
        "0",
        repeated(3, "}K", 0),
        "}(",
        ...numbered(n / 10, bytesOf("h", 1)),
        "usss.",
      ),
    ),
  "a key of many dots": (n) =>
    inArchive(
      bytesOf(
        head,
        tensor(bytesOf("(K", 2, "t"), bytesOf("(K", 1, "t")),
        "q",
        1,
        "0}",
        named(bytesOf("}", named(bytesOf("h", 1)), "s")),
        "sX",
        u32(n + 5),
        "optim",
        repeated(n, "."),
        "}",
        named(bytesOf("h", 1)),
        "ss.",
      ),
    ),
  "a tensor that is made as itself is": () => {
    const type = global("torch._tensor", "_rebuild_from_type_v2");
    return inArchive(bytesOf(head, type, "](", type, "NNeq", 1, "h", 1, "aR.".slice(1)));
  },
  "an archive that unpacks to more than its size a thousand times over": (n) =>
    zipOf(new Map([["a/data.pkl", new Uint8Array(200 * n)]]), { deflated: true }),
  "an archive that says it unpacks to 4 GB": () =>
    zipOf(new Map([["a/data.pkl", new Uint8Array(40)]]), { deflated: true, size: 2 ** 32 - 2 }),
  "an archive of many entries": (n) =>
    zipOf(new Map([["a/data.pkl", head], ...Array.from({ length: n / 60 }, (_, i) => [`a/data/${i}`, head] as const)])),
  "an archive whose entries lie in one place": (n) => {
    const keys = Array.from({ length: n / 400 }, (_, i) => i);
    const tensors = torchPickle(new Map(keys.map((key) => [`${key}`, floats([1])])));
    const all = new Uint8Array(4 * n);
    all.set(tensors);
    const names = ["a/data.pkl", ...keys.map((key) => `a/data/${key}`)];
    return zipOf(new Map(names.map((name) => [name, all])), { overlap: true });
  },
  "ONNX, an initialiser of 2⁵² elements": () =>
    onnxOf([message(8, "w"), integer(1, 2n ** 52n), integer(2, 1), message(9, "abcd")]),
  "ONNX, negative dimensions": () =>
    onnxOf([message(8, "w"), integer(1, -1), integer(1, -1), integer(2, 1), message(9, "abcd")]),
  "ONNX, many dimensions": (n) =>
    onnxOf([message(8, "w"), repeated(n / 2, integer(1, 1)), integer(2, 1), message(9, "abcd")]),
  "ONNX, more integers than its shape": (n) =>
    onnxOf([message(8, "w"), integer(1, 1), integer(2, 7), repeated(n / 2, integer(7, 1))]),
  "ONNX, a field of 2⁶³ bytes": () => bytesOf(onnxOf(), varint(8 * 7 + 2), varint(2n ** 63n)),
  "ONNX, initialisers without names": (n) => onnxOf(...Array.from({ length: n / 10 }, () => [integer(2, 1)])),
  "JSON, lists in lists": (n) => new TextEncoder().encode(`{"weightsManifest":${"[".repeat(n)}`),
  "JSON, a shape of 2⁵³ elements": () =>
    new TextEncoder().encode(
      '{"weightsManifest":[{"paths":["x"],"weights":[{"name":"w","shape":[94906267,94906267],"dtype":"float32"}]}]}',
    ),
  "JSON, many files": (n) =>
    new TextEncoder().encode(
      JSON.stringify({ weight_map: Object.fromEntries(Array.from({ length: n / 8 }, (_, i) => [i, `f${i}`])) }),
    ),
};

describe.each(Object.entries(BOMBS))("%s", (what, make) => {
  it("is refused, and twice as much takes about twice the time", async () => {
    const time = async (bytes: Uint8Array) => {
      let best = Number.POSITIVE_INFINITY;
      for (let i = 0; i < 2; i++) {
        const start = performance.now();
        expect(await isRead(bytes, what)).toBe(false);
        best = Math.min(best, performance.now() - start);
      }
      return best;
    };
    const [small, large] = [make(60_000), make(120_000)];
    const first = await time(small);
    // Quadratic work on so much takes seconds; on a busy machine short times say little.
    expect(await time(large)).toBeLessThan(Math.max(300, 5 * first));
  });
});
