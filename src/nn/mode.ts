import type { Module } from "./module";

/** Runs `body` with the flags of some modules set to `training`, and puts them back. */
export function withMode<T>(modules: Iterable<Module>, training: boolean, body: () => T): T {
  const changed = [...new Set(modules)].filter((m) => m.training !== training);
  for (const m of changed) m.training = training;
  try {
    return body();
  } finally {
    for (const m of changed) m.training = !training;
  }
}

/**
 * Runs one pass of a module in training or in evaluation mode. Modules below whose flag differs
 * from the module's own were set apart by their user, such as a frozen norm in `eval()`, and keep
 * it; all others follow the pass.
 *
 * `body` is synchronous, and all flags are what they were when it ends: whatever awaits between two
 * passes, no pass sees the mode of another.
 */
export function inMode<T>(module: Module, training: boolean, body: () => T): T {
  if (module.training === training) return body();
  const following = module.namedModules().filter(([, m]) => m.training === module.training);
  return withMode(
    following.map(([, m]) => m),
    training,
    body,
  );
}
