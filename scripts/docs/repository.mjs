/** Where the repository is published: the builder's word for it, or what package.json says. */
import { readFileSync } from "node:fs";

const { GITHUB_SERVER_URL = "https://github.com", GITHUB_REPOSITORY } = process.env;
const { repository } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
const named = (typeof repository === "string" ? repository : repository?.url)?.replace(/^git\+|\.git$/g, "");

/**
 * Address of the repository; undefined where nobody says it, and then the site links to no source.
 */
export const REPOSITORY = GITHUB_REPOSITORY ? `${GITHUB_SERVER_URL}/${GITHUB_REPOSITORY}` : named;

/** Address of one of its files or folders. */
export const sourceAddress = (path) => (REPOSITORY ? `${REPOSITORY}/blob/main/${path}` : undefined);
