/** The benches by name: importing one runs it. */
export const BENCHES: Readonly<Record<string, () => Promise<unknown>>> = {
  kernels: () => import("./kernels"),
  passport: () => import("./passport"),
  step: () => import("./step"),
  schemes: () => import("./schemes"),
  peers: () => import("./peers/index"),
  scale: () => import("./scale"),
  strangers: () => import("./strangers/index"),
  host: () => import("./host/index"),
  offline: () => import("./offline/index"),
  forgery: () => import("./forgery"),
  triggers: () => import("./triggers/index"),
  removal: () => import("./removal"),
  inference: () => import("./inference/index"),
};
