/**
 * What the page may load: its own files, and nothing may leave it. Workers are blobs on purpose:
 * those have the policy of the page that makes them, whatever serves it, where a worker of a file
 * has the one of that file's headers.
 */
export const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data: blob:",
  "worker-src blob:",
  "connect-src 'none'",
  "base-uri 'none'",
  "form-action 'none'",
].join("; ");

/** Headers for whoever can send some; pages in frames are refused by a header alone. */
export const HEADERS: Readonly<Record<string, string>> = {
  "content-security-policy": `${POLICY}; frame-ancestors 'none'`,
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  "cross-origin-opener-policy": "same-origin",
};
