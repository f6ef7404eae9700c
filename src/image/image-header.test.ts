import assert from "node:assert/strict";
import { test } from "node:test";
import { BlixardError } from "#model/errors.ts";
import { parseImageHeader, type ImageHeaderInput } from "./image-header.ts";

const kernel = { role: "kernel", sizeBytes: 1000n };
const valid: ImageHeaderInput = { name: "demo", files: [kernel], operationId: "op-1" };

test("a header with a kernel or a disk is accepted, and absent fields get their defaults", () => {
  assert.deepEqual(parseImageHeader(valid), {
    name: "demo",
    files: [{ role: "kernel", sizeBytes: 1000 }],
    commandLine: "",
    guestAgent: false,
    operationId: "op-1",
  });
  const disk = parseImageHeader({ ...valid, files: [{ role: "disk", sizeBytes: 5 }], guestAgent: true });
  assert.equal(disk.guestAgent, true);
});

const refused: readonly [string, string, Partial<ImageHeaderInput>][] = [
  ["a bad name", "header.name", { name: "../etc" }],
  ["no files", "header.files", { files: [] }],
  ["an initrd alone", "header.files", { files: [{ role: "initrd", sizeBytes: 1 }] }],
  [
    "a disk with an initrd but no kernel",
    "header.files",
    {
      files: [
        { role: "disk", sizeBytes: 1 },
        { role: "initrd", sizeBytes: 1 },
      ],
    },
  ],
  ["two kernels", "header.files", { files: [kernel, kernel] }],
  ["an unknown role", "header.files[0].role", { files: [{ role: "firmware", sizeBytes: 1 }] }],
  ["an empty file", "header.files[0].sizeBytes", { files: [{ role: "kernel", sizeBytes: 0 }] }],
  ["a size beyond every limit", "header.files[0].sizeBytes", { files: [{ role: "disk", sizeBytes: 2n ** 64n - 1n }] }],
  ["a command line of two lines", "header.commandLine", { commandLine: "quiet\nroot=/dev/sda" }],
  [
    "a command line for a disk",
    "header.commandLine",
    { files: [{ role: "disk", sizeBytes: 1 }], commandLine: "quiet" },
  ],
];

for (const [what, field, change] of refused) {
  test(`a header with ${what} is refused, and the error names the field`, () => {
    assert.throws(
      () => parseImageHeader({ ...valid, ...change }),
      (error) => error instanceof BlixardError && error.code === "INVALID_ARGUMENT" && error.field === field,
    );
  });
}
