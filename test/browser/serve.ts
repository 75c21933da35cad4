import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "tsup";
import { ModuleKind, ScriptTarget, transpileModule } from "typescript";
import packaging from "../../tsup.config";

const TYPES: Record<string, string> = { ".js": "text/javascript", ".html": "text/html" };

/**
 * The ESM half of the package, built from the sources as they are with the package's own settings;
 * type declarations are left out.
 */
export async function buildBundle(): Promise<{ folder: string; remove: () => Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), "pan-bundle-"));
  await build({ ...packaging, config: false, format: ["esm"], dts: false, outDir: folder, silent: true });
  return { folder, remove: () => rm(folder, { recursive: true, force: true }) };
}

/**
 * A page that trains, on a local address (which browsers trust with WebGPU as they do https), and
 * what was asked of it.
 */
export interface Site {
  url: string;
  /** Path and body of every file served, and of what was asked for and is not there with a null. */
  served: Map<string, string | null>;
  close(): Promise<void>;
}

/** Serves page.html, train-steps.ts as JavaScript, and the files of the bundle. */
export async function serve(folder: string): Promise<Site> {
  const here = (name: string) => readFile(fileURLToPath(new URL(name, import.meta.url)), "utf8");
  const own = new Map([
    ["/", await here("page.html")],
    ["/train-steps.js", asJavaScript(await here("train-steps.ts"))],
  ]);
  const served: Site["served"] = new Map();
  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url ?? "/", "http://localhost");
    const body = own.get(pathname) ?? (await readFile(join(folder, pathname), "utf8").catch(() => null));
    served.set(pathname, body);
    response.writeHead(body === null ? 404 : 200, {
      "content-type": TYPES[extname(pathname) || ".html"] ?? "text/plain",
    });
    response.end(body ?? "");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    served,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

const asJavaScript = (source: string): string =>
  transpileModule(source, { compilerOptions: { module: ModuleKind.ESNext, target: ScriptTarget.ES2022 } }).outputText;
