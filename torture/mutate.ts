/**
 * Damage to valid inputs: bytes, texts in bytes, and JSON values. What a seed decides is always the
 * same damage.
 */
import type { Generator } from "@pan/core";

/** Numbers, and what may stand in the place of one, at the edges of what readers expect. */
const EXTREME = [
  "0 -0 -1 1 0.1 1e5 1e308 1e309 -1e309 1e-400 4294967295 4294967296 2147483648 9007199254740991 9007199254740993",
  '18446744073709551615 18446744073709551616 00 0x10 1_0 NaN Infinity null true "" [] {} 1e 99999999999999999999999',
]
  .join(" ")
  .split(" ");

/** Pieces that mean something to some reader. */
const TOKENS = [
  ..."{}[]():,\"'\\#-+. \n\r\t\0\u00ff",
  ...["__proto__", "constructor", "toString", "__metadata__", "data_offsets", "'shape':(", "OFF", "<f4", "|O", "None"],
  ...["\\ud800", "\\u0000", "\ufeff", "é", "😀", "null", "true", "[[[[[[[[", "((((((((", "1,1,1,1,", "\n\n\n", "\r\n"],
];

/**
 * Deepest pile of brackets in a text and in a value (whose own maker must survive it), and most
 * copies of one chunk.
 */
const DEEP_TEXT = 20_000;
const DEEP = 500;
const COPIES = 50;
/** Longest input that is made. */
const LONGEST = 200_000;

export const pick = <T>(random: Generator, list: readonly T[]): T => list[random.integer(list.length)]!;

/** Bytes as text and back, one character a byte. */
const latin = (bytes: Uint8Array): string => Buffer.from(bytes).toString("latin1");
const bytesOf = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, "latin1"));
const utf8 = (text: string): string => Buffer.from(text, "utf8").toString("latin1");

/** A place in a text, the end included. */
const place = (random: Generator, text: string): number => random.integer(text.length + 1);

/** Two places in order, near each other mostly. */
function span(random: Generator, text: string): [number, number] {
  const from = place(random, text);
  const length = random.integer(pick(random, [4, 16, 64, Math.max(1, text.length)]));
  return [from, Math.min(text.length, from + length)];
}

/** Ways to damage a text of bytes; `other` is another valid one. */
const DAMAGES: readonly ((random: Generator, text: string, other: string) => string)[] = [
  // A bit.
  (random, text) => {
    if (!text) return text;
    const i = random.integer(text.length);
    const flipped = text.charCodeAt(i) ^ (1 << random.integer(8));
    return text.slice(0, i) + String.fromCharCode(flipped) + text.slice(i + 1);
  },
  // A byte, or a few.
  (random, text) => {
    const [from, to] = span(random, text);
    const noise = Array.from({ length: to - from }, () => String.fromCharCode(random.integer(256))).join("");
    return text.slice(0, from) + noise + text.slice(to);
  },
  // The end.
  (random, text) => text.slice(0, place(random, text)),
  // A chunk gone, or doubled, or many times.
  (random, text) => {
    const [from, to] = span(random, text);
    return text.slice(0, from) + text.slice(to);
  },
  (random, text) => {
    const [from, to] = span(random, text);
    return text.slice(0, to) + text.slice(from, to).repeat(1 + random.integer(COPIES)) + text.slice(to);
  },
  // Two files spliced.
  (random, text, other) => text.slice(0, place(random, text)) + other.slice(place(random, other)),
  (random, text, other) => {
    const [from, to] = span(random, other);
    const at = place(random, text);
    return text.slice(0, at) + other.slice(from, to) + text.slice(at);
  },
  // A number in digits.
  (random, text) => {
    const found = [...text.matchAll(/-?\d+(?:\.\d+)?/g)];
    if (!found.length) return text;
    const { index, 0: digits } = pick(random, found);
    return text.slice(0, index) + pick(random, EXTREME) + text.slice(index + digits.length);
  },
  // A number in bytes.
  (random, text) => {
    const bytes = pick(random, ["\0\0\0\0", "\xff\xff\xff\xff", "\0\0\0\x80", "\xff\xff\xff\x7f", "\0\0\x80\x7f"]);
    const at = 4 * random.integer(Math.floor(text.length / 4) + 1);
    return text.slice(0, at) + bytes.repeat(1 + random.integer(2)) + text.slice(at + 4);
  },
  // Brackets, deep.
  (random, text) => {
    const at = place(random, text);
    const [open, close] = pick(random, ["[]", "{}", "()", '""'] as const);
    const depth = 1 + random.integer(DEEP_TEXT);
    return text.slice(0, at) + open!.repeat(depth) + (random.integer(2) ? close!.repeat(depth) : "") + text.slice(at);
  },
  // A word out of place.
  (random, text) => {
    const [from, to] = span(random, text);
    return text.slice(0, from) + utf8(pick(random, TOKENS)) + text.slice(random.integer(2) ? to : from);
  },
];

/** A few damages to one of the samples. */
export function damaged(random: Generator, samples: readonly Uint8Array[]): Uint8Array {
  let text = latin(pick(random, samples));
  do text = pick(random, DAMAGES)(random, text, latin(pick(random, samples))).slice(0, LONGEST);
  while (random.integer(3) === 0);
  return bytesOf(text);
}

/** Values of every kind that JSON has, at its edges. */
const VALUES: readonly unknown[] = [
  ...[null, true, false, 0, -0, -1, 1, 2, 0.5, 1e308, 1e5, 1e9, 2 ** 31, 2 ** 32, 2 ** 53 - 1, 2 ** 53, 1e-308],
  ...[
    "",
    "a",
    "pan",
    "v1",
    "folded",
    "convnet",
    "resnet",
    "\u0000",
    "\ud83d\ude00",
    "x".repeat(5000),
    "1",
    "true",
    "__proto__",
  ],
  ...[[], {}, [[]], [null], { length: 3 }, { toString: 1 }, [1, 2, 3], [0, 0, 0], { 0: true }, { "0": "text" }],
];

/** Every place in a JSON value: the list or object that holds it, and its key. */
function* places(value: unknown): Iterable<[holder: Record<string, unknown>, key: string]> {
  if (typeof value !== "object" || value === null) return;
  for (const key of Object.keys(value)) {
    yield [value as Record<string, unknown>, key];
    yield* places((value as Record<string, unknown>)[key]);
  }
}

/**
 * A JSON value with one place, or a few, changed, taken away, doubled or buried in brackets. The
 * given one stays as it is.
 */
export function changed(random: Generator, value: unknown): unknown {
  const whole = { value: structuredClone(value) as unknown };
  do {
    const all = [...places(whole)];
    // Nothing is left of it.
    if (!all.length) return undefined;
    const [holder, key] = pick(random, all);
    const put = (v: unknown) =>
      Object.defineProperty(holder, key, { value: v, enumerable: true, configurable: true, writable: true });
    const old = holder[key];
    const ways: (() => void)[] = [
      () => put(structuredClone(pick(random, VALUES))),
      () => put(structuredClone(pick(random, VALUES))),
      () => put(typeof old === "number" ? old + pick(random, [-1, 1, 0.5, 2 ** 20]) : old),
      () => put(typeof old === "string" ? old.slice(0, random.integer(old.length + 1)) : old),
      () => void delete holder[key],
      () => (Array.isArray(holder) ? void holder.push(structuredClone(old)) : put([old])),
      () => {
        const [from, at] = pick(random, all);
        put(structuredClone(from[at]));
      },
      () => put(buried(old, 1 + random.integer(DEEP))),
      () => put(Object.fromEntries(Array.from({ length: 1 + random.integer(100) }, (_, i) => [`k${i}`, i]))),
    ];
    pick(random, ways)();
  } while (random.integer(3) === 0);
  return whole.value;
}

/** A value as JSON; `null` for what has none. */
export const json = (value: unknown): string => JSON.stringify(value) ?? "null";

/** A value inside so many lists. */
export function buried(value: unknown, depth: number): unknown {
  let out = value;
  for (let i = 0; i < depth; i++) out = [out];
  return out;
}
