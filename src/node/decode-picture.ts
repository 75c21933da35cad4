/** Picture files decoded and resized by sharp, an optional package. */
import { readFile } from "node:fs/promises";
import { type FullPictureOptions, planesOf } from "../data/picture-set";
import { placement } from "../data/picture-size";
import { FormatError, UnavailableError } from "../errors";

type Sharp = typeof import("sharp");

/** Formats whose decoders are meant: a text that says it is a PNG may be an SVG. */
const FORMATS = new Set(["jpeg", "png", "webp", "gif", "heif", "tiff"]);

/** Decodes one file. */
export interface PictureDecoder {
  /** What decides its pixels beside the options. */
  readonly version: string;
  decode(path: string, options: FullPictureOptions): Promise<Uint8Array>;
}

const importSharp = () => import("sharp");

/**
 * @param find how the package is found
 * @throws UnavailableError if sharp is not installed, or does not run on this machine
 */
export async function pictureDecoder(what: string, find = importSharp): Promise<PictureDecoder> {
  const sharp = await load(what, find);
  return {
    version: `sharp ${sharp.versions.sharp ?? ""}, vips ${sharp.versions.vips}`,
    decode: async (path, options) => decode(sharp, await readFile(path), options),
  };
}

async function load(what: string, find: typeof importSharp): Promise<Sharp> {
  try {
    return (await find()).default;
  } catch (cause) {
    const isMissing = cause instanceof Error && "code" in cause && String(cause.code).endsWith("MODULE_NOT_FOUND");
    const why = isMissing
      ? "which is not installed: run npm install sharp"
      : `which does not load here (${String(cause).slice(0, 200)}): run npm install --include=optional sharp on this machine`;
    throw new UnavailableError(`${what}: pictures are read by the package sharp, ${why}`, { cause });
  }
}

/**
 * Turned as its EXIF says, in sRGB (also from CMYK, grey and 16 bits), over the background where it
 * is transparent, resized and cut.
 */
async function decode(sharp: Sharp, bytes: Uint8Array, options: FullPictureOptions): Promise<Uint8Array> {
  if (bytes.length === 0) throw new FormatError("the file is empty");
  // Errors of decoders, such as a truncated file, and not their warnings.
  const image = sharp(bytes, { failOn: "error" });
  const { format, autoOrient } = await image.metadata();
  if (!FORMATS.has(format ?? "")) throw new FormatError(`it is ${format}, and no JPEG, PNG or WebP`);
  const { size, background, channels } = options;
  const { resized, top, left } = placement([autoOrient.height, autoOrient.width], size, options);
  const [r, g, b] = background;
  const { data, info } = await image
    .autoOrient()
    .flatten({ background: { r, g, b } })
    .toColourspace("srgb")
    // A triangle filter, as torchvision's default; the faster way shrinks in the decoder first, at
    // the cost of what is sharp.
    .resize(resized[1], resized[0], { fit: "fill", kernel: "linear", fastShrinkOnLoad: false })
    .extract({ top, left, height: size[0], width: size[1] })
    .raw({ depth: "uchar" })
    .toBuffer({ resolveWithObject: true });
  if (info.width !== size[1] || info.height !== size[0] || info.channels < 3) {
    throw new FormatError(`it came out as ${info.channels}x${info.height}x${info.width}`);
  }
  return planesOf(data, info.channels, channels);
}
