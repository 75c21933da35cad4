/**
 * Figures: Observable Plot drawings as inline SVG with a title, a legend, a caption and a text
 * alternative.
 *
 * A drawing scaled down to a phone has unreadable labels, so each figure is drawn once for every
 * width it is meant for and the page shows the one that fits its column.
 */

import * as Plot from "@observablehq/plot";
import { parseHTML } from "linkedom";
import { escapeHtml, type Html, html, raw, visible } from "./html";
import { css, palette } from "./theme";

/** The widths a figure is drawn for, in CSS pixels: a phone, half a page, a whole page. */
export const WIDTHS = { s: 330, m: 510, l: 1040 } as const;
/** Name of a width in {@link WIDTHS}. */
export type Size = keyof typeof WIDTHS;

/** An entry of a figure's legend. */
export interface LegendEntry {
  label: string;
  colour: string;
  mark: "line" | "broad" | "dashed" | "dot" | "bar";
}

/**
 * What {@link figure} needs; `draw` returns Plot options without width, document and colours of
 * text.
 */
export interface FigureSpec {
  title: string;
  /** What the reader is to see in it. */
  caption: string;
  /** The figure in words, for readers who cannot see it. */
  alt: string;
  legend?: readonly LegendEntry[];
  /** Whether it takes the whole row of a grid. */
  wide?: boolean;
  draw(size: Size, width: number): Plot.PlotOptions;
}

/** Plot's options shared by all figures: type size, colour of text, room for labels. */
const COMMON: Plot.PlotOptions = {
  marginTop: 24,
  marginRight: 12,
  marginBottom: 42,
  marginLeft: 46,
  style: { fontSize: "12px", color: palette.ink, background: "none" },
};

/** Attributes that hold lengths; more than two decimals of a pixel only make the file larger. */
const LENGTHS = ["d", "transform", "x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "width", "height"];

/** Draws one SVG. */
export function drawSvg(options: Plot.PlotOptions, size: Size, alt: string): Html {
  const { document } = parseHTML("<!doctype html><html><body></body></html>");
  const svg = Plot.plot({ ...COMMON, width: WIDTHS[size], ...options, document });
  svg.querySelector("style")?.remove();
  svg.setAttribute("class", size);
  for (const node of svg.querySelectorAll("*")) {
    // Plot names its parts ("x-axis tick"); under role=img nobody hears them, and the alternative
    // text says it better.
    node.removeAttribute("aria-label");
    for (const name of LENGTHS) {
      const value = node.getAttribute(name);
      if (value !== null) node.setAttribute(name, value.replace(/(\.\d{2})\d+/g, "$1"));
    }
  }
  return raw(visible(svg.outerHTML).replace("<svg ", () => `<svg role="img" aria-label="${escapeHtml(alt)}" `));
}

/**
 * Drawings as an SVG file by itself, on white: colours of the light scheme in the place of their
 * names.
 */
export function standalone(width: number, height: number, content: string): string {
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" font-family="system-ui, sans-serif"><rect width="100%" height="100%" fill="${palette.surface}"/>${content}</svg>\n`;
  return svg.replace(
    /var\((--[\w-]+)\)/g,
    (name, key: string) => css.match(new RegExp(`${key}: (#[0-9a-f]+)`))?.[1] ?? name,
  );
}

function swatch({ colour, mark }: LegendEntry): Html {
  const shape = {
    line: html`<path d="M0,6H18" stroke="${colour}" stroke-width="2.5"/>`,
    broad: html`<path d="M0,6H18" stroke="${colour}" stroke-width="5" stroke-opacity="0.5"/>`,
    dashed: html`<path d="M0,6H18" stroke="${colour}" stroke-width="2.5" stroke-dasharray="5 3"/>`,
    dot: html`<circle cx="9" cy="6" r="4" fill="${colour}"/>`,
    bar: html`<rect x="2" y="1" width="14" height="10" fill="${colour}" fill-opacity="0.35" stroke="${colour}"/>`,
  }[mark];
  return html`<svg width="18" height="12" viewBox="0 0 18 12" fill="none" aria-hidden="true">${shape}</svg>`;
}

/** A `<figure>` with title, legend, the drawing at each width, and caption. */
export function figure(spec: FigureSpec): Html {
  const sizes: Size[] = spec.wide ? ["s", "m", "l"] : ["s", "m"];
  const drawings = sizes.map((size) => drawSvg(spec.draw(size, WIDTHS[size]), size, spec.alt));
  const legend = spec.legend?.map((entry) => html`<li>${swatch(entry)}${entry.label}</li>`);
  return html`<figure class="figure${spec.wide && " wide"}">
    <h3>${spec.title}</h3>${legend && html`<ul class="legend">${legend}</ul>`}
    <div class="canvas${spec.wide && " has-l"}">${drawings}</div>
    <figcaption>${spec.caption}</figcaption></figure>`;
}
