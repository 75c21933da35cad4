declare module "wgsl-preprocessor/wgsl-preprocessor.js" {
  /** Template tag: joins the template, resolving `#if ${c} … #elif ${c} … #else … #endif`. */
  export function wgsl(strings: TemplateStringsArray, ...values: unknown[]): string;
}
