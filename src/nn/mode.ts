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
  return withMode(following(module), training, body);
}

/**
 * The modules whose mode is that of the whole. A child without a name of its own is the network
 * that its parent is only put around, and may have been in `eval()` before: it is a whole as well.
 */
function following(root: Module): Module[] {
  const whole: boolean[] = [];
  const found: Module[] = [];
  root.visit({
    module: (module, { path }) => {
      const mode = path === "" ? module.training : whole.at(-1)!;
      whole.push(mode);
      if (module.training === mode) found.push(module);
    },
    leave: () => void whole.pop(),
  });
  return found;
}
