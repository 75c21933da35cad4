import { type Product, type Tile, tileFor } from "../../../../shaders/products/registers.wgsl";
import type { ProductCaps } from "../../../gpu/kernel";

/**
 * The register tile of a product; without subgroups unless the device uses that form, and k has
 * values for all of their lanes.
 */
export function planTile(
  caps: ProductCaps,
  product: Product,
  rows: number,
  columns: number,
  depth = Number.POSITIVE_INFINITY,
): Tile {
  const shared = caps.tiling === "subgroup" && depth >= caps.subgroupSize;
  return tileFor(shared ? caps : { ...caps, subgroupSize: 0 }, product, rows, columns);
}
