/** The package's version, put in when the package is built. */
declare const PAN_VERSION: string | undefined;

export const version: string = typeof PAN_VERSION === "string" ? PAN_VERSION : "0.0.0-source";
