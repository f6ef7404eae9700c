/** A real guest and its disks: the image stays as it is, what the guest writes stays with the VM. */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { chmod, mkdtemp, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import type { MaterializedImage } from "#model/image.ts";
import type { LaunchRequest, Machine, Runtime } from "#runtime/runtime.ts";
import {
  buildTestImage,
  createQemuScene,
  launchRequest,
  never,
  nextEvent,
  type QemuScene,
  runInGuest,
} from "#test/support/qemu-scene.ts";

const MEBIBYTE = 1024 * 1024;

describe("a guest's disks", () => {
  let images: string;
  let image: MaterializedImage;
  let scene: QemuScene;

  before(async () => {
    images = await mkdtemp(join(tmpdir(), "blixard-images-"));
    const path = join(images, "disk.raw");
    await writeFile(path, "original content\n");
    await truncate(path, 8 * MEBIBYTE);
    await chmod(path, 0o444);
    image = { ...(await buildTestImage(images)), disk: { path, format: "raw" } };
    scene = await createQemuScene();
  });
  after(async () => {
    await scene.end();
    await rm(images, { recursive: true, force: true });
  });

  async function boot(runtime: Runtime, request: LaunchRequest): Promise<Machine> {
    const machine = await runtime.launch({ ...request, instanceId: randomUUID() }, never);
    assert.equal((await nextEvent(machine.events[Symbol.asyncIterator]())).kind, "ready");
    return machine;
  }

  it("begin as the image's, and keep what is written over a restart, while the image does not change", async () => {
    const { runtime } = await scene.startRuntime();
    const request = launchRequest(image, {
      disks: [{ name: "data", sizeBytes: 16 * MEBIBYTE, kind: "persistent" }],
    });
    const first = await boot(runtime, request);
    const seen = await runInGuest(
      runtime,
      first,
      "head -n 1 /dev/vda; cat /sys/block/vda/serial /sys/block/vdb/serial /sys/block/vdb/size",
    );
    assert.match(seen, /original content\r\n/);
    assert.match(seen, /root\r?\n?data\r?\n?32768/);
    await runInGuest(runtime, first, "echo on-root >/dev/vda; echo on-data >/dev/vdb; sync");
    const usage = await first.usage();
    assert.deepEqual(
      usage.disks.map((disk) => [disk.name, disk.readBytes > 0, disk.writtenBytes > 0, disk.writeOperations > 0]),
      [
        ["root", true, true, true],
        ["data", true, true, true],
      ],
    );
    await first.shutdown({ timeoutMs: 60_000, force: false });

    const second = await boot(runtime, request);
    const kept = await runInGuest(runtime, second, "head -n 1 /dev/vda; head -n 1 /dev/vdb");
    assert.match(kept, /on-root\r\non-data/);
    await second.shutdown({ timeoutMs: 0, force: true });
    assert.equal((await readFile(join(images, "disk.raw"))).toString("utf8", 0, 16), "original content");
    await runtime.remove(request.vmId);
  });
});
