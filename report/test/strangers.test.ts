import { expect, it } from "vitest";
import { drawStrangers, type StrangersRecord } from "../src/index";

const RECORD: StrangersRecord = {
  adapter: "SwiftShader",
  networks: 5,
  epochs: 1,
  images: 50,
  accuracy: [0.1, 0.2],
  pairs: 10,
  layers: [{ name: "features.0.conv", channels: 24, coincidences: 1.1, agreements: 0.1 }],
  coincidences: [3, 4, 3],
  agreements: [9, 1],
  expected: [3.7, 3.7, 1.8, 0.6, 0.15, 0.03],
  rates: [{ rate: 1e-6, needed: 10, coincidences: 0, agreements: 0 }],
};

it("draws a bar for each count of both kinds, and the law as far as a pair is expected", () => {
  const svg = drawStrangers(RECORD);
  expect(svg).toMatch(/^<svg [^>]*viewBox/);
  expect(svg).not.toMatch(/var\(--/);
  // 5 places: the last with a tenth of a pair.
  expect(svg.match(/<rect (?!width="100%")/g)).toHaveLength(2 * 5);
  expect(svg.match(/<circle/g)).toHaveLength(5);
  expect(svg).toContain("10 pairs of 5 networks");
  expect(svg).toContain("24 channels compared; 10 are needed at a false-positive rate of 1.0");
});
