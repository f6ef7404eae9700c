/** The demo image for tests: built once a machine run, imported by the real CLI. */
import { rmSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildDemoImage } from "../../images/demo/build.ts";
import { findCacheDir } from "../../scripts/setup/cache-dir.mjs";
import type { TestNode } from "./test-node.ts";

export type DemoImage = Awaited<ReturnType<typeof buildDemoImage>>;

let built: Promise<DemoImage> | undefined;

export function demoImage(): Promise<DemoImage> {
  built ??= build();
  return built;
}

async function build(): Promise<DemoImage> {
  const outDir = await mkdtemp(join(tmpdir(), "blixard-demo-image-"));
  process.once("exit", () => rmSync(outDir, { recursive: true, force: true }));
  return buildDemoImage({ cacheDir: findCacheDir(process.env), outDir });
}

/** Imports the demo image as `demo`. */
export async function importDemoImage(node: TestNode, name = "demo"): Promise<void> {
  const image = await demoImage();
  await node.json([
    "image",
    "import",
    name,
    "--kernel",
    image.kernelPath,
    "--initrd",
    image.initrdPath,
    "--cmdline",
    image.commandLine,
    "--guest-agent",
  ]);
}
