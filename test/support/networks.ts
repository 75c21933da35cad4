/** The networks of the papers under their schemes, from configurations. */
import {
  type AlexNetSettings,
  type AnyNetwork,
  alexNetConfig,
  buildNetwork,
  type PointNetSettings,
  pointNetConfig,
  type ResNetConfig,
  resNetConfig,
} from "../../src/models";
import type { Protected } from "../../src/passport";

/** A network of this package under a scheme. */
export type Network = Protected<AnyNetwork>;

type Seeded<T> = T & { seed?: number };
type ResNetSettings = Partial<Omit<ResNetConfig, "arch" | "blocks">>;

export const alexNet = ({ seed = 0, ...settings }: Seeded<AlexNetSettings> = {}): Network =>
  buildNetwork(alexNetConfig(settings), { seed });

export const resNet18 = ({ seed = 0, ...settings }: Seeded<ResNetSettings> = {}): Network =>
  buildNetwork(resNetConfig([2, 2, 2, 2], settings), { seed });

export const resNet9 = ({ seed = 0, ...settings }: Seeded<ResNetSettings> = {}): Network =>
  buildNetwork(resNetConfig([1, 1, 1, 1], settings), { seed });

export const pointNet = ({ seed = 0, ...settings }: Seeded<PointNetSettings> = {}): Network =>
  buildNetwork(pointNetConfig(settings), { seed });
