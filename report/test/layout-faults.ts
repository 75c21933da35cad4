/** What a reader would see to be wrong with a page, measured in a browser. */
import type { Browser, Page } from "playwright-core";

/** How a page is looked at. */
export interface View {
  readonly name: string;
  /** Width of the window, in CSS pixels. */
  readonly width: number;
  readonly dark?: boolean;
  readonly print?: boolean;
}

/** A desk, a phone, and an A4 sheet with the page's margins of 10 mm. */
export const VIEWS: readonly View[] = [
  { name: "wide", width: 1400 },
  { name: "half", width: 760 },
  { name: "narrow", width: 380 },
  { name: "dark", width: 1400, dark: true },
  { name: "printed", width: 718, print: true },
];

/**
 * Runs in the page, where nothing of this module is: hence all in one. Every `details` is opened,
 * as it is part of the page.
 */
function measure(print: boolean): string[] {
  const faults = new Set<string>();
  for (const fold of document.querySelectorAll("details")) fold.open = true;
  const root = document.documentElement;
  if (root.scrollWidth > root.clientWidth + 1)
    faults.add(`the page scrolls sideways: ${root.scrollWidth} px in ${root.clientWidth}`);

  const where = (node: Element): string => {
    const section = node.closest("section")?.getAttribute("aria-labelledby") ?? node.closest("header, footer")?.tagName;
    return `${section ?? ""} ${node.tagName.toLowerCase()}.${node.getAttribute("class") ?? ""}`;
  };
  const scrolls = (node: Element) => getComputedStyle(node).overflowX !== "visible";
  for (const box of document.querySelectorAll("main *, header *, footer *")) {
    if (box.closest("svg") || !scrolls(box) || getComputedStyle(box).position === "absolute") continue;
    if (print && box.scrollWidth > box.clientWidth + 1)
      faults.add(`cut off on paper: ${where(box)}: ${box.scrollWidth} px in ${box.clientWidth}`);
  }

  /** Boxes that a text must not leave: up to the first that scrolls. */
  const boxes = (text: Node): Element[] => {
    const out: Element[] = [];
    for (let node = text.parentElement; node && node !== document.body; node = node.parentElement) {
      if (getComputedStyle(node).position === "absolute") return [];
      if (scrolls(node)) break;
      if (getComputedStyle(node).display !== "inline") out.push(node);
    }
    return out;
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let text = walker.nextNode(); text; text = walker.nextNode()) {
    const parent = text.parentElement!;
    if (!text.nodeValue!.trim() || /^(style|title|script)$/i.test(parent.tagName)) continue;
    const range = document.createRange();
    range.selectNodeContents(text);
    const rects = [...range.getClientRects()].filter((r) => r.width > 0);
    const quote = text.nodeValue!.trim().slice(0, 40);
    const drawing = parent.closest("svg");
    const around = drawing ? boxes(drawing) : boxes(text);
    for (const box of around) {
      const { left, right } = box.getBoundingClientRect();
      const out = rects.find((r) => r.right > right + 1.5 || r.left < left - 1.5);
      if (out)
        faults.add(`“${quote}” leaves ${where(box)} by ${Math.ceil(Math.max(out.right - right, left - out.left))} px`);
    }
    if (drawing) continue;
    // Lines may end at spaces, and behind hyphens and strokes between letters; not within a word,
    // and not within a number. What is longer than a word is a digest or an address.
    for (const { 0: token, index } of text.nodeValue!.matchAll(/[^ \n\t\r\u200b]+/g)) {
      for (const word of token.matchAll(/[^-–—/|]*\de-\d+|\d{4}-\u2060?\d\d-\u2060?\d\d|[^-–—/|]+/g)) {
        if (word[0].length > 24) continue;
        range.setStart(text, index + word.index);
        range.setEnd(text, index + word.index + word[0].length);
        const tops = new Set([...range.getClientRects()].filter((r) => r.width > 0).map((r) => Math.round(r.top)));
        if (tops.size > 1) faults.add(`“${word[0]}” is cut into ${tops.size} lines: ${where(parent)}`);
      }
    }
  }
  return [...faults];
}

/** Loads a page in a view. */
export async function openPage(browser: Browser, html: string, { width, dark, print }: View): Promise<Page> {
  const page = await browser.newPage({
    viewport: { width, height: 900 },
    colorScheme: dark ? "dark" : "light",
  });
  if (print) await page.emulateMedia({ media: "print" });
  await page.setContent(html);
  return page;
}

/** Everything that is wrong with a page in a view, a line each; empty where nothing is. */
export async function layoutFaults(browser: Browser, html: string, view: View): Promise<string[]> {
  const page = await openPage(browser, html, view);
  try {
    return await page.evaluate(measure, view.print === true);
  } finally {
    await page.close();
  }
}
