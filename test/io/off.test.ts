import { describe, expect, it } from "vitest";
import { FormatError } from "../../src/errors";
import { parseOff } from "../../src/io/off";

const BODY = "0 0 0\n1 0 0\n1 1e0 0\n-0.5 1 .25\n3 0 1 2\n3 0 2 3\n";
const MESH = {
  vertices: Float64Array.of(0, 0, 0, 1, 0, 0, 1, 1, 0, -0.5, 1, 0.25),
  triangles: Uint32Array.of(0, 1, 2, 0, 2, 3),
};

/** The mesh with more on the line of each vertex. */
const withVertices = (head: string, more: string) => {
  const lines = BODY.split("\n").map((line, i) => (i < 4 ? line + more : line));
  return `${head}\n4 2 0\n${lines.join("\n")}`;
};

describe("parseOff", () => {
  it.each([
    ["a line OFF and a line of counts", `OFF\n4 2 0\n${BODY}`],
    ["counts glued to OFF", `OFF4 2 0\n${BODY}`],
    ["counts behind OFF", `OFF 4 2 0\n${BODY}`],
    ["no count of edges", `OFF\n4 2\n${BODY}`],
    ["ends of lines of another system", `OFF\n4 2 0\n${BODY}`.replaceAll("\n", "\r\n")],
    ["no end of the last line", `OFF\n4 2 0\n${BODY}`.trimEnd()],
    [
      "comments and empty lines",
      `# made by hand\n\nOFF # mesh\n\n4 2 0\n${BODY.replace("1 0 0\n", "1 0 0 # second\n\n")}`,
    ],
    ["space around numbers", `OFF \n 4  2\t0 \n${BODY.replaceAll(" ", "  ").replaceAll("\n", " \n  ")}`],
    ["colours of faces", `OFF\n4 2 0\n${BODY.replace("3 0 1 2", "3 0 1 2 255 0 0")}`],
    ["a byte order mark", `\ufeffOFF\n4 2 0\n${BODY}`],
    ["colours of vertices", withVertices("COFF", " 255 0 0 255")],
    ["colours of three numbers", withVertices("COFF", " 0.5 0 0")],
    ["normals", withVertices("NOFF", " 0 0 1")],
    ["texture coordinates", withVertices("STOFF", " 0.5 0.5")],
    ["normals and colours", withVertices("CNOFF", " 0 0 1 255 0 0 255")],
    ["all of them, in the order that MeshLab writes", withVertices("NCSTOFF", " 0 0 1 255 0 0 255 0.5 0.5")],
    ["homogeneous coordinates", withVertices("4OFF", " 1")],
    ["homogeneous coordinates with normals", withVertices("N4OFF", " 1 0 0 1")],
    ["three dimensions in so many words", `nOFF\n3\n4 2 0\n${BODY}`],
    ["three dimensions on one line with the counts", `nOFF 3 4 2 0\n${BODY}`],
    ["glued counts behind letters", withVertices("COFF", " 1 1 1").replace("\n", "")],
  ])("reads %s", (_, text) => {
    expect(parseOff(text)).toEqual(MESH);
  });

  it("divides by the homogeneous coordinate", () => {
    const { vertices } = parseOff("4OFF\n3 1 0\n0 0 0 2\n1 0 0 0.5\n0 1 0 -4\n3 0 1 2\n");
    expect(vertices).toEqual(Float64Array.of(0, 0, 0, 2, 0, 0, -0, -0.25, -0));
  });

  it("makes triangles of larger faces and passes over smaller ones", () => {
    const { triangles } = parseOff("OFF\n5 3 0\n0 0 0\n1 0 0\n2 1 0\n1 2 0\n0 1 0\n5 0 1 2 3 4\n2 0 1\n1 3\n");
    expect([...triangles]).toEqual([0, 1, 2, 0, 2, 3, 0, 3, 4]);
  });

  it.each([
    ["", /^m\.off, line 1: expected OFF, but the file ends/],
    ["PLY\n4 2 0\n", /^m\.off, line 1: expected the file to begin with OFF, got "PLY"/],
    ["OFFICE\n", /line 1: expected the file to begin with OFF/],
    ["OFF\n", /line 2: expected counts .* the file ends/],
    ["OFF\n4\n", /line 2: expected counts/],
    ["OFF\n-4 2 0\n", /line 2: expected counts/],
    ["OFF999999999999 2 0\n", /line 1: expected counts/],
    [
      `OFF\n4 2 0\n${BODY.replace("1 1e0 0", "1 one 0")}`,
      /line 5: expected the three coordinates of vertex 2, got "1 one 0"/,
    ],
    [`OFF\n4 2 0\n${BODY.replace("1 1e0 0", "1 1")}`, /line 5: .* vertex 2/],
    [`OFF\n4 2 0\n${BODY.replace("1 1e0 0", "1 1e99 0")}`, /line 5: .* vertex 2/],
    [`OFF\n4 2 0\n${BODY.replace("3 0 2 3", "3 0 2 4")}`, /line 8: expected face 1 .* 0 to 3, got "3 0 2 4"/],
    [`OFF\n4 2 0\n${BODY.replace("3 0 2 3", "3 0 2")}`, /line 8: expected face 1/],
    [`OFF\n4 2 0\n${BODY.replace("3 0 2 3", "0")}`, /line 8: expected face 1/],
    ["4OFF\n1 0 0\n1 1 1 0\n", /line 3: expected the four coordinates of vertex 0, got "1 1 1 0"/],
    ["nOFF\n4\n4 2 0\n", /line 2: expected a surface in 3 dimensions, but the head says 4/],
    ["4nOFF\n3\n4 2 0\n", /line 2: expected a surface in 3 dimensions/],
    ["OFF BINARY\n\u0000\u0004", /line 1: expected text, but the file is binary OFF/],
    ["COFF BINARY\n", /binary OFF/],
    ["CCOFF\n4 2 0\n", /each letter before OFF once/],
    ["XOFF\n4 2 0\n", /line 1: expected the file to begin with OFF/],
    [withVertices("NOFF", " 0 0"), /line 3: expected the three coordinates, normal of vertex 0/],
    [withVertices("COFF", " 1 2 3 4 5"), /line 3: expected the three coordinates, colour of vertex 0/],
    [withVertices("OFF", " 255 0 0"), /line 3: expected the three coordinates of vertex 0/],
    [`OFF\n4 2 0\n${BODY.replace("1 1e0 0", "1 NaN 0")}`, /line 5: .* vertex 2/],
    [`OFF\n4 2 0\n${BODY.replace("1 1e0 0", "1 0x10 0")}`, /line 5: .* vertex 2/],
    [`OFF\n4 2 0\n${BODY.replace("3 0 2 3", "3 0 2 -1")}`, /line 8: expected face 1/],
    [`OFF\n4 2 0\n${BODY.replace("3 0 2 3", "3 0 2 1.5")}`, /line 8: expected face 1/],
    [`OFF\n4 1 0\n${BODY}`, /line 8: expected the end of the file after 1 faces, got "3 0 2 3"/],
    [`OFF\n4 3 0\n${BODY}`, /line 9: expected face 2 of 3, but the file ends; it is truncated/],
  ])("refuses %j, naming file and line", (text, message) => {
    expect(() => parseOff(text, "m.off")).toThrow(FormatError);
    expect(() => parseOff(text, "m.off")).toThrow(message);
  });
});
