/** What publint and "are the types wrong" find in the tarball: both know what breaks in tools. */
import { readFileSync } from "node:fs";
import { checkPackage, createPackageFromTarballData } from "@arethetypeswrong/core";
import { publint } from "publint";
import { formatMessage } from "publint/utils";

/** @throws Error for everything that either of them reports, suggestions too. */
export async function checkResolution(tarball) {
  const bytes = readFileSync(tarball);
  const { messages, pkg } = await publint({ pack: { tarball: new Uint8Array(bytes).buffer }, strict: true });
  const found = messages.map((message) => `publint: ${formatMessage(message, pkg, { color: false })}`);
  const { problems } = await checkPackage(createPackageFromTarballData(bytes));
  for (const problem of problems) found.push(`are the types wrong: ${JSON.stringify(problem)}`);
  if (found.length > 0) throw new Error(found.join("\n"));
  console.log("resolution: publint and attw find nothing");
}
