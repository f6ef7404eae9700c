import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, utimesSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { findCacheDir } from "../../scripts/setup/cache-dir.mjs";
import { buildDemoImage, type DemoImage } from "./build.ts";

test("building twice, at other times and places, gives the same bytes", async (t) => {
  const dir = mkdtempSync(join(tmpdir(), "blixard-image-"));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const cacheDir = findCacheDir(process.env);
  const first = await buildDemoImage({ cacheDir, outDir: join(dir, "a") });
  utimesSync(join(import.meta.dirname, "init"), new Date(), new Date());
  const second = await buildDemoImage({ cacheDir, outDir: join(dir, "b", "deep") });
  assert.deepEqual(digests(second), digests(first));
});

test("the command line stands beside the kernel for whoever imports the image", async (t) => {
  const dir = mkdtempSync(join(tmpdir(), "blixard-image-"));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const image = await buildDemoImage({ cacheDir: findCacheDir(process.env), outDir: dir });
  assert.equal(readFileSync(image.commandLinePath, "utf8"), `${image.commandLine}\n`);
});

function digests(image: DemoImage): string[] {
  return [image.kernelPath, image.initrdPath, image.commandLinePath].map((path) =>
    createHash("sha256").update(readFileSync(path)).digest("hex"),
  );
}
