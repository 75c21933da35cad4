/** Serves the pages of the bench on a local address: the bundle, ONNX Runtime, one network. */
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import { dirname, extname, join } from "node:path";
import { ModuleKind, ScriptTarget, transpileModule } from "typescript";

/** The network that pages get, as both formats have it. */
export interface Served {
  safetensors: Uint8Array;
  onnx: Uint8Array;
}

const TYPES: Readonly<Record<string, string>> = {
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".wasm": "application/wasm",
  ".html": "text/html",
};

/** Threads of WebAssembly need a page that is isolated from others. */
const ISOLATED = {
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-embedder-policy": "require-corp",
  // Every page begins with nothing.
  "cache-control": "no-store",
};

/** Networks of one's own import the package by its names. */
const IMPORTS = JSON.stringify({ imports: { "@pan/core": "/pan/index.js", "@pan/core/nn": "/pan/nn.js" } });
const PAGE = `<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><script type="importmap">${IMPORTS}</script><script type="module" src="/page.js"></script>`;

/** A file, by its path from this one, as JavaScript. */
async function scriptOf(name: string): Promise<string> {
  const source = await readFile(join(import.meta.dirname, name), "utf8");
  const compilerOptions = { module: ModuleKind.ESNext, target: ScriptTarget.ES2022 };
  return transpileModule(source, { compilerOptions }).outputText;
}

/**
 * @param bundle folder of the built package
 * @param network what `/network.safetensors` and `/network.onnx` are now
 */
export async function serve(bundle: string, network: () => Served): Promise<{ url: string; close(): void }> {
  const runtime = dirname(createRequire(import.meta.url).resolve("onnxruntime-web"));
  const peers = join(import.meta.dirname, "..", "peers", "node_modules", "@tensorflow");
  const scripts = {
    "/page.js": await scriptOf("page.ts"),
    "/tfjs.js": await scriptOf("tfjs.ts"),
    "/mobilenet.js": await scriptOf("../mobilenet.ts"),
    "/vit.js": await scriptOf("../../examples/vit/network.ts"),
    "/peers/tfjs-networks.mjs": await scriptOf("../peers/tfjs-networks.mjs"),
    "/peers/transformer": await scriptOf("../peers/transformer.ts"),
  } as Record<string, string>;
  const bodyOf = async (path: string): Promise<string | Uint8Array | null> => {
    if (path === "/") return PAGE;
    if (scripts[path]) return scripts[path];
    if (path === "/network.safetensors") return network().safetensors;
    if (path === "/network.onnx") return network().onnx;
    const [, folder, name = ""] = /^\/(pan|ort|tfjs)\/([\w.-]+)$/.exec(path) ?? [];
    if (folder === "pan") return readFile(join(bundle, name)).catch(() => null);
    if (folder === "ort") return readFile(join(runtime, name)).catch(() => null);
    const part = name.startsWith("tf-backend") ? "tfjs-backend-webgpu" : "tfjs";
    return folder ? readFile(join(peers, part, "dist", name)).catch(() => null) : null;
  };
  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url ?? "/", "http://localhost");
    const body = await bodyOf(pathname);
    const type = scripts[pathname] ? TYPES[".js"] : (TYPES[extname(pathname) || ".html"] ?? "application/octet-stream");
    response.writeHead(body === null ? 404 : 200, { "content-type": type, ...ISOLATED });
    response.end(body ?? "");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}
