/**
 * What a file is that is no safetensors file: by the bytes at its start (and, of archives, the
 * names inside), in words, with what to do about it. People rename, download and unpack the wrong
 * thing far more often than bytes rot.
 */
import { quote } from "./shown";

/** A kind of file that is taken for safetensors now and then. */
export interface ForeignKind {
  /** What it is, after "it is". */
  readonly what: string;
  /** What to do, a sentence. */
  readonly advice: string;
  readonly test: (file: Glimpse) => boolean;
}

/**
 * What may be a key or a secret, in hexadecimal or base64, in groups too: a message goes into logs.
 */
const SECRET = /(?:[0-9a-f]{2}[\s:.-]?){8,}|[\w+/=-]{16,}/gi;

/** The parts of a file that tell its kind. */
interface Glimpse {
  readonly bytes: Uint8Array;
  /** The first characters, one per byte. */
  readonly head: string;
  /** The same as text, without a byte order mark and leading white space. */
  readonly text: string;
  /** Head and tail, where archives have their names. */
  readonly names: string;
}

const HEAD = 4096;
const TAIL = 65536;

/** What reads files of other programs. */
const READ =
  "`loadWeights` of @pan/core/node and `decodeWeights` of @pan/core/weights read it, and `npx @pan/core convert` makes safetensors of it.";
const TORCH =
  `${READ} Or convert it in Python: \`from safetensors.torch import save_file; ` +
  's = torch.load("in.pth", map_location="cpu", weights_only=True); s = s.get("state_dict", s); ' +
  'save_file({k: v.contiguous() for k, v in s.items()}, "out.safetensors")`.';
const NUMPY = "Convert it in Python: `safetensors.numpy.save_file({name: array, …}, path)`.";
const KERAS =
  "Load it in Keras and save its arrays by `safetensors.numpy.save_file({w.path: w.numpy() for w in model.weights}, path)`.";
const TENSORFLOW =
  "Load it in TensorFlow and save its variables by `safetensors.numpy.save_file({name: array, …}, path)`.";
const ONNX = `${READ} Or read its weights in Python by \`onnx.numpy_helper.to_array\` over \`model.graph.initializer\` and save them by \`safetensors.numpy.save_file\`.`;
const UNPACK = "Unpack it and give the .safetensors file that is inside.";
const WRONG = "Give the path of the model's .safetensors file.";

const starts =
  (...magics: string[]) =>
  ({ head }: Glimpse): boolean =>
    magics.some((magic) => head.startsWith(magic));
const text =
  (pattern: RegExp) =>
  ({ text }: Glimpse): boolean =>
    pattern.test(text);
const zip =
  (pattern: RegExp) =>
  (file: Glimpse): boolean =>
    starts("PK\x03\x04", "PK\x05\x06")(file) && pattern.test(file.names);

/** ModelProto opens with its IR version, then producer, model version, graph or operator set. */
export const isOnnx = (bytes: Uint8Array): boolean =>
  bytes[0] === 0x08 &&
  bytes[1]! >= 2 &&
  bytes[1]! <= 30 &&
  [0x12, 0x1a, 0x22, 0x28, 0x32, 0x3a, 0x42].includes(bytes[2]!);

/**
 * SavedModel opens with schema version 1 and a graph; a frozen graph with a node and its name; a
 * checkpoint's index ends in its table's mark.
 */
const isTensorFlow = ({ bytes, head }: Glimpse): boolean =>
  (bytes[0] === 0x08 && bytes[1] === 0x01 && bytes[2] === 0x12) ||
  (bytes[0] === 0x0a && bytes.subarray(2, 5).includes(0x0a) && /Placeholder|Const|VariableV2|NoOp/.test(head)) ||
  [0x57, 0xfb, 0x80, 0x8b, 0x24, 0x75, 0x47, 0xdb].every((byte, i) => bytes[bytes.length - 8 + i] === byte);

/** All kinds that are told apart, the special before the general. */
export const FOREIGN_KINDS: readonly ForeignKind[] = [
  {
    what: "an empty file",
    advice: "A download or a save was interrupted, or the disk was full: fetch or export it again.",
    test: ({ bytes }) => bytes.length === 0,
  },
  {
    what: "zeros from end to end",
    advice: "Room was made for a download that never arrived: fetch it again.",
    test: ({ bytes }) => bytes.length >= 8 && bytes.every((byte) => byte === 0),
  },
  {
    what: "a PyTorch file (a zip archive by torch.save)",
    advice: TORCH,
    test: zip(/data\.pkl|constants\.pkl|\.data\/serialization_id/),
  },
  { what: "a Keras model (.keras, a zip archive)", advice: KERAS, test: zip(/model\.weights\.h5/) },
  { what: "a NumPy archive (.npz)", advice: NUMPY, test: zip(/\.npy/) },
  { what: "a zip archive", advice: UNPACK, test: zip(/^/) },
  {
    what: "a PyTorch file of the old form (a pickle by torch.save)",
    advice: TORCH,
    test: starts("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"),
  },
  {
    what: "a Python pickle",
    advice:
      "Load it where it came from, if you trust it (a pickle can run any code), and save its tensors by `safetensors`.",
    test: starts("\x80\x02", "\x80\x03", "\x80\x04", "\x80\x05"),
  },
  {
    what: "a Git LFS pointer, not the file it stands for",
    advice: "Run `git lfs pull` in that repository, or download the file itself.",
    test: text(/^version https:\/\/git-lfs\.github\.com\//),
  },
  {
    what: "a git-annex pointer, not the file it stands for",
    advice: "Run `git annex get` in that repository.",
    test: text(/^(\.\.\/)*(\.git)?\/annex\/objects\//),
  },
  {
    what: "an HTML page",
    advice:
      "The address gives a page about the file, or asks to sign in: use the address of the download itself (on Hugging Face `/resolve/`, not `/blob/`).",
    test: text(/^(<!--.*?-->\s*)?<(!doctype html|html|head|body)\b/is),
  },
  {
    what: "an XML document",
    advice: "A server's answer in XML is usually an error: open it and read what it says, then fetch the file again.",
    test: text(/^<\?xml|^<Error>/),
  },
  {
    what: "compressed by gzip",
    advice: `Unpack it by \`gunzip\` (or \`tar xzf\`) first. ${UNPACK}`,
    test: starts("\x1f\x8b"),
  },
  { what: "compressed by bzip2", advice: `Unpack it by \`bunzip2\` first. ${UNPACK}`, test: starts("BZh") },
  { what: "compressed by xz", advice: `Unpack it by \`unxz\` first. ${UNPACK}`, test: starts("\xfd7zXZ\0") },
  {
    what: "compressed by Zstandard",
    advice: `Unpack it by \`unzstd\` first. ${UNPACK}`,
    test: starts("\x28\xb5\x2f\xfd"),
  },
  { what: "compressed by LZ4", advice: `Unpack it by \`unlz4\` first. ${UNPACK}`, test: starts("\x04\x22\x4d\x18") },
  { what: "a 7z archive", advice: UNPACK, test: starts("7z\xbc\xaf\x27\x1c") },
  { what: "a RAR archive", advice: UNPACK, test: starts("Rar!\x1a\x07") },
  {
    what: "a tar archive",
    advice: `${UNPACK} (The oldest PyTorch files are tar archives too: load those in PyTorch and save them by safetensors.)`,
    test: ({ head }) => head.slice(257, 262) === "ustar",
  },
  {
    what: "an HDF5 file (Keras .h5, or MATLAB 7.3)",
    advice: KERAS,
    test: ({ head }) => [0, 512, 1024, 2048].some((at) => head.startsWith("\x89HDF\r\n\x1a\n", at)),
  },
  { what: "a MATLAB file", advice: `Read it by \`scipy.io.loadmat\`. ${NUMPY}`, test: starts("MATLAB ") },
  { what: "a NumPy array (.npy)", advice: NUMPY, test: starts("\x93NUMPY") },
  {
    what: "a GGUF or GGML file (llama.cpp)",
    advice: "Its weights are usually quantised: fetch the model's original safetensors files.",
    test: starts("GGUF", "FUGG", "ggml", "lmgg", "ggjt", "tjgg", "ggla", "algg"),
  },
  { what: "a TensorFlow model or checkpoint", advice: TENSORFLOW, test: isTensorFlow },
  { what: "an ONNX model", advice: ONNX, test: ({ bytes }) => isOnnx(bytes) },
  { what: "a TensorFlow Lite model", advice: TENSORFLOW, test: ({ head }) => head.slice(4, 8) === "TFL3" },
  {
    what: "the JSON index of a model in several files (weight_map)",
    advice: `${READ} Or load each of the safetensors files that it names and put their tensors into one Map.`,
    test: text(/^\{.*"weight_map"/s),
  },
  {
    what: "a TensorFlow.js model (model.json)",
    advice: READ,
    test: text(/^\{.*"(weightsManifest|modelTopology)"/s),
  },
  {
    what: "a JSON document",
    advice: "The weights are in another file: give the path of the model's .safetensors file.",
    test: text(/^[{[]\s*(["{[\]}]|$)/),
  },
  { what: "a PNG image", advice: WRONG, test: starts("\x89PNG\r\n\x1a\n") },
  { what: "a JPEG image", advice: WRONG, test: starts("\xff\xd8\xff") },
  { what: "a GIF image", advice: WRONG, test: starts("GIF87a", "GIF89a") },
  { what: "a WebP, WAV or AVI file (RIFF)", advice: WRONG, test: starts("RIFF") },
  { what: "a PDF document", advice: WRONG, test: starts("%PDF") },
  { what: "a program or library (ELF)", advice: WRONG, test: starts("\x7fELF") },
  { what: "a WebAssembly module", advice: WRONG, test: starts("\0asm") },
  { what: "an SQLite database", advice: WRONG, test: starts("SQLite format 3\0") },
  { what: "a Parquet or Arrow table", advice: WRONG, test: starts("PAR1", "ARROW1") },
  {
    what: "text in UTF-16 or UTF-32",
    advice:
      "A console or an editor wrote it as text: fetch the file again as bytes, without passing it through either.",
    test: starts("\xff\xfe", "\xfe\xff", "\0\0\xfe\xff"),
  },
  { what: "a PEM file (a key or a certificate)", advice: WRONG, test: text(/^-----BEGIN /m) },
  {
    what: "text",
    advice: "A server or a tool answered with words in the place of the file: read them, then fetch it again.",
    test: ({ text }) => text !== "" && /^[^\p{Cc}\ufffd]*$/u.test(text.replace(/\s/g, "")),
  },
];

/**
 * What a file is, as a sentence and advice; undefined where nothing is known of such bytes.
 *
 * @param bytes the whole file, which is known to be no safetensors file
 */
export function describeForeign(bytes: Uint8Array): string | undefined {
  const latin = (part: Uint8Array) => {
    let out = "";
    for (const byte of part) out += String.fromCharCode(byte);
    return out;
  };
  const start = bytes.subarray(0, HEAD);
  const head = latin(start);
  // A character cut by the end of the head would look like one that is none.
  const whole = new TextDecoder().decode(start.slice(), { stream: true });
  const archive = head.startsWith("PK");
  const names = archive ? head + latin(bytes.subarray(Math.max(HEAD, bytes.length - TAIL))) : "";
  const file: Glimpse = { bytes, head, text: whole.trimStart(), names };
  const kind = FOREIGN_KINDS.find(({ test }) => test(file));
  if (!kind) return undefined;
  const shown = kind.what === "text" ? ` that begins ${quote(file.text.replace(SECRET, "…"), 60)}` : "";
  return `it is ${kind.what}${shown}. ${kind.advice}`;
}
