/**
 * A library's process, seen from the parent: started when needed, killed when it hangs, started
 * again after it fell.
 */
import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { PanError } from "@pan/core";
import type { Answers, Hello, LibraryName, Reply, Request } from "./protocol";

const SCRIPTS: Readonly<Record<LibraryName, string>> = { ours: "./ours.ts", tfjs: "./tfjs.mjs", jax: "./jax.mjs" };
/** Characters of a process's last words that are kept, for when it dies. */
const LAST_WORDS = 4000;

/** A library cannot do what it was asked: it said so, died or did not answer. */
export class LibraryError extends PanError {
  override readonly name = "LibraryError";
}

interface Waiting {
  resolve(answer: Answers[Request["command"]]): void;
  reject(error: Error): void;
}

/** One library; at most one request at a time is under way in it. */
export class Worker {
  private child: ChildProcess | null = null;
  private readonly waiting = new Map<number, Waiting>();
  private nextId = 0;
  private lastWords = "";
  /** Rows the living process has ready. */
  private readonly prepared = new Set<string>();

  /**
   * @param timeoutSeconds how long one answer may take before the process counts as hanging.
   * @param greet gets the adapter of every process that is started; what it throws refuses the
   * process.
   */
  constructor(
    readonly name: LibraryName,
    private readonly timeoutSeconds: number,
    private readonly greet: (hello: Hello["hello"]) => void,
  ) {}

  /** Whether the row is ready in the process that lives now. */
  has(row: string): boolean {
    return this.prepared.has(row);
  }

  /**
   * Starts the process if there is none.
   * @throws LibraryError when it does not come up; whatever `greet` throws.
   */
  async start(): Promise<void> {
    if (this.child) return;
    this.lastWords = "";
    // TypeScript's loader is among this process's own flags, which a fork inherits.
    const child = fork(fileURLToPath(new URL(SCRIPTS[this.name], import.meta.url)), {
      serialization: "advanced",
      stdio: ["ignore", "pipe", "pipe", "ipc"],
    });
    this.child = child;
    const listen = (chunk: Buffer) => {
      this.lastWords = (this.lastWords + chunk.toString()).slice(-LAST_WORDS);
    };
    child.stdout!.on("data", listen);
    child.stderr!.on("data", listen);
    const hello = new Promise<Hello["hello"]>((resolve, reject) => {
      this.waiting.set(-1, { resolve: () => {}, reject });
      child.on("message", (message: Hello | Reply) => {
        if ("hello" in message) {
          this.waiting.delete(-1);
          resolve(message.hello);
        } else this.take(message);
      });
    });
    // "close" comes after the last of its words, unlike "exit".
    child.on("close", (code, signal) => this.fell(child, signal ?? `exit ${code}`));
    child.on("error", (error) => this.fell(child, error.message));
    const answer = await this.inTime(hello);
    try {
      this.greet(answer);
    } catch (error) {
      this.kill();
      throw error;
    }
  }

  /**
   * @throws LibraryError when the library refuses, dies (it is started again for the next request)
   * or does not answer in time.
   */
  async ask<R extends Request>(request: R): Promise<Answers[R["command"]]> {
    await this.start();
    const id = this.nextId++;
    const reply = new Promise<Answers[Request["command"]]>((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      this.child!.send({ ...request, id });
    });
    const answer = await this.inTime(reply);
    if (request.command === "prepare") this.prepared.add(request.row.name);
    if (request.command === "dispose") this.prepared.delete(request.name);
    return answer as Answers[R["command"]];
  }

  /** Ends the process at once, whatever it is doing. */
  kill(): void {
    const { child } = this;
    if (!child) return;
    this.fell(child, "it was stopped");
    child.kill("SIGKILL");
  }

  private async inTime<T>(answer: Promise<T>): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        reject(new LibraryError(`no answer in ${this.timeoutSeconds} s (--timeout allows more)`));
        this.kill();
      }, 1000 * this.timeoutSeconds);
    });
    try {
      return await Promise.race([answer, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  private take(reply: Reply): void {
    const waiting = this.waiting.get(reply.id);
    this.waiting.delete(reply.id);
    if ("error" in reply) waiting?.reject(new LibraryError(reply.error));
    else waiting?.resolve(reply.answer);
  }

  /** Forgets a process that is gone, and tells who waits for it. */
  private fell(child: ChildProcess, how: string): void {
    if (this.child !== child) return;
    this.child = null;
    this.prepared.clear();
    const words = errorLine(this.lastWords);
    const error = new LibraryError(`its process ended (${how})${words && `: ${words}`}`);
    for (const { reject } of this.waiting.values()) reject(error);
    this.waiting.clear();
  }
}

/** The line of a process's output that says most: an error's first, else the last. */
export function errorLine(output: string): string {
  const lines = output
    .split("\n")
    .map((line) => line.trim())
    .filter(Boolean);
  return lines.findLast((line) => /\b\w*Error\b/.test(line)) ?? lines.at(-1) ?? "";
}
