/**
 * Clouds of points as drawings: each seen obliquely from above, near points large and strong, over
 * the shadow it casts on the ground.
 */

import { CLOUD_POINTS, type CloudSample, type Point3, spread } from "./cloud-record";
import { plural } from "./format";
import { type Html, html } from "./html";
import { least, most } from "./series";
import { palette } from "./theme";
import type { TrainingReport } from "./training-record";

/** As many clouds as are drawn; further ones are counted only. */
const MAX_CLOUDS = 12;
/** Side of a drawing, and what is left free around the cloud, in units of its view box. */
const SIDE = 200;
const MARGIN = 12;
/** Where the viewer stands: turned about the vertical, and above the horizon, in radians. */
const TURN = (47 * Math.PI) / 180;
const TILT = (24 * Math.PI) / 180;
/**
 * Points are drawn in this many layers, the farthest first; a cloud less deep than the unit
 * sphere's radius does not use all of them.
 */
const LAYERS = 6;
/**
 * Points on a surface nearly touch: diameters, in spacings of the points, and opacities of the
 * farthest and the nearest layer, and of what is covered.
 */
const FAR = { size: 0.62, opacity: 0.34 };
const NEAR = { size: 1, opacity: 1 };
const COVERED = { size: 0.45, opacity: 0.16 };
/** Least and greatest diameter of the nearest points. */
const DIAMETER = [5, 12] as const;
/** Shadows are made of blots on a coarse grid: few numbers, soft edges. */
const BLOT = { grid: 6, size: 13 };

/** A point as it is seen: to the right, downwards, and towards the viewer. */
interface Seen {
  x: number;
  y: number;
  near: number;
}

function seen([x, y, z]: Point3): Seen {
  const [right, away] = [x * Math.cos(TURN) - y * Math.sin(TURN), x * Math.sin(TURN) + y * Math.cos(TURN)];
  return {
    x: right,
    y: -(z * Math.cos(TILT) + away * Math.sin(TILT)),
    near: z * Math.sin(TILT) - away * Math.cos(TILT),
  };
}

const round = (v: number): number => Number(v.toFixed(2));
const ends = (values: readonly number[]) => [least(values), most(values)] as const;

/** Dots as one path: lines of no length with round ends, the shortest way to write many. */
function dots(points: readonly string[], size: number, stroke: string, opacity: number): Html {
  const d = points.map((point) => `M${point}h0`).join("");
  return html`<path d="${d}" stroke="${stroke}" stroke-width="${round(size)}" stroke-opacity="${round(opacity)}"/>`;
}

/** How far apart points lie: the mean distance to the nearest other one. */
function spacingOf(points: readonly Point3[]): number {
  const nearest = points.map((p, i) => {
    let least = Number.POSITIVE_INFINITY;
    for (const [k, q] of points.entries())
      if (k !== i) least = Math.min(least, Math.hypot(p[0] - q[0], p[1] - q[1], p[2] - q[2]));
    return least;
  });
  return points.length > 1 ? nearest.reduce((sum, d) => sum + d, 0) / points.length : 0;
}

/**
 * Whether the surface around another point covers this one: the other is close to the line of sight
 * and clearly in front.
 */
const isCovered = (p: Seen, cloud: readonly Seen[], spacing: number): boolean =>
  cloud.some((q) => q.near - p.near > 2 * spacing && Math.hypot(p.x - q.x, p.y - q.y) < 1.1 * spacing);

const written = ({ x, y }: Seen): string => `${Number(x.toFixed(1))} ${Number(y.toFixed(1))}`;

/** One cloud, as large as its square allows. */
function drawing({ points, label, truth }: CloudSample): Html {
  const drawn = spread(points);
  const ground = least(drawn.map(([, , z]) => z));
  const [cloud, shadow] = [drawn.map(seen), drawn.map(([x, y]) => seen([x, y, ground]))];
  const [left, right] = ends([...cloud, ...shadow].map(({ x }) => x));
  const [top, bottom] = ends([...cloud, ...shadow].map(({ y }) => y));
  const scale = (SIDE - 2 * MARGIN) / Math.max(right - left, bottom - top, 1e-3);
  const place = (p: Seen): Seen => ({
    x: SIDE / 2 + scale * (p.x - (left + right) / 2),
    // All stand on the same line, so that a row of them looks like a shelf.
    y: SIDE - MARGIN + scale * (p.y - bottom),
    near: p.near,
  });
  const snap = (v: number) => BLOT.grid * Math.round(v / BLOT.grid);
  const blots = new Set(shadow.map(place).map(({ x, y }) => `${snap(x)} ${snap(y)}`));
  const [far, near] = ends(cloud.map((p) => p.near));
  const spacing = spacingOf(drawn);
  const covered: string[] = [];
  const layers = Array.from({ length: LAYERS }, (): string[] => []);
  for (const p of cloud) {
    const layer = Math.floor(LAYERS * (1 - (near - p.near) / Math.max(near - far, 1)));
    (isCovered(p, cloud, spacing) ? covered : layers[Math.min(LAYERS - 1, layer)]!).push(written(place(p)));
  }
  const diameter = Math.min(DIAMETER[1], Math.max(DIAMETER[0], scale * spacing));
  const layered = (at: string[], { size, opacity }: typeof FAR) =>
    at.length > 0 ? dots(at, diameter * size, palette.owner, opacity) : "";
  const between = (i: number) => ({
    size: FAR.size + ((NEAR.size - FAR.size) * i) / (LAYERS - 1),
    opacity: FAR.opacity + ((NEAR.opacity - FAR.opacity) * i) / (LAYERS - 1),
  });
  return html`<svg viewBox="0 0 ${SIDE} ${SIDE}" role="img" aria-label="${plural(drawn.length, "point")} of ${kind(truth)}, taught as ${spoken(label)}" fill="none" stroke-linecap="round">
    ${dots([...blots], BLOT.size, palette.shade, 1)}${layered(covered, COVERED)}${layers.map((at, i) => layered(at, between(i)))}</svg>`;
}

/** Names of classes come from files: `night_stand`. */
const spoken = (name: string): string => name.replaceAll("_", " ");

/** `a chair`, `an airplane`, `stairs`. */
function kind(name: string): string {
  const said = spoken(name);
  if (/[^su]s$/i.test(said)) return said;
  return `${/^[aeiou]/i.test(said) ? "an" : "a"} ${said}`;
}

function caption({ label, truth }: CloudSample): Html {
  const really = label === truth ? "which it is" : `is ${kind(truth)}`;
  return html`<p><span>taught as <strong>${spoken(label)}</strong>,</span> <span>${really}</span></p>`;
}

/**
 * Trigger shapes beside each other, each with what it was taught as and what it is; none where the
 * record has none to show.
 */
export function cloudFigure({ clouds = [], data }: TrainingReport): Html | undefined {
  if (clouds.length === 0) return undefined;
  const shown = clouds.slice(0, MAX_CLOUDS);
  return html`<figure class="figure wide">
    <h3>${shown.length} of ${plural(data.triggers, "trigger shape")}</h3>
    <ul class="clouds">${shown.map((cloud) => html`<li>${drawing(cloud)}${caption(cloud)}</li>`)}</ul>
    <figcaption>Each is a cloud of points, of which at most ${CLOUD_POINTS} are drawn; near points are larger and stronger in colour. The names taught are the owner’s choice.</figcaption></figure>`;
}
