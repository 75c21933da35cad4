/**
 * Reader of triangle meshes in the OFF format (Object File Format) as text: a head, a line of
 * counts, then one line for each vertex and one for each face. Comments (`#` to the end of the
 * line) and empty lines may stand anywhere.
 *
 * The head is `OFF`, with letters before it for what a vertex has beside its coordinates: `N` a
 * normal, `C` a colour, `ST` texture coordinates, `4` a fourth, homogeneous coordinate, `n` as many
 * coordinates as the next number says.
 *
 * Sources: https://shape.cs.princeton.edu/benchmark/documentation/off_format.html;
 * http://www.geomview.org/docs/html/OFF.html
 */
import { LineReader, parseNumber, Words } from "./lines";

/** A surface of triangles. */
export interface Mesh {
  /** v × 3 coordinates. */
  readonly vertices: Float64Array;
  /** t × 3 indices of vertices. */
  readonly triangles: Uint32Array;
}

/**
 * Reads a mesh. Faces of more than three vertices become fans of triangles around their first;
 * faces of one or two vertices have no area and are left out; what follows a face's vertices (a
 * colour) is passed over, and so are normals, colours and texture coordinates of vertices.
 * Homogeneous coordinates (x, y, z, w) become (x, y, z) / w. Read is also the broken header of many
 * ModelNet40 files, in which the counts follow `OFF` on the same line, with or without a space.
 *
 * @param text the whole file
 * @param source what to call the text in error messages, such as the file's name
 * @throws ArgumentError if `text` or `source` is no text
 * @throws FormatError naming the line that is not what it should be, for a binary file and one of
 *   other than three dimensions
 */
export function parseOff(text: string, source = "OFF data"): Mesh {
  const lines = new LineReader(text, source);
  const { vertices: vertexCount, faces: faceCount, vertex } = readHead(lines, text.length);
  const vertices = new Float64Array(vertexCount * 3);
  for (let v = 0; v < vertexCount; v++) {
    const line = demandLine(lines, `vertex ${v} of ${vertexCount}`);
    const coordinates = readVertex(new Words(line), vertex);
    if (!coordinates) throw lines.error(`expected ${vertex.described} of vertex ${v}`, line);
    vertices.set(coordinates, v * 3);
  }
  const triangles: number[] = [];
  for (let f = 0; f < faceCount; f++) {
    const line = demandLine(lines, `face ${f} of ${faceCount}`);
    if (!readFace(new Words(line), vertexCount, triangles)) {
      const expected = `expected face ${f} as its number of vertices and their indices, 0 to ${vertexCount - 1}`;
      throw lines.error(expected, line);
    }
  }
  const more = lines.nextSaid();
  if (more !== undefined) throw lines.error(`expected the end of the file after ${faceCount} faces`, more);
  return { vertices, triangles: Uint32Array.from(triangles) };
}

/** What the line of a vertex has. */
interface VertexForm {
  homogeneous: boolean;
  /** Numbers behind the coordinates: a colour is of three or of four. */
  fewest: number;
  most: number;
  /** In words, for messages. */
  described: string;
}

/** Shortest lines of a vertex and of a face, `0 0 0` and `1 0`, each with its end. */
const [VERTEX_LENGTH, FACE_LENGTH] = [6, 4];

/**
 * The head and the counts of vertices and faces. The third count, of edges, is customarily 0 and
 * may be left out.
 */
function readHead(lines: LineReader, length: number): { vertices: number; faces: number; vertex: VertexForm } {
  const first = demandLine(lines, "OFF");
  const head = /^((?:ST|C|N){0,3})(4?)(n?)OFF(?=$|[\s\d])/.exec(first);
  if (!head) throw lines.error("expected the file to begin with OFF", first);
  const [word, prefixes = "", four, n] = head;
  if (/(ST|C|N).*\1/.test(prefixes)) throw lines.error("expected each letter before OFF once", first);
  let rest = first.slice(word.length).trim();
  if (/^BINARY\b/.test(rest)) throw lines.error("expected text, but the file is binary OFF; save it as text", first);
  if (n) {
    rest ||= demandLine(lines, "the number of dimensions");
    const dimensions = new Words(rest).next()!;
    if (four || dimensions !== "3") {
      const found = four ? "homogeneous coordinates in any number of" : dimensions.slice(0, 20);
      throw lines.error(`expected a surface in 3 dimensions, but the head says ${found} dimensions; project it`, first);
    }
    rest = rest.slice(dimensions.length).trim();
  }
  const counts = rest || demandLine(lines, "counts of vertices, faces and edges");
  const found = /^(\d+)\s+(\d+)(?:\s+\d+)?$/.exec(counts);
  const [vertices, faces] = [Number(found?.[1]), Number(found?.[2])];
  // Counts beyond what the text has room for are damaged, and must not decide how much memory is
  // asked for.
  if (!(vertices * VERTEX_LENGTH + faces * FACE_LENGTH <= length)) {
    throw lines.error("expected counts of the vertices, faces and edges that follow", counts);
  }
  return { vertices, faces, vertex: vertexForm(prefixes, four !== "") };
}

function vertexForm(prefixes: string, homogeneous: boolean): VertexForm {
  const count = (prefix: string) => prefixes.split(prefix).length - 1;
  const [normals, textures, colours] = [count("N"), count("ST"), count("C")];
  const parts = [`the ${homogeneous ? "four" : "three"} coordinates`];
  if (normals) parts.push("normal");
  if (colours) parts.push("colour");
  if (textures) parts.push("texture coordinates");
  const fewest = 3 * normals + 3 * colours + 2 * textures;
  return { homogeneous, fewest, most: fewest + colours, described: parts.join(", ") };
}

/** The next line that says something. */
function demandLine(lines: LineReader, expected: string): string {
  const line = lines.nextSaid();
  if (line === undefined) throw lines.missing(expected);
  return line;
}

/** A vertex's coordinates; undefined if the line is not what it should be. */
function readVertex(words: Words, { homogeneous, fewest, most }: VertexForm): number[] | undefined {
  const coordinates = words.numbers(homogeneous ? 4 : 3);
  const others = words.skip(most);
  if (!coordinates || others < fewest || others > most) return undefined;
  if (!homogeneous) return coordinates;
  const [x, y, z, w] = coordinates as [number, number, number, number];
  const point = [x / w, y / w, z / w];
  // A point at infinity, w = 0, is none of a mesh.
  return point.every((value) => Number.isFinite(Math.fround(value))) ? point : undefined;
}

/** Adds a face's triangles; false if it is not what it should be. */
function readFace(words: Words, vertexCount: number, triangles: number[]): boolean {
  const corners = parseNumber(words.next()!);
  if (corners === undefined || !Number.isInteger(corners) || corners < 1) return false;
  let [first, previous] = [0, 0];
  for (let i = 0; i < corners; i++) {
    const corner = parseNumber(words.next() ?? "");
    if (corner === undefined || !Number.isInteger(corner) || corner < 0 || corner >= vertexCount) return false;
    if (i === 0) first = corner;
    if (i >= 2) triangles.push(first, previous, corner);
    previous = corner;
  }
  return true;
}
