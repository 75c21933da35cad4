/** Builds the page and serves it on this machine alone: `npm run demo`. */
import { build, preview } from "vite";

const configFile = `${import.meta.dirname}/vite.config.ts`;
await build({ configFile, logLevel: "warn" });
const server = await preview({ configFile, logLevel: "warn", preview: { host: "127.0.0.1" } });
console.log(`The page is in out/web, and at ${server.resolvedUrls?.local[0]} until Ctrl-C.`);
