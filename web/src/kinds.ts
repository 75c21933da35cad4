/**
 * What a file is, by its first bytes: so that one in the wrong place is named before it is read.
 */

export type Kind = "network" | "credential" | "commitment" | "certificate" | "other";

/** Longest header that is looked at. */
const HEADER = 2 ** 24;

/** How kinds are called. */
export const KIND_NAMES: Readonly<Record<Kind, string>> = {
  network: "a network (safetensors)",
  credential: "a credential (safetensors)",
  commitment: "a commitment (Sigstore bundle, JSON)",
  certificate: "a certificate (PEM or DER)",
  other: "a file of another kind",
};

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
  if (file.size > HEADER) return "other";
  const text = await file.text();
  if (text.includes("-----BEGIN CERTIFICATE-----")) return "certificate";
  return parsed(text)?.["mediaType"] !== undefined ? "commitment" : "other";
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
