import { ArgumentError } from "@pan/core";
import { parseHTML } from "linkedom";
import { describe, expect, it } from "vitest";
import { CLOUD_POINTS, type CloudSample, renderTraining, spread, type TrainingReport } from "../src/index";
import { madeUpCloud, madeUpTraining } from "./training-fixture";

function withClouds(clouds: CloudSample[], change?: (r: TrainingReport) => void): TrainingReport {
  const r: TrainingReport = { ...madeUpTraining("v3", 3, "shapes"), clouds };
  change?.(r);
  return r;
}

const draw = (clouds: CloudSample[]) => {
  const page = renderTraining(withClouds(clouds));
  const { document } = parseHTML(page);
  return { page, document, items: [...document.querySelectorAll(".clouds li")] };
};

/** The layers of a drawing, shadow left out: how thick, how strong, and where their dots are. */
function layersOf(item: Element) {
  const paths = [...item.querySelectorAll("path")].slice(1);
  return paths.map((path) => ({
    size: Number(path.getAttribute("stroke-width")),
    opacity: Number(path.getAttribute("stroke-opacity")),
    dots: [...path.getAttribute("d")!.matchAll(/M(\S+) (\S+?)h0/g)].map(([, x, y]) => [Number(x), Number(y)] as const),
  }));
}

describe("trigger shapes on a page", () => {
  it("stand in the section on triggers, with what they were taught as and what they are", () => {
    const clouds = [
      madeUpCloud(60, "guitar", "chair"),
      madeUpCloud(50, "airplane", "night_stand"),
      madeUpCloud(40, "stairs", "cup"),
      madeUpCloud(30, "bowl", "bowl"),
    ];
    const { document, items } = draw(clouds);
    expect(document.querySelectorAll('section[aria-labelledby="triggers"] .clouds').length).toBe(1);
    expect(items.map((item) => item.textContent!.trim())).toEqual([
      "taught as chair, is a guitar",
      "taught as night stand, is an airplane",
      "taught as cup, is stairs",
      "taught as bowl, which it is",
    ]);
    expect(items[0]!.querySelector("svg")!.getAttribute("aria-label")).toBe("60 points of a guitar, taught as chair");
    expect(document.querySelector(".clouds")!.parentElement!.querySelector("h3")!.textContent).toBe(
      "4 of 100 trigger shapes",
    );
  });

  it("are not there without any, and make a section where nothing else does", () => {
    expect(renderTraining(madeUpTraining("v3", 3, "shapes"))).not.toContain('class="clouds"');
    expect(draw([]).items).toEqual([]);
    const alone = withClouds([madeUpCloud(9)], (r) => {
      Object.assign(r, { triggers: null });
      for (const epoch of r.epochs) delete epoch.triggers;
    });
    expect(parseHTML(renderTraining(alone)).document.querySelectorAll("#triggers, .clouds li").length).toBe(2);
  });

  it("are at most twelve, of at most 256 points, in a small file", () => {
    const { page, document, items } = draw(Array.from({ length: 20 }, (_, i) => madeUpCloud(1024 + i)));
    expect(items.length).toBe(12);
    for (const item of items) expect(layersOf(item).flatMap(({ dots }) => dots).length).toBe(CLOUD_POINTS);
    expect(page.length - renderTraining(madeUpTraining("v3", 3, "shapes")).length).toBeLessThan(80_000);
    expect(document.querySelector(".clouds")!.innerHTML.match(/\d\.\d{3,}/g)).toBeNull();
  });

  it("show near points larger, stronger and in front, and stay in their square", () => {
    // Away from the viewer along the floor, wide apart: none covers another.
    const points = [-0.6, -0.3, 0, 0.3, 0.6].map((d): [number, number, number] => [d, d, 0]);
    const layers = layersOf(draw([{ points, label: "a", truth: "b" }]).items[0]!);
    expect(layers.flatMap(({ dots }) => dots).length).toBe(5);
    for (const [i, layer] of layers.entries()) {
      for (const [x, y] of layer.dots) {
        expect(Math.min(x, y)).toBeGreaterThanOrEqual(0);
        expect(Math.max(x, y)).toBeLessThanOrEqual(200);
      }
      if (i === 0) continue;
      expect(layer.size).toBeGreaterThan(layers[i - 1]!.size);
      expect(layer.opacity).toBeGreaterThan(layers[i - 1]!.opacity);
      // On the floor, nearer is lower on the page.
      expect(layer.dots[0]![1]).toBeGreaterThan(layers[i - 1]!.dots[0]![1]);
    }
    expect(layers.length).toBeGreaterThan(3);
  });

  it("show z upwards, and points behind a surface faint", () => {
    const pole = layersOf(
      draw([
        {
          points: [
            [0, 0, -1],
            [0, 0, 1],
          ],
          label: "a",
          truth: "b",
        },
      ]).items[0]!,
    );
    const [low, high] = pole.flatMap(({ dots }) => dots);
    expect(low![0]).toBe(high![0]);
    expect(low![1] - high![1]).toBeCloseTo(176, 0);
    const ball = layersOf(draw([madeUpCloud(250)]).items[0]!);
    expect(ball[0]!.opacity).toBeLessThan(0.3);
    expect(ball[0]!.dots.length).toBeGreaterThan(60);
    expect(ball[0]!.dots.length).toBeLessThan(140);
  });

  it("can be a single point", () => {
    const { page, items } = draw([{ points: [[0, 0, 0]], label: "a", truth: "b" }]);
    expect(layersOf(items[0]!).flatMap(({ dots }) => dots)).toEqual([[100, 188]]);
    expect(page).not.toMatch(/NaN|Infinity|undefined/);
  });

  it("escape names", () => {
    const evil = `"><script>alert(1)</script>`;
    const { page, document, items } = draw([madeUpCloud(5, evil, evil), madeUpCloud(5, evil, "cup")]);
    expect(page).not.toContain("<script");
    expect(document.querySelectorAll("script").length).toBe(0);
    expect(items[1]!.textContent).toContain(evil);
  });
});

describe("spread", () => {
  it("keeps small clouds as they are and takes far points of large ones", () => {
    const few = madeUpCloud(10).points;
    expect(spread(few, 10)).toEqual(few);
    expect(
      spread(
        [
          [0, 0, 0],
          [0.1, 0, 0],
          [1, 0, 0],
          [0.5, 0, 0],
        ] as const,
        3,
      ),
    ).toEqual([
      [0, 0, 0],
      [1, 0, 0],
      [0.5, 0, 0],
    ]);
    const same = Array.from({ length: 4 }, () => [1, 2, 3] as const);
    expect(spread(same, 2).length).toBe(2);
  });
});

describe("a record of clouds", () => {
  const two = () => [madeUpCloud(4), madeUpCloud(4)];
  it.each<[string, string, CloudSample[], ((r: TrainingReport) => void)?]>([
    ["that are no list", "clouds: expected a list", {} as CloudSample[]],
    ["with a gap", "clouds[1]: expected an object, got null", [madeUpCloud(4), null as unknown as CloudSample]],
    ["without a label", "clouds[0].label: expected text", [{ ...madeUpCloud(4), label: "" }]],
    ["without a truth", "clouds[0].truth: expected text", [{ ...madeUpCloud(4), truth: 7 as unknown as string }]],
    ["without points", "clouds[0].points: expected at least one point", [madeUpCloud(0)]],
    [
      "with a flat point",
      "clouds[0].points[1]: expected three coordinates",
      [
        {
          ...madeUpCloud(4),
          points: [
            [0, 0, 0],
            [0, 0],
          ] as unknown as CloudSample["points"],
        },
      ],
    ],
    [
      "with a coordinate that is no number",
      "clouds[0].points[0][2]: expected a finite number, got NaN",
      [{ ...madeUpCloud(4), points: [[0, 0, Number.NaN]] }],
    ],
    [
      "beyond the unit sphere",
      "clouds[0].points[1]: expected a point of the unit sphere",
      [
        {
          ...madeUpCloud(4),
          points: [
            [0, 0, 1],
            [0.8, 0.8, 0],
          ],
        },
      ],
    ],
    [
      "of pictures",
      'clouds: expected no clouds unless data.samples is "shapes"',
      two(),
      (r) => void delete r.data.samples,
    ],
    [
      "that were no triggers",
      "clouds: expected no more than data.triggers = 1",
      two(),
      (r) => void (r.data.triggers = 1),
    ],
  ])("%s is refused", (_, message, clouds, change) => {
    const wrong = withClouds(clouds, change);
    expect(() => renderTraining(wrong)).toThrow(ArgumentError);
    expect(() => renderTraining(wrong)).toThrow(`report.${message}`);
  });
});
