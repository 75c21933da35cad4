import { type Product, type Tile, tileFor } from "../../../../shaders/products/registers.wgsl";
import type { ProductCaps } from "../../../gpu/kernel";

/** The register tile of a product; without subgroups unless the device uses that form. */
export const planTile = (caps: ProductCaps, product: Product, rows: number, columns: number): Tile =>
  tileFor(caps.tiling === "subgroup" ? caps : { ...caps, subgroupSize: 0 }, product, rows, columns);
