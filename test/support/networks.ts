/** The networks of the papers under their schemes, from configurations. */
import {
  type AlexNetSettings,
  type AnyNetwork,
  alexNetConfig,
  buildNetwork,
  type ConvNet,
  type PointNetSettings,
  pointNetConfig,
  type ResNetConfig,
  resNetConfig,
} from "../../src/models";
import type { NormedMap } from "../../src/models/block";
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

/** The ordinary chain in a network that is one, of whoever is given the network as anything. */
export const convNet = (model: unknown): ConvNet => (model as Network).network as ConvNet;

/** Its layer at an index: map and norm. */
export const blockAt = (model: unknown, i: number): NormedMap => convNet(model).features[i] as NormedMap;
