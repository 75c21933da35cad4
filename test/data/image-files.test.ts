/** What `imagesFromFiles` refuses before there is a browser; test/browser has it read in one. */
import { describe, expect, it } from "vitest";
import { imagesFromFiles } from "../../src/data";
import { ArgumentError, UnavailableError } from "../../src/errors";

const { File } = await import("node:buffer");
const file = (path: string) => {
  const made = new File([], path.split("/").pop()!);
  return Object.defineProperty(made, "webkitRelativePath", { value: path.includes("/") ? path : "" });
};
const files = (...paths: string[]) => paths.map(file) as never[];

describe("imagesFromFiles", () => {
  it("says what is missing where there is no browser", async () => {
    const loading = imagesFromFiles(files("photos/cat/1.jpg"), { size: 4 });
    await expect(loading).rejects.toThrow(UnavailableError);
    await expect(loading).rejects.toThrow(/createImageBitmap.*loadImageFolder of @pan\/core\/node/);
  });

  it.each([
    null,
    undefined,
    3,
    "photos",
    [],
    {},
    ["cat/1.jpg"],
    [new Uint8Array(3)],
  ])("refuses %j for files", async (wrong) => {
    await expect(imagesFromFiles(wrong as never, { size: 4 })).rejects.toThrow(/webkitdirectory/);
  });

  it("wants folders, or somebody who tells the classes", async () => {
    await expect(imagesFromFiles(files("1.jpg", "2.jpg"), { size: 4 })).rejects.toThrow(/labelOf/);
    const labelOf = () => 3 as never;
    await expect(imagesFromFiles(files("1.jpg"), { size: 4, labelOf })).rejects.toThrow(
      /name of a class or null, found 3/,
    );
  });

  it.each([
    {},
    { size: 0 },
    { size: 4, labelOf: "cat" },
    { size: 4, cache: "x" },
  ])("refuses the options %j", async (options) => {
    await expect(imagesFromFiles(files("photos/cat/1.jpg"), options as never)).rejects.toThrow(ArgumentError);
  });
});
