/** An import that is killed at any moment leaves nothing that counts as whole and is not. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { test } from "node:test";
import { createImageStore } from "#image/image-store.ts";
import { createMemoryTelemetry } from "#test/support/memory-telemetry.ts";
import { createSeededRandom, testSeed } from "#test/support/seeded-random.ts";

const KILLS = 12;
const MAXIMUM_DELAY_MS = 120;

/** Imports one random image after the other, and says when it began. */
const importForEver = `
  import { randomBytes } from "node:crypto";
    import { createImageStore } from "#image/image-store.ts";
  import { createMemoryTelemetry } from "#test/support/memory-telemetry.ts";
  const images = createImageStore({
    directory: process.argv[1], listManifests: async () => [], telemetry: createMemoryTelemetry(), now: Date.now,
  });
  await images.start();
  process.stdout.write("started\\n");
  for (;;) {
    const disk = randomBytes(9_000_000);
    const header = { name: "demo", files: [{ role: "disk", sizeBytes: disk.length }], operationId: "op" };
    const imported = await images.import(header, (async function* () { yield disk; })(), new AbortController().signal);
    await images.materialize(imported.manifest, new AbortController().signal);
  }
`;

test("kill -9 at random moments of imports leaves only whole chunks and whole files", async (context) => {
  const directory = await mkdtemp(join(tmpdir(), "blixard-image-crash-"));
  context.after(() => rm(directory, { recursive: true }));
  const seed = testSeed();
  context.diagnostic(`seed ${seed}`);
  const random = createSeededRandom(seed);
  for (let kill = 0; kill < KILLS; kill++) {
    const child = spawn(process.execPath, ["--input-type=module-typescript", "--eval", importForEver, directory], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    await once(child.stdout, "data");
    const timer = setTimeout(() => child.kill("SIGKILL"), random.below(MAXIMUM_DELAY_MS));
    const [, signal] = await once(child, "exit");
    clearTimeout(timer);
    assert.equal(signal, "SIGKILL");
    await assertWhole(join(directory, "chunks"));
    await assertWhole(join(directory, "files"));
  }
  const images = createImageStore({
    directory,
    listManifests: () => Promise.resolve([]),
    telemetry: createMemoryTelemetry(),
    now: () => Date.now(),
  });
  await images.start();
  const disk = Buffer.alloc(5_000_000, "still usable ");
  const header = {
    name: "demo",
    files: [{ role: "disk", sizeBytes: disk.length }],
    operationId: "op",
  };
  const never = new AbortController().signal;
  const imported = await images.import(header, oneOf(disk), never);
  const image = await images.materialize(imported.manifest, never);
  assert.deepEqual(await readFile(image.disk?.path ?? ""), disk);
  imported[Symbol.dispose]();
  await images.collectGarbage();
  await images.stop();
  const left = await readdir(directory, { recursive: true, withFileTypes: true });
  assert.deepEqual(
    left.filter((entry) => entry.isFile()),
    [],
  );
});

async function* oneOf(data: Buffer): AsyncGenerator<Uint8Array> {
  yield data;
}

async function assertWhole(directory: string): Promise<void> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  for (const entry of entries.filter((candidate) => candidate.isFile())) {
    const sum = createHash("sha256").update(await readFile(join(entry.parentPath, entry.name)));
    assert.equal(sum.digest("hex"), basename(entry.name));
  }
}
