/**
 * What a file is, by its first bytes: so that one in the wrong place is named before it is read.
 */

export type Kind = "network" | "index" | "credential" | "commitment" | "certificate" | "signature" | "other";

/** Longest header that is looked at. */
const HEADER = 2 ** 24;

/** How kinds are called. */
export const KIND_NAMES: Readonly<Record<Kind, string>> = {
  network: "a network (safetensors, PyTorch, ONNX, TensorFlow.js)",
  index: "the index of a network in several files",
  credential: "a credential (safetensors)",
  commitment: "a commitment (Sigstore bundle, JSON)",
  certificate: "a certificate (PEM or DER)",
  signature: "a signature (as pan prove writes it)",
  other: "a file of another kind",
};

/** Where an archive names what is in it: at its start, and in its directory at the end. */
const ENDS = [512, 2 ** 20] as const;

/** Shortest and longest signature: 64 bytes of Ed25519; DER of P-256 up to P-521. */
const SIGNATURE = [64, 144] as const;

/** Whether a file is a network of another program's: of PyTorch in either form, or of ONNX. */
async function isForeignNetwork(file: File): Promise<boolean> {
  const start = new Uint8Array(await file.slice(0, ENDS[0]).arrayBuffer());
  const begins = (...magic: number[]) => magic.every((byte, i) => start[i] === byte);
  if (begins(0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19)) return true;
  if (begins(0x50, 0x4b, 0x03, 0x04)) {
    const end = await file.slice(Math.max(0, file.size - ENDS[1])).text();
    return `${new TextDecoder("latin1").decode(start)}${end}`.includes("data.pkl");
  }
  // A model's version of the format, and a field that may stand behind it.
  const [version = 0, field = 0] = start.subarray(1, 3);
  return (
    start[0] === 0x08 && version >= 2 && version <= 30 && [0x12, 0x1a, 0x22, 0x28, 0x32, 0x3a, 0x42].includes(field)
  );
}

export async function kindOf(file: File): Promise<Kind> {
  const start = new DataView(await file.slice(0, 16).arrayBuffer());
  if (start.byteLength >= 2 && start.getUint16(0) === 0x3082) return "certificate";
  if (start.byteLength >= 10) {
    const length = Number(start.getBigUint64(0, true));
    if (length >= 2 && length <= Math.min(file.size - 8, HEADER) && start.getUint8(8) === 0x7b) {
      const header = parsed(await file.slice(8, 8 + length).text());
      const { format } = (header?.["__metadata__"] ?? {}) as { format?: unknown };
      if (header) return typeof format === "string" && format.startsWith("pan-credential") ? "credential" : "network";
    }
  }
  if (await isForeignNetwork(file)) return "network";
  if (file.size > HEADER) return "other";
  const text = await file.text();
  if (text.includes("-----BEGIN CERTIFICATE-----")) return "certificate";
  const document = parsed(text);
  if (document?.["mediaType"] !== undefined) return "commitment";
  if (document && namesOf(document)) return "index";
  const [least, most] = SIGNATURE;
  // Random bytes are no text.
  return file.size >= least && file.size <= most && text.includes("\ufffd") ? "signature" : "other";
}

/** Names of files in an index of TensorFlow.js or Hugging Face; null for another document. */
function namesOf({ weightsManifest, weight_map }: Record<string, unknown>): unknown[] | null {
  if (Array.isArray(weightsManifest))
    return weightsManifest.flatMap((group) => ((group as { paths?: unknown } | null)?.paths ?? []) as unknown[]);
  return typeof weight_map === "object" && weight_map !== null ? Object.values(weight_map) : null;
}

/** The files that an index names, as far as it says so. */
export async function namedIn(index: File): Promise<readonly string[]> {
  const names = namesOf(parsed(await index.text()) ?? {}) ?? [];
  return names.filter((name): name is string => typeof name === "string");
}

function parsed(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}

/** SHA-256 of the files that a commitment speaks of, as far as it says so. */
export async function committedDigests(commitment: File): Promise<ReadonlySet<string>> {
  try {
    const { dsseEnvelope } = JSON.parse(await commitment.text()) as { dsseEnvelope: { payload: string } };
    const statement = JSON.parse(atob(dsseEnvelope.payload)) as { subject: { digest: { sha256: string } }[] };
    return new Set(statement.subject.map(({ digest }) => digest.sha256));
  } catch {
    return new Set();
  }
}

/** What `sha256sum` prints of a file. */
export async function sha256(file: File): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", await file.arrayBuffer()));
  return [...digest].map((b) => b.toString(16).padStart(2, "0")).join("");
}
