import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { chmod, mkdtemp, open, readdir, readFile, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { imageImportDuration, imageMaterializationDuration, imageStorageUsage } from "#gen/telemetry/metrics.ts";
import { BlixardError, type ErrorCode } from "#model/errors.ts";
import type { ImageManifest } from "#model/image.ts";
import { createMemoryTelemetry, type MemoryTelemetry } from "#test/support/memory-telemetry.ts";
import { waitFor } from "#test/support/wait-for.ts";
import type { OpenFile } from "./durable-file.ts";
import { createImageStore, type ImageStore } from "./image-store.ts";
import { CHUNK_SIZE_BYTES } from "./manifest.ts";

const never = new AbortController().signal;

interface Fixture {
  readonly directory: string;
  readonly images: ImageStore;
  readonly telemetry: MemoryTelemetry;
  /** What "the store" holds. */
  readonly manifests: ImageManifest[];
  readonly store: { listManifests: () => Promise<readonly ImageManifest[]> };
}

async function start(
  context: TestContext,
  options: { open?: OpenFile; maximumImports?: number } = {},
): Promise<Fixture> {
  const directory = await mkdtemp(join(tmpdir(), "blixard-image-"));
  const telemetry = createMemoryTelemetry();
  const manifests: ImageManifest[] = [];
  const store = { listManifests: () => Promise.resolve(manifests) };
  const images = createImageStore({
    directory: join(directory, "images"),
    listManifests: () => store.listManifests(),
    telemetry,
    now: () => Date.now(),
    ...options,
  });
  await images.start();
  context.after(async () => {
    await images.stop();
    await rm(directory, { recursive: true });
  });
  return { directory: join(directory, "images"), images, telemetry, manifests, store };
}

function kernelOf(sizeBytes: number): Buffer {
  const kernel = randomBytes(Math.max(sizeBytes, 1024));
  kernel.writeUInt16LE(0xaa55, 0x1fe);
  kernel.write("HdrS", 0x202, "latin1");
  return kernel;
}

async function* inPieces(data: Buffer, pieceBytes = 1_000_003): AsyncGenerator<Uint8Array> {
  for (let offset = 0; offset < data.length; offset += pieceBytes) yield data.subarray(offset, offset + pieceBytes);
}

interface Content {
  readonly name?: string;
  readonly kernel?: Buffer;
  readonly initrd?: Buffer;
  readonly disk?: Buffer;
}

/** Imports and, as the API does, puts the manifest into "the store" before letting go. */
async function importImage(fixture: Fixture, content: Content): Promise<ImageManifest> {
  const files = (["kernel", "initrd", "disk"] as const).flatMap((role) => {
    const data = content[role];
    return data === undefined ? [] : [{ role, data }];
  });
  const header = {
    name: content.name ?? "demo",
    files: files.map(({ role, data }) => ({ role, sizeBytes: data.length })),
    operationId: "op-1",
  };
  const data = inPieces(Buffer.concat(files.map((file) => file.data)));
  using imported = await fixture.images.import(header, data, never);
  fixture.manifests.push(imported.manifest);
  return imported.manifest;
}

async function listFiles(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => entry.name);
}

const fails =
  (code: ErrorCode) =>
  (error: unknown): boolean => {
    assert.ok(error instanceof BlixardError, String(error));
    assert.equal(error.code, code);
    return true;
  };

const sha256 = (data: Buffer): string => createHash("sha256").update(data).digest("hex");

test("what was imported comes out byte by byte, as files that an unprivileged hypervisor can read", async (context) => {
  const fixture = await start(context);
  const content = { kernel: kernelOf(9_000_001), initrd: randomBytes(100_000), disk: Buffer.alloc(5_000_000, 7) };
  const manifest = await importImage(fixture, content);
  const image = await fixture.images.materialize(manifest, never);
  assert.deepEqual(await readFile(image.kernelPath ?? ""), content.kernel);
  assert.deepEqual(await readFile(image.initrdPath ?? ""), content.initrd);
  assert.equal(image.disk?.format, "raw");
  assert.deepEqual(await readFile(image.disk.path), content.disk);
  for (const path of [image.kernelPath ?? "", image.initrdPath ?? "", image.disk.path]) {
    assert.equal((await stat(path)).mode & 0o777, 0o444);
  }
  for (const path of [fixture.directory, join(fixture.directory, "files")]) {
    assert.equal((await stat(path)).mode & 0o777, 0o711);
  }
  assert.deepEqual(await readdir(join(fixture.directory, "temporary")), []);
});

test("the manifest carries each file's sum, and an equal image has an equal digest under any name", async (context) => {
  const fixture = await start(context);
  const kernel = kernelOf(CHUNK_SIZE_BYTES + 1);
  const one = await importImage(fixture, { name: "one", kernel });
  const two = await importImage(fixture, { name: "two", kernel });
  const other = await importImage(fixture, { name: "three", kernel: kernelOf(2048) });
  assert.equal(one.files[0]?.sha256, sha256(kernel));
  assert.equal(one.files[0].chunkSha256.length, 2);
  assert.equal(one.digest, two.digest);
  assert.notEqual(one.digest, other.digest);
});

test("equal chunks are kept once, and zeros take no space in the whole file", async (context) => {
  const fixture = await start(context);
  const disk = Buffer.alloc(5 * CHUNK_SIZE_BYTES);
  disk.write("boot", 0);
  const manifest = await importImage(fixture, { disk });
  assert.equal((await listFiles(join(fixture.directory, "chunks"))).length, 2);
  const { disk: file } = await fixture.images.materialize(manifest, never);
  const { size, blocks } = await stat(file?.path ?? "");
  assert.equal(size, disk.length);
  assert.ok(blocks * 512 <= CHUNK_SIZE_BYTES + 65_536, `${blocks} blocks`);
});

test("a file of one chunk shares the chunk's space", async (context) => {
  const fixture = await start(context);
  const manifest = await importImage(fixture, { kernel: kernelOf(2048) });
  const { kernelPath } = await fixture.images.materialize(manifest, never);
  assert.equal((await stat(kernelPath ?? "")).nlink, 2);
  await fixture.telemetry.collect();
  assert.equal(fixture.telemetry.value(imageStorageUsage, { "blixard.image.storage_kind": "files" }), 0);
  assert.ok((fixture.telemetry.value(imageStorageUsage, { "blixard.image.storage_kind": "chunks" }) ?? 0) > 0);
});

test("callers at the same time share the work, and one that gives up takes nothing from the others", async (context) => {
  const fixture = await start(context);
  const kernel = kernelOf(3 * CHUNK_SIZE_BYTES);
  const manifest = await importImage(fixture, { kernel });
  const impatient = new AbortController();
  const gaveUp = fixture.images.materialize(manifest, impatient.signal);
  const others = [1, 2, 3].map(() => fixture.images.materialize(manifest, never));
  impatient.abort(new Error("enough"));
  await assert.rejects(gaveUp, /enough/);
  for (const image of await Promise.all(others)) assert.deepEqual(await readFile(image.kernelPath ?? ""), kernel);
  await fixture.images.materialize(manifest, never);
  const results = fixture.telemetry
    .spansNamed("image.materialize")
    .map((span) => span.attributes["blixard.image.cache_result"]);
  assert.equal(results.at(-1), "hit");
  const misses = fixture.telemetry
    .series(imageMaterializationDuration)
    .find((series) => series.attributes["blixard.image.cache_result"] === "miss");
  assert.equal(misses?.values.length, 3);
});

for (const [what, damage] of [
  ["truncated", (path: string) => truncate(path, 1000)],
  ["overwritten", (path: string) => writeFile(path, Buffer.alloc(CHUNK_SIZE_BYTES))],
  ["removed", (path: string) => rm(path)],
] as const) {
  test(`a chunk that was ${what} is named, nothing is made of it, and importing again repairs it`, async (context) => {
    const fixture = await start(context);
    const kernel = kernelOf(2 * CHUNK_SIZE_BYTES);
    const manifest = await importImage(fixture, { kernel });
    const chunk = manifest.files[0]?.chunkSha256[1] ?? "";
    const path = join(fixture.directory, "chunks", chunk.slice(0, 2), chunk);
    await chmod(path, 0o600);
    await damage(path);
    await assert.rejects(fixture.images.materialize(manifest, never), (error) => {
      assert.ok(error instanceof BlixardError && error.code === "IMAGE_CORRUPT");
      assert.match(String(error.cause), new RegExp(chunk));
      assert.match(error.hint ?? "", /[Ii]mport/);
      return true;
    });
    await assert.rejects(fixture.images.readChunk(chunk), fails("IMAGE_CORRUPT"));
    assert.deepEqual(await readdir(join(fixture.directory, "files")), []);
    await importImage(fixture, { name: "again", kernel });
    const { kernelPath } = await fixture.images.materialize(manifest, never);
    assert.deepEqual(await readFile(kernelPath ?? ""), kernel);
  });
}

test("a whole file that was cut off is made again", async (context) => {
  const fixture = await start(context);
  const kernel = kernelOf(2 * CHUNK_SIZE_BYTES);
  const manifest = await importImage(fixture, { kernel });
  const { kernelPath = "" } = await fixture.images.materialize(manifest, never);
  await chmod(kernelPath, 0o600);
  await truncate(kernelPath, 5);
  await fixture.images.materialize(manifest, never);
  assert.deepEqual(await readFile(kernelPath), kernel);
});

test("a stream that is shorter or longer than announced, or no kernel, leaves nothing behind", async (context) => {
  const fixture = await start(context);
  const kernel = kernelOf(2 * CHUNK_SIZE_BYTES);
  const header = (sizeBytes: number) => ({ name: "demo", files: [{ role: "kernel", sizeBytes }], operationId: "op-1" });
  for (const [sizeBytes, data] of [
    [kernel.length + 1, kernel],
    [kernel.length - 1, kernel],
    [1000, Buffer.alloc(1000)],
  ] as const) {
    await assert.rejects(fixture.images.import(header(sizeBytes), inPieces(data), never), fails("IMAGE_INVALID"));
  }
  await waitFor("nothing is left", async () => (await listFiles(fixture.directory)).length === 0);
  const failures = fixture.telemetry
    .series(imageImportDuration)
    .find((series) => series.attributes["error.type"] === "IMAGE_INVALID");
  assert.equal(failures?.values.length, 3);
});

test("a full disk is DISK_FULL with what to do, and the space is given back", async (context) => {
  let freeBytes = 3 * CHUNK_SIZE_BYTES;
  const fixture = await start(context, {
    async open(path, flags, mode) {
      const file = await open(path, flags, mode);
      const write = file.writeFile.bind(file);
      file.writeFile = async (data) => {
        freeBytes -= (data as Buffer).length;
        if (freeBytes < 0) throw Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" });
        await write(data);
      };
      return file;
    },
  });
  await assert.rejects(importImage(fixture, { disk: randomBytes(5 * CHUNK_SIZE_BYTES) }), (error) => {
    assert.ok(error instanceof BlixardError && error.code === "DISK_FULL");
    assert.match(error.hint ?? "", /room/);
    return true;
  });
  await waitFor("the space is free again", async () => (await listFiles(fixture.directory)).length === 0);
});

test("a caller that goes away in the middle gets CANCELLED, also while no bytes come", async (context) => {
  const fixture = await start(context);
  const abort = new AbortController();
  async function* stalls(): AsyncGenerator<Uint8Array> {
    yield kernelOf(CHUNK_SIZE_BYTES + 5);
    abort.abort();
    await new Promise(() => undefined);
  }
  const header = {
    name: "demo",
    files: [{ role: "kernel", sizeBytes: 2 * CHUNK_SIZE_BYTES }],
    operationId: "op",
  };
  await assert.rejects(fixture.images.import(header, stalls(), abort.signal), fails("CANCELLED"));
  await waitFor("nothing is left", async () => (await listFiles(fixture.directory)).length === 0);
});

test("removing an image keeps what another one shares with it", async (context) => {
  const fixture = await start(context);
  const kernel = kernelOf(2 * CHUNK_SIZE_BYTES);
  const one = await importImage(fixture, { name: "one", kernel, initrd: randomBytes(5000) });
  const two = await importImage(fixture, { name: "two", kernel, initrd: randomBytes(6000) });
  await fixture.images.materialize(one, never);
  await fixture.images.materialize(two, never);
  fixture.manifests.splice(fixture.manifests.indexOf(one), 1);
  await fixture.images.remove(one);
  assert.equal((await listFiles(join(fixture.directory, "chunks"))).length, 3);
  assert.deepEqual(
    (await readdir(join(fixture.directory, "files"))).sort(),
    two.files.map((file) => file.sha256).sort(),
  );
  assert.equal(fixture.telemetry.spansNamed("image.delete").length, 1);
  fixture.manifests.splice(0);
  await fixture.images.remove(two);
  assert.deepEqual(await listFiles(fixture.directory), []);
});

test("an import in progress keeps its chunks, even those that nobody else needs any more", async (context) => {
  const fixture = await start(context);
  const kernel = kernelOf(2 * CHUNK_SIZE_BYTES);
  const old = await importImage(fixture, { name: "old", kernel });
  const header = {
    name: "new",
    files: [{ role: "kernel", sizeBytes: kernel.length }],
    operationId: "op",
  };
  const imported = await fixture.images.import(header, inPieces(kernel), never);
  fixture.manifests.splice(0);
  await fixture.images.remove(old);
  fixture.manifests.push(imported.manifest);
  imported[Symbol.dispose]();
  await fixture.images.collectGarbage();
  const { kernelPath } = await fixture.images.materialize(imported.manifest, never);
  assert.deepEqual(await readFile(kernelPath ?? ""), kernel);
});

test("nothing is removed while the store cannot say what it holds", async (context) => {
  const fixture = await start(context);
  const manifest = await importImage(fixture, { kernel: kernelOf(2048) });
  const answer = fixture.store.listManifests;
  fixture.store.listManifests = () => Promise.reject(new BlixardError("STORE_UNAVAILABLE", "no member answers"));
  await fixture.images.collectGarbage();
  assert.equal(await fixture.images.hasChunk(manifest.files[0]?.chunkSha256[0] ?? ""), true);
  assert.equal(fixture.telemetry.logs.at(-1)?.level, "warn");
  fixture.store.listManifests = answer;
  fixture.manifests.splice(0);
  await fixture.images.collectGarbage();
  assert.deepEqual(await listFiles(fixture.directory), []);
});

test("more imports at a time than the node bears are refused, and the others go on", async (context) => {
  const fixture = await start(context, { maximumImports: 1 });
  const kernel = kernelOf(4096);
  const header = {
    name: "one",
    files: [{ role: "kernel", sizeBytes: kernel.length }],
    operationId: "op",
  };
  const gate = Promise.withResolvers<void>();
  async function* slow(): AsyncGenerator<Uint8Array> {
    await gate.promise;
    yield kernel;
  }
  const first = fixture.images.import(header, slow(), never);
  await assert.rejects(importImage(fixture, { name: "two", kernel }), fails("TOO_MANY_REQUESTS"));
  gate.resolve();
  using imported = await first;
  assert.equal(imported.manifest.files[0]?.sha256, sha256(kernel));
});

test("what a crash left half-written is gone after the next start", async (context) => {
  const fixture = await start(context);
  await writeFile(join(fixture.directory, "temporary", "leftover"), "half");
  await fixture.images.start();
  assert.deepEqual(await readdir(join(fixture.directory, "temporary")), []);
});
