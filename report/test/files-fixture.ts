import type { RunFile } from "../src/index";

/** What a run with a claim leaves. */
export const madeUpFiles = (out: string): RunFile[] => [
  {
    path: `${out}/deployed.safetensors`,
    bytes: 1_412_332,
    about: "To hand out: the network as a plain one.",
    sha256: "9f".repeat(32),
    part: "deployed",
  },
  {
    path: `${out}/owner.credential.safetensors`,
    bytes: 348_120,
    about: "Passports and signature.",
    secret: true,
    part: "credential",
  },
  {
    path: `${out}/commitment.sigstore.json`,
    bytes: 2112,
    about: "To publish before the release.",
    sha256: "a0".repeat(32),
    part: "commitment",
  },
  { path: `${out}/binding.secret.json`, bytes: 204, about: "The secret behind the passports.", secret: true },
  { path: `${out}/owner.key.pem`, bytes: 241, about: "The key that signs for it.", secret: true },
];
