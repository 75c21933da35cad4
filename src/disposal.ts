/**
 * The key of what `using` calls at the end of a block: `Symbol.dispose`, and where a platform has
 * none yet, the one that compilers of `using` look for.
 */
export const disposal: typeof Symbol.dispose = Symbol.dispose ?? (Symbol.for("Symbol.dispose") as never);
