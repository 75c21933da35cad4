/** A folder of pictures, as people have them, made for a test. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import sharp from "sharp";

/** Pictures of one colour each, `count` in each of the classes. */
export async function pictures(where: string, classes: readonly string[], count: number): Promise<void> {
  for (const [c, name] of classes.entries()) {
    await mkdir(join(where, name), { recursive: true });
    for (let i = 0; i < count; i++) {
      const background = { r: 80 * c, g: 10 * i, b: 7 };
      await sharp({ create: { width: 40 + i, height: 30, channels: 3, background } })
        .png()
        .toFile(join(where, name, `${i}.png`));
    }
  }
}
