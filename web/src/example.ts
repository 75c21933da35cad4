/**
 * The example: real files, a network of examples/pretrained and what `web/example/make.ts` made of
 * it. They lie in scripts of their own, which are loaded when somebody asks for them.
 */

/** When the example's suspect was published, as its story has it. */
export const PUBLISHED = "2026-06-01";

const file = (name: string, { default: bytes }: { default: Uint8Array<ArrayBuffer> }) => new File([bytes], name);

/** What a verifier is given. */
export async function verifyExample() {
  return {
    suspect: file("suspect.safetensors", await import("../example/suspect.safetensors?bytes")),
    ...(await ownersExample()),
    roots: [file("root.pem", await import("../../examples/pretrained/resnet9-pan/root.pem?bytes"))],
  };
}

async function ownersExample() {
  return {
    credential: file(
      "owner.credential.safetensors",
      await import("../../examples/pretrained/resnet9-pan/owner.credential.safetensors?bytes"),
    ),
    released: file(
      "deployed.safetensors",
      await import("../../examples/pretrained/resnet9-pan/deployed.safetensors?bytes"),
    ),
    commitment: file(
      "commitment.sigstore.json",
      await import("../../examples/pretrained/resnet9-pan/commitment.sigstore.json?bytes"),
    ),
  };
}

/** What a judge is given. */
export async function judgeExample() {
  const { suspect, roots, ...a } = await verifyExample();
  const b = {
    credential: file("rival.credential.safetensors", await import("../example/rival.credential.safetensors?bytes")),
    released: file("rival.released.safetensors", await import("../example/rival.released.safetensors?bytes")),
    commitment: file("rival.commitment.sigstore.json", await import("../example/rival.commitment.sigstore.json?bytes")),
  };
  return { a, b, suspect, roots: [...roots, file("rival.root.pem", await import("../example/rival.root.pem?bytes"))] };
}

/** What has to be said beside the example. */
export const GIVEN_AWAY =
  "An example: its credential was opened for everybody, as no owner would do. Passports and secret are in it.";
