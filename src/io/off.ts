/**
 * Reader of triangle meshes in the OFF format (Object File Format), as ModelNet has them: text with a line `OFF`, a line of counts, then
 * a line a vertex and a line a face. Comments (`#` to the end of the line) and empty lines may stand anywhere.
 *
 * Source: https://shape.cs.princeton.edu/benchmark/documentation/off_format.html
 */
import { LineReader, parseNumbers } from "./lines";

/** A surface of triangles. */
export interface Mesh {
  /** v × 3 coordinates. */
  readonly vertices: Float64Array;
  /** t × 3 indices of vertices. */
  readonly triangles: Uint32Array;
}

/**
 * Reads a mesh. Faces of more than three vertices become fans of triangles around their first; faces of one or two vertices have no area
 * and are left out; what follows a face's vertices (a colour) is passed over. Read is also the broken header of many ModelNet40 files, in
 * which the counts follow `OFF` on the same line, with or without a space.
 *
 * @param text the whole file
 * @param source what to call the text in error messages, such as the file's name
 * @throws FormatError naming the line that is not what it should be
 */
export function parseOff(text: string, source = "OFF data"): Mesh {
  const lines = new LineReader(text, source);
  const [vertexCount, faceCount] = readCounts(lines, text.length);
  const vertices = new Float64Array(vertexCount * 3);
  for (let v = 0; v < vertexCount; v++) {
    const line = demandLine(lines, `vertex ${v} of ${vertexCount}`);
    const vertex = parseNumbers(line, /\s+/, 3);
    if (!vertex) throw lines.error(`expected the three coordinates of vertex ${v}`, line);
    vertices.set(vertex, v * 3);
  }
  const triangles: number[] = [];
  for (let f = 0; f < faceCount; f++) {
    const line = demandLine(lines, `face ${f} of ${faceCount}`);
    const face = readFace(line, vertexCount);
    if (!face) {
      const expected = `expected face ${f} as its number of vertices and their indices, 0 to ${vertexCount - 1}`;
      throw lines.error(expected, line);
    }
    for (let i = 2; i < face.length; i++) triangles.push(face[0]!, face[i - 1]!, face[i]!);
  }
  return { vertices, triangles: Uint32Array.from(triangles) };
}

/** Counts of vertices and faces. The third count, of edges, is customarily 0 and may be left out. */
function readCounts(lines: LineReader, most: number): [vertices: number, faces: number] {
  const first = demandLine(lines, "OFF");
  if (!/^OFF(?=$|[\s\d])/.test(first)) throw lines.error("expected the file to begin with OFF", first);
  const counts = first.slice(3).trim() || demandLine(lines, "counts of vertices, faces and edges");
  const found = /^(\d+)\s+(\d+)(?:\s+\d+)?$/.exec(counts);
  const [vertices, faces] = [Number(found?.[1]), Number(found?.[2])];
  // Every vertex and face takes a line: counts beyond that are damaged, and must not decide how much memory is asked for.
  if (!(vertices + faces <= most)) {
    throw lines.error("expected counts of the vertices, faces and edges that follow", counts);
  }
  return [vertices, faces];
}

/** The next line that says something, without comment and surrounding space. */
function demandLine(lines: LineReader, expected: string): string {
  for (let line = lines.next(); line !== undefined; line = lines.next()) {
    const said = line.replace(/#.*/, "").trim();
    if (said !== "") return said;
  }
  throw lines.missing(expected);
}

/** Indices of a face's vertices; undefined if they are not what they should be. */
function readFace(line: string, vertexCount: number): number[] | undefined {
  const numbers = line.split(/\s+/).map(Number);
  const corners = numbers[0]!;
  const face = numbers.slice(1, 1 + corners);
  const isIndex = (i: number) => Number.isInteger(i) && i >= 0 && i < vertexCount;
  return Number.isInteger(corners) && corners >= 1 && face.length === corners && face.every(isIndex) ? face : undefined;
}
