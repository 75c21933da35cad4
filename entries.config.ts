import { fileURLToPath } from "node:url";

const entry = fileURLToPath(new URL("src/entry/", import.meta.url));

/** How programs beside the package import it by its name, from the sources as they are. */
export const ENTRY_ALIAS = [
  { find: /^@pan\/core$/, replacement: `${entry}index.ts` },
  { find: /^@pan\/core\/(\w+)$/, replacement: `${entry}$1.ts` },
];
