/**
 * DSSE, Dead Simple Signing Envelopes, version 1.0 (github.com/secure-systems-lab/dsse: protocol.md
 * and envelope.md): a payload of a named type, and signatures over both,
 *
 *     PAE(type, body) = "DSSEv1" SP LEN(type) SP type SP LEN(body) SP body
 *
 * with lengths in bytes, as decimal numbers.
 */
import { refuse, text } from "../demand";
import { FormatError } from "../errors";
import { bytesOf } from "../io/bytes";
import { shown } from "../io/shown";
import { fromBase64, toBase64 } from "./base64";
import { joined } from "./der-writer";
import { fieldsOf, listField, optionalText, textField } from "./fields";
import { keyHint, type Signer, signWith, verifySignature } from "./keys";

/** A signature of an envelope. */
export interface EnvelopeSignature {
  /** Names the key, for looking it up; signed by nobody. Empty where it is not given. */
  readonly keyid: string;
  readonly sig: Uint8Array;
}

/** A payload and its signatures. */
export interface Envelope {
  readonly payloadType: string;
  readonly payload: Uint8Array;
  readonly signatures: readonly EnvelopeSignature[];
}

/** Most signatures of one envelope. */
const MOST_SIGNATURES = 16;
/** Longest name of a type. */
const LONGEST_TYPE = 256;
const utf8 = new TextEncoder();

/** What is signed: the pre-authentication encoding of a payload and its type. */
export function pae(payloadType: string, payload: Uint8Array): Uint8Array<ArrayBuffer> {
  const type = utf8.encode(text("pae", "payloadType", payloadType));
  const body = bytesOf(payload, "pae: the payload");
  return joined([utf8.encode(`DSSEv1 ${type.length} `), type, utf8.encode(` ${body.length} `), body]);
}

/**
 * Signs a payload.
 * @throws ArgumentError for no payload, no type, what is no signer, or one whose own key does not
 * verify what it signs; FormatError for a public key that is not understood.
 */
export async function signEnvelope(payload: Uint8Array, payloadType: string, signer: Signer): Promise<Envelope> {
  if (typeof payloadType !== "string" || payloadType === "" || payloadType.length > LONGEST_TYPE)
    refuse("signEnvelope", "payloadType", `a text of 1 to ${LONGEST_TYPE} characters`, payloadType);
  const body = bytesOf(payload, "signEnvelope: the payload").slice();
  const sig = await signWith(signer, pae(payloadType, body), "signEnvelope");
  return { payloadType, payload: body, signatures: [{ keyid: await keyHint(signer.publicKey), sig }] };
}

/**
 * The payload of an envelope, once a signature of the key is found over it and its type.
 * @param key PEM or DER
 * @param payloadType the type that the caller understands
 * @throws FormatError for another type, and where no signature is the key's; UnavailableError where
 * this browser has no Ed25519.
 */
export async function verifyEnvelope(
  envelope: Envelope,
  key: string | Uint8Array,
  payloadType: string,
): Promise<Uint8Array> {
  if (envelope.payloadType !== payloadType || payloadType === "")
    throw new FormatError(
      `the envelope: a payload of type ${shown(payloadType)} expected, found ${shown(envelope.payloadType)}`,
    );
  const payload = envelope.payload.slice();
  const signed = pae(payloadType, payload);
  for (const { sig } of envelope.signatures.slice(0, MOST_SIGNATURES))
    if (await verifySignature(key, signed, sig)) return payload;
  throw new FormatError(
    "the envelope: a signature of the given key expected, found none: the payload was changed, or somebody else signed it",
  );
}

/** An envelope as the JSON value of the specification. */
export const envelopeToJson = ({ payloadType, payload, signatures }: Envelope) => ({
  payload: toBase64(payload),
  payloadType,
  signatures: signatures.map(({ keyid, sig }) => ({ keyid, sig: toBase64(sig) })),
});

/**
 * An envelope out of a JSON value that was parsed within bounds. No signature is verified.
 * @param others whether fields that the specification does not know are ignored, as it has it for
 * an envelope that stands alone, or refused, as the JSON of protocol buffers has it
 * @throws FormatError for anything else.
 */
export function envelopeFromJson(value: unknown, what: string, others: "ignored" | "refused" = "ignored"): Envelope {
  const known =
    others === "refused" ? { envelope: ["payload", "payloadType", "signatures"], signature: ["keyid", "sig"] } : null;
  const { payload, payloadType, signatures } = fieldsOf(value, what, known?.envelope);
  return {
    payloadType: textField(payloadType, `${what}: payloadType`, LONGEST_TYPE),
    payload: fromBase64(payload ?? "", `${what}: payload`),
    signatures: listField(signatures, `${what}: signatures`, MOST_SIGNATURES).map((signature) => {
      const { keyid, sig } = fieldsOf(signature, `${what}: a signature`, known?.signature);
      return { keyid: optionalText(keyid, `${what}: keyid`), sig: fromBase64(sig, `${what}: sig`) };
    }),
  };
}
