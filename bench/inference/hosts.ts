/** Where libraries run: pages of a browser, and processes. */
import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { UnavailableError } from "@pan/core";
import type { Browser } from "playwright-core";
import type { Call } from "./ort-node";
import type { Hooks, PageOptions } from "./page";

/** One library with one network. */
export interface Host {
  call<K extends keyof Hooks>(name: K, ...given: Parameters<Hooks[K]>): Promise<Awaited<ReturnType<Hooks[K]>>>;
  close(): Promise<void>;
}

/** A page of its own, from a server that lets nothing be cached. */
export async function openPage(browser: Browser, url: string, { library, threads }: PageOptions): Promise<Host> {
  const page = await (await browser.newContext()).newPage();
  await page.goto(`${url}?${new URLSearchParams({ library, threads: String(threads) })}`);
  await page.waitForFunction("globalThis.hooks !== undefined");
  return {
    // Arguments travel as JSON.
    call: (name, ...given) => page.evaluate(`hooks.${name}(...${JSON.stringify(given)})`),
    close: () => page.context().close(),
  };
}

/** A process of its own for ONNX Runtime on the processor. */
export async function openProcess(onnx: Uint8Array, threads: number): Promise<Host> {
  const folder = await mkdtemp(join(tmpdir(), "pan-inference-"));
  const file = join(folder, "network.onnx");
  await writeFile(file, onnx);
  // TypeScript's loader is among this process's own flags, which a fork inherits.
  const child = fork(join(import.meta.dirname, "ort-node.ts"), [file, String(threads)]);
  const fallen = new Promise<never>((_, reject) => {
    child.once("exit", (code) => reject(new UnavailableError(`ONNX Runtime's process ended with ${code}`)));
  });
  fallen.catch(() => {}); // Of one that is closed nobody waits for an answer.
  return {
    async call(name, ...given) {
      child.send({ name, given } satisfies Call);
      const [answer] = await Promise.race([once(child, "message"), fallen]);
      return answer;
    },
    async close() {
      child.kill();
      await rm(folder, { recursive: true });
    },
  };
}
