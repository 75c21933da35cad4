/** The parts of `npm run torture`, in the order they run. */
import type { Part } from "./part";

type Load = () => Promise<{ default: Part }>;

export const PARTS = {
  kills: () => import("./kills"),
  fuzz: () => import("./fuzz"),
  bitflips: () => import("./bitflips"),
  hostile: () => import("./hostile"),
  mutants: () => import("./mutants"),
  allocations: () => import("./allocations"),
  devices: () => import("./devices"),
  races: () => import("./races"),
  history: () => import("./history"),
  soak: () => import("./soak"),
} satisfies Record<string, Load>;

export type PartName = keyof typeof PARTS;
