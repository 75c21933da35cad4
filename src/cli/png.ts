/** PNG files of 8-bit pixels: the three chunks that every reader knows, deflated by zlib. */
import { deflateSync } from "node:zlib";

const SIGNATURE = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);

/** Colour types by channels: grey, grey and alpha, RGB, RGB and alpha. */
const COLOURS: Readonly<Record<number, number>> = { 1: 0, 2: 4, 3: 2, 4: 6 };

/** Whether images of so many channels are pictures. */
export const isPicture = (channels: number): boolean => COLOURS[channels] !== undefined;

/** CRC-32 of ISO 3309, as PNG has it: zlib's is not in every Node that is supported. */
function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  }
  return ~crc >>> 0;
}

function chunk(type: string, data: Uint8Array): Uint8Array {
  const whole = new Uint8Array(12 + data.length);
  const view = new DataView(whole.buffer);
  view.setUint32(0, data.length);
  whole.set(new TextEncoder().encode(type), 4);
  whole.set(data, 8);
  view.setUint32(8 + data.length, crc32(whole.subarray(4, 8 + data.length)));
  return whole;
}

/**
 * A picture as a PNG file.
 * @param planes bytes [channels, height, width]; 1 to 4 channels
 */
export function encodePng(
  planes: Uint8Array,
  [channels, height, width]: readonly [channels: number, height: number, width: number],
): Uint8Array {
  const header = new Uint8Array(13);
  const view = new DataView(header.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  header[8] = 8;
  header[9] = COLOURS[channels]!;
  // Each row begins with the number of its filter: none.
  const rows = new Uint8Array(height * (1 + width * channels));
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      for (let c = 0; c < channels; c++)
        rows[y * (1 + width * channels) + 1 + x * channels + c] = planes[(c * height + y) * width + x]!;
  const parts = [SIGNATURE, chunk("IHDR", header), chunk("IDAT", deflateSync(rows, { level: 9 }))];
  return new Uint8Array(Buffer.concat([...parts, chunk("IEND", new Uint8Array(0))]));
}
