/**
 * The text files of ModelNet40 as resampled to 10,000 points a shape: lists of names, and a file a
 * shape with a line `x,y,z,nx,ny,nz` a point. Pure readers; `loadModelNet40` of `@pan/core/node`
 * reads the files.
 *
 * Source: Wu et al., "3D ShapeNets", CVPR 2015; Qi et al., "PointNet++", NeurIPS 2017 (the
 * resampled form)
 */

import { texts, whole } from "../demand";
import { LineReader, parseNumbers } from "../io/lines";
import { DIMENSIONS } from "./dimensions";

/** Coordinates of a point and of its normal. */
const COLUMNS = 6;
/** Points of a shape that PointNet is given. */
export const MODELNET_POINTS = 1024;

const words = (list: string): readonly string[] => list.trim().split(/\s+/);

/** The classes of ModelNet10, in the order of their labels. */
export const MODELNET10_CLASSES: readonly string[] = /* @__PURE__ */ words(
  "bathtub bed chair desk dresser monitor night_stand sofa table toilet",
);

/**
 * The classes of ModelNet40, in the order of their labels; those of ModelNet10 are among them,
 * under other labels.
 */
export const MODELNET40_CLASSES: readonly string[] = /* @__PURE__ */ words(`
  airplane bathtub bed bench bookshelf bottle bowl car chair cone cup curtain desk door dresser flower_pot glass_box guitar keyboard
  lamp laptop mantel monitor night_stand person piano plant radio range_hood sink sofa stairs stool table tent toilet tv_stand vase
  wardrobe xbox`);

/** One shape of a list: `airplane_0001` is of class airplane. */
export interface ModelNetShape {
  name: string;
  /** Index of its class. */
  label: number;
}

/**
 * Reads a list of names, one per line, such as `modelnet40_shape_names.txt`. Empty lines are passed
 * over.
 *
 * @param source what to call the text in error messages, such as the file's name
 * @throws FormatError naming the line of a name that is there twice or is no name, or if there is
 *   none
 * @throws ArgumentError if `text` or `source` is no text
 */
export function parseModelNetNames(text: string, source = "list of names"): string[] {
  return [...names(new LineReader(text, source))];
}

/**
 * Reads a list of shapes, one per line, such as `modelnet40_train.txt`: a class, `_` and a number.
 *
 * @param classes names of the classes, in the order of their labels
 * @param source what to call the text in error messages, such as the file's name
 * @throws FormatError naming the line, as {@link parseModelNetNames}, or if a shape's class is not
 *   among `classes`
 * @throws ArgumentError if `classes` is not an array of names, `text` or `source` no text
 */
export function parseModelNetShapes(
  text: string,
  classes: readonly string[],
  source = "list of shapes",
): ModelNetShape[] {
  texts("parseModelNetShapes", "classes", classes);
  const lines = new LineReader(text, source);
  const labels = new Map(classes.map((name, label) => [name, label]));
  const shapes: ModelNetShape[] = [];
  for (const name of names(lines)) {
    const label = labels.get(name.replace(/_\d+$/, ""));
    if (label === undefined) {
      throw lines.error(`expected a name made of one of the ${classes.length} classes, _ and a number`, name);
    }
    shapes.push({ name, label });
  }
  return shapes;
}

/** The names in a list, each when its line has just been read. */
function* names(lines: LineReader): Generator<string, void, void> {
  const seen = new Set<string>();
  for (let line = lines.next(); line !== undefined; line = lines.next()) {
    const name = line.trim();
    if (name === "") continue;
    // Names become parts of paths: one with a separator could lead out of the folder.
    if (!/^[\w-]+$/.test(name)) throw lines.error("expected a name of letters, digits, _ and -", line);
    if (seen.has(name)) throw lines.error("expected each name once", line);
    seen.add(name);
    yield name;
  }
  if (seen.size === 0) throw lines.missing("at least one name");
}

/**
 * Reads the first `points` points of a shape's file; what follows them is not looked at.
 *
 * @param source what to call the text in error messages, such as the file's name
 * @returns points × 3 coordinates; the normals are left out
 * @throws ArgumentError if `points` is not a whole number from 1, `text` or `source` no text
 * @throws FormatError naming the line that is not six numbers, or is missing
 */
export function parseModelNetPoints(text: string, points = MODELNET_POINTS, source = "point cloud"): Float32Array {
  whole("parseModelNetPoints", "points", points);
  const lines = new LineReader(text, source);
  const cloud: number[] = [];
  for (let p = 0; p < points; p++) {
    const line = lines.next();
    if (line === undefined) throw lines.missing(`point ${p + 1} of ${points}`);
    const numbers = parseNumbers(line, ",", COLUMNS);
    if (!numbers) throw lines.error("expected six numbers x,y,z,nx,ny,nz", line);
    for (let d = 0; d < DIMENSIONS; d++) cloud.push(numbers[d]!);
  }
  return Float32Array.from(cloud);
}
