import assert from "node:assert/strict";
import { mkdir, mkdtemp, open, readFile, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import type { DiskFormat, MaterializedImage } from "#model/image.ts";
import { findCacheDir, findTool } from "#process/find-tool.ts";
import { runCommandOrThrow } from "#process/run.ts";
import { ensureDisks, type EnsureDisksOptions } from "./vm-disks.ts";
import { hasCapability } from "#test/support/capability.ts";

const MEBIBYTE = 1024 * 1024;
const tools = { path: process.env["PATH"] ?? "", cacheDir: findCacheDir(process.env) };
const isRoot = process.getuid?.() === 0;

describe("a VM's disks", () => {
  let root: string;
  let dir: string;

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), "blixard-disks-"));
    dir = join(root, "guest");
  });
  afterEach(() => rm(root, { recursive: true, force: true }));

  function options(more: Partial<EnsureDisksOptions>, disk?: { path: string; format: DiskFormat }): EnsureDisksOptions {
    const image: MaterializedImage = {
      digest: "sha256:x",
      kernelPath: undefined,
      initrdPath: undefined,
      disk,
      commandLine: "",
      guestAgent: false,
    };
    return {
      dir,
      image,
      disks: [],
      user: undefined,
      findQemuImg: () => findTool("qemu-img", tools),
      signal: new AbortController().signal,
      ...more,
    };
  }

  const scratch = { name: "scratch", sizeBytes: 64 * MEBIBYTE, kind: "ephemeral" } as const;

  it("are sparse, of the size asked for, and only their owner's", async () => {
    const user = isRoot ? { uid: 12_345, gid: 12_346 } : undefined;
    await ensureDisks(options({ disks: [scratch], user }));
    const file = await stat(join(dir, "disk-scratch.raw"));
    assert.equal(file.size, 64 * MEBIBYTE);
    assert.equal(file.blocks, 0);
    assert.equal(file.mode & 0o777, 0o600);
    if (user !== undefined) assert.deepEqual([file.uid, file.gid], [user.uid, user.gid]);
  });

  it("keep what was written when the guest starts again", async () => {
    await ensureDisks(options({ disks: [scratch] }));
    const file = await open(join(dir, "disk-scratch.raw"), "r+");
    await file.write("kept");
    await file.close();
    await ensureDisks(options({ disks: [scratch] }));
    assert.equal((await readFile(join(dir, "disk-scratch.raw"))).toString("utf8", 0, 4), "kept");
  });

  it("need no other program when the image has no disk", async () => {
    const findQemuImg = (): string => assert.fail("qemu-img was looked for");
    await ensureDisks(options({ disks: [scratch], findQemuImg }));
  });

  for (const format of ["raw", "qcow2"] as const) {
    it(`begin with an overlay over a ${format} image, as large as its disk`, async () => {
      const path = join(root, `image.${format}`);
      if (format === "raw") await truncate(await touch(path), 24 * MEBIBYTE);
      else await qemuImg("create", "-q", "-f", "qcow2", path, String(24 * MEBIBYTE));
      const disks = await ensureDisks(options({ disks: [scratch] }, { path, format }));
      assert.deepEqual(
        disks.map((disk) => [disk.name, disk.format, disk.base?.format]),
        [
          ["root", "qcow2", format],
          ["scratch", "raw", undefined],
        ],
      );
      const info = JSON.parse(await qemuImg("info", "--output=json", join(dir, "root.qcow2"))) as Record<
        string,
        unknown
      >;
      assert.equal(info["virtual-size"], 24 * MEBIBYTE);
      assert.equal(info["backing-filename-format"], format);
    });
  }

  it("are made anew when an earlier attempt was cut off", async () => {
    await mkdir(dir);
    await writeFile(join(dir, "disk-scratch.raw.partial"), "half");
    await ensureDisks(options({ disks: [scratch] }));
    assert.equal((await stat(join(dir, "disk-scratch.raw"))).size, 64 * MEBIBYTE);
  });

  it("refuse an image that is not what it says", async () => {
    const path = join(root, "image.qcow2");
    await writeFile(path, "nothing of the kind, but long enough");
    await assert.rejects(ensureDisks(options({}, { path, format: "qcow2" })), { code: "IMAGE_INVALID" });
  });

  it("say that the disk is full", async (test) => {
    if (!hasCapability(test, "root", isRoot)) return;
    const small = join(root, "small");
    await mkdir(small);
    await run("mount", "-t", "tmpfs", "-o", "size=64k", "none", small);
    try {
      const path = await touch(join(root, "image.raw"));
      await truncate(path, 24 * MEBIBYTE);
      const full = options({ dir: join(small, "guest") }, { path, format: "raw" });
      await assert.rejects(ensureDisks(full), { code: "DISK_FULL" });
    } finally {
      await run("umount", small);
    }
  });

  async function touch(path: string): Promise<string> {
    await writeFile(path, "");
    return path;
  }

  function run(name: string, ...args: readonly string[]): Promise<string> {
    return runCommandOrThrow({ command: findTool(name, tools), args, timeoutMs: 30_000 });
  }

  function qemuImg(...args: readonly string[]): Promise<string> {
    return run("qemu-img", ...args);
  }
});
