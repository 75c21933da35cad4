/**
 * The files that a run left: what each is for, what stays with its owner, and how to check them.
 */

import type { RecordChecks } from "./checks";
import { formatBytes } from "./format";
import { type Html, html } from "./html";
import { fileName, panel, program, table } from "./page";

/** What somebody who verifies needs of a file; every other file has no part. */
export const FILE_PARTS = ["deployed", "credential", "commitment"] as const;

/** A file that a run left. Says where a secret is, never what is in it. */
export interface RunFile {
  path: string;
  bytes: number;
  about: string;
  /** Whether it stays with its owner. */
  secret?: boolean;
  /** Of what is published: hexadecimal, as `sha256sum` prints it. */
  sha256?: string;
  part?: (typeof FILE_PARTS)[number];
}

/** Checks the files of a record. @throws ArgumentError naming the entry. */
export function checkFiles({ fail, list, object, text, whole, choice }: RecordChecks, files: readonly RunFile[]): void {
  list("files", files);
  for (const [i, file] of files.entries()) {
    const at = `files[${i}]`;
    object(at, file);
    text(`${at}.path`, file.path);
    whole(`${at}.bytes`, file.bytes, 0);
    text(`${at}.about`, file.about, "may be empty");
    if (file.secret !== undefined && typeof file.secret !== "boolean")
      fail(`${at}.secret`, "true or false", file.secret);
    if (file.sha256 !== undefined) text(`${at}.sha256`, file.sha256);
    if (file.part !== undefined) choice(`${at}.part`, file.part, FILE_PARTS);
  }
}

/** Files with what each is for. */
export function filesTable(files: readonly RunFile[]): Html {
  const about = ({ about, secret, sha256 }: RunFile) =>
    html`<span class="about">${
      secret && html`<strong>Keep secret.</strong> `
    }${about}${sha256 && html`<br>SHA-256 <code>${sha256}</code>`}</span>`;
  return panel(
    table(
      "Written by this run",
      [{ head: "File" }, { head: "Size", kind: "number" }],
      files.map((f) => [html`${fileName(f.path)}${about(f)}`, formatBytes(f.bytes)]),
    ),
  );
}

/** An argument of a shell's command, quoted where it has to be. */
const argument = (text: string): string => (/^[\w./:+-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`);

/**
 * The command with which a third party has the claim checked from the files; undefined where the
 * run left no claim. Roots are the verifier's own choice.
 */
export function verifyCommand(files: readonly RunFile[], published: string | null): string | undefined {
  const path = (part: RunFile["part"]) => files.find((f) => f.part === part)?.path;
  const [deployed, credential, commitment] = FILE_PARTS.map(path);
  if (deployed === undefined || credential === undefined) return undefined;
  const committed =
    commitment === undefined ? [] : [`--commitment ${argument(commitment)}`, `--released ${argument(deployed)}`];
  const dates = commitment === undefined ? [] : [`--root root.pem --published ${published?.slice(0, 10) ?? "DATE"}`];
  const first = `npx @pan/core verify ${argument(deployed)} ${argument(credential)}`;
  return [first, ...committed, ...dates].join(" \\\n  ");
}

/** How whoever doubts the claim checks it, and what they need for it. */
export function checkIt(files: readonly RunFile[], published: string | null): Html | undefined {
  const command = verifyCommand(files, published);
  if (command === undefined) return undefined;
  const roots = files.some(({ part }) => part === "commitment");
  return panel(
    html`<h3>Check the claim</h3>${program(command)}
      <p class="note">Needs the files above, opened to whoever checks, and no graphics card; the training is not done again.${
        roots &&
        html` <code>root.pem</code> is the certificate of a time-stamping authority that the verifier trusts, <code>--published</code>
          when the network that is accused was there. To check another network, name its file in the place of the first.`
      }</p>`,
    true,
  );
}
