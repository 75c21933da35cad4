import { verify } from "../../src/ownership";

/** What the papers check, for credentials without a binding. */
export const verifyUnbound: typeof verify = (suspect, owner, options = {}) =>
  verify(suspect, owner, { requireBinding: false, ...options });
