/** What qemu-img really writes is told apart: standalone images are taken, those that reach out are refused. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { before, after, test } from "node:test";
import { promisify } from "node:util";
import { createImageStore, type ImageStore } from "#image/image-store.ts";
import { BlixardError } from "#model/errors.ts";
import type { ImageManifest, MaterializedImage } from "#model/image.ts";
import { createMemoryTelemetry } from "#test/support/memory-telemetry.ts";

const run = promisify(execFile);
const never = new AbortController().signal;
let directory: string;
let images: ImageStore;
/** What the store would know: nothing of it may be collected. */
const manifests: ImageManifest[] = [];

before(async () => {
  directory = await mkdtemp(join(tmpdir(), "blixard-image-qcow2-"));
  images = createImageStore({
    directory: join(directory, "images"),
    listManifests: () => Promise.resolve(manifests),
    telemetry: createMemoryTelemetry(),
    now: () => Date.now(),
  });
  await images.start();
});
after(async () => {
  await images.stop();
  await rm(directory, { recursive: true });
});

async function qemuImg(...args: string[]): Promise<void> {
  await run("qemu-img", args, { cwd: directory });
}

async function importDisk(file: string): Promise<MaterializedImage> {
  const data = await readFile(join(directory, file));
  const header = {
    name: "disk",
    files: [{ role: "disk", sizeBytes: data.length }],
    operationId: "op",
  };
  using imported = await images.import(
    header,
    (async function* () {
      yield data;
    })(),
    never,
  );
  manifests.push(imported.manifest);
  return await images.materialize(imported.manifest, never);
}

test("a standalone qcow2 image is taken as it is, and QEMU finds it sound", async () => {
  for (const options of [
    "compat=1.1",
    "compat=0.10",
    "compat=1.1,compression_type=zstd",
    "compat=1.1,extended_l2=on",
  ]) {
    await qemuImg("create", "-q", "-f", "qcow2", "-o", options, "plain.qcow2", "64M");
    const { disk } = await importDisk("plain.qcow2");
    assert.equal(disk?.format, "qcow2");
    await qemuImg("check", "-q", "-f", "qcow2", disk.path);
  }
});

test("a raw disk is taken as raw", async () => {
  await qemuImg("create", "-q", "-f", "raw", "plain.raw", "9M");
  const { disk } = await importDisk("plain.raw");
  assert.equal(disk?.format, "raw");
  assert.equal((await stat(disk.path)).size, 9 * 2 ** 20);
});

for (const [what, args] of [
  ["a backing file", ["-f", "qcow2", "-b", "base.qcow2", "-F", "qcow2", "hostile.qcow2"]],
  [
    "a backing file in the old format",
    ["-f", "qcow2", "-o", "compat=0.10", "-b", "base.qcow2", "-F", "qcow2", "hostile.qcow2"],
  ],
  ["an external data file", ["-f", "qcow2", "-o", "data_file=data.raw", "hostile.qcow2", "8M"]],
  ["another hypervisor's format (vmdk)", ["-f", "vmdk", "hostile.qcow2", "8M"]],
  ["another hypervisor's format (vhdx)", ["-f", "vhdx", "hostile.qcow2", "8M"]],
  ["another hypervisor's format (vdi)", ["-f", "vdi", "hostile.qcow2", "8M"]],
] as const) {
  test(`a disk with ${what} is refused with what to do`, async () => {
    await qemuImg("create", "-q", "-f", "qcow2", "base.qcow2", "8M");
    await rm(join(directory, "hostile.qcow2"), { force: true });
    await qemuImg("create", "-q", ...args);
    await assert.rejects(importDisk("hostile.qcow2"), (error) => {
      assert.ok(error instanceof BlixardError, String(error));
      assert.equal(error.code, "IMAGE_INVALID");
      assert.ok((error.hint ?? "").length > 10);
      return true;
    });
  });
}
