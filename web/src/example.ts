/**
 * The example: small real files, made by `web/example/make.ts`. They lie in a script of their own,
 * which is loaded when somebody asks for it.
 */

/** When the example's suspect was published, as its story has it. */
export const PUBLISHED = "2026-06-01";

const file = (name: string, { default: bytes }: { default: Uint8Array<ArrayBuffer> }) => new File([bytes], name);

/** What a verifier is given. */
export async function verifyExample() {
  return {
    suspect: file("suspect.safetensors", await import("../example/suspect.safetensors?bytes")),
    ...(await ownersExample()),
    root: file("root.pem", await import("../example/root.pem?bytes")),
  };
}

async function ownersExample() {
  return {
    credential: file("owner.credential.safetensors", await import("../example/owner.credential.safetensors?bytes")),
    released: file("released.safetensors", await import("../example/released.safetensors?bytes")),
    commitment: file("commitment.sigstore.json", await import("../example/commitment.sigstore.json?bytes")),
  };
}

/** What a judge is given. */
export async function judgeExample() {
  const { suspect, root, ...a } = await verifyExample();
  const b = {
    credential: file("rival.credential.safetensors", await import("../example/rival.credential.safetensors?bytes")),
    released: file("rival.released.safetensors", await import("../example/rival.released.safetensors?bytes")),
    commitment: file("rival.commitment.sigstore.json", await import("../example/rival.commitment.sigstore.json?bytes")),
  };
  return { a, b, suspect, root };
}

/** What has to be said beside the example. */
export const GIVEN_AWAY =
  "An example: its credential was opened for everybody, as no owner would do. Passports and secret are in it.";
