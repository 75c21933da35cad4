import { describe, expect, it } from "vitest";
import { FormatError } from "../../src/errors";
import { parseOff } from "../../src/io/off";

const BODY = "0 0 0\n1 0 0\n1 1e0 0\n-0.5 1 .25\n3 0 1 2\n3 0 2 3\n";
const MESH = {
  vertices: Float64Array.of(0, 0, 0, 1, 0, 0, 1, 1, 0, -0.5, 1, 0.25),
  triangles: Uint32Array.of(0, 1, 2, 0, 2, 3),
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
  ])("reads %s", (_, text) => {
    expect(parseOff(text)).toEqual(MESH);
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
    [`OFF\n4 3 0\n${BODY}`, /line 9: expected face 2 of 3, but the file ends; it is truncated/],
  ])("refuses %j, naming file and line", (text, message) => {
    expect(() => parseOff(text, "m.off")).toThrow(FormatError);
    expect(() => parseOff(text, "m.off")).toThrow(message);
  });
});
