import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import fc from "fast-check";
import { endOffsetOf, listSegments, openSerialLog, readSerialLog } from "./serial-log.ts";

const limits = { capacityBytes: 1000, segmentBytes: 500 };

describe("the serial log", () => {
  let dir: string;
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), "blixard-serial-"));
  });
  afterEach(() => rm(dir, { recursive: true, force: true }));

  async function readAll(from = 0): Promise<{ text: string; firstOffset: number | undefined }> {
    const pieces = await Array.fromAsync(readSerialLog(dir, from, Infinity));
    return { text: Buffer.concat(pieces.map((piece) => piece.data)).toString(), firstOffset: pieces[0]?.offset };
  }

  async function sizeOnDisk(): Promise<number> {
    return (await listSegments(dir)).reduce((sum, segment) => sum + segment.sizeBytes, 0);
  }

  it("keeps everything while there is room, over reopenings too", async () => {
    const first = await openSerialLog(dir, limits);
    await first.append(Buffer.from("hello "));
    await first.close();
    const second = await openSerialLog(dir, limits);
    assert.equal(second.endOffset, 6);
    await second.append(Buffer.from("world"));
    await second.close();
    assert.deepEqual(await readAll(), { text: "hello world", firstOffset: 0 });
    assert.equal((await readdir(dir)).length, 1);
  });

  it("never exceeds its capacity and keeps the newest, whatever is written", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 1500 }), { maxLength: 12 }), async (sizes) => {
        await rm(dir, { recursive: true, force: true });
        await mkdir(dir);
        const log = await openSerialLog(dir, limits);
        let written = Buffer.alloc(0);
        for (const [index, size] of sizes.entries()) {
          const chunk = Buffer.alloc(size, 97 + index);
          await log.append(chunk);
          written = Buffer.concat([written, chunk]);
          assert.ok((await sizeOnDisk()) <= limits.capacityBytes);
        }
        await log.close();
        assert.equal(log.endOffset, written.length);
        assert.equal(endOffsetOf(await listSegments(dir)), written.length);
        const kept = (await readAll()).text;
        assert.equal(kept, written.subarray(written.length - kept.length).toString());
        assert.ok(kept.length >= Math.min(written.length, limits.segmentBytes));
      }),
      { numRuns: 30 },
    );
  });

  it("reads from the middle", async () => {
    const log = await openSerialLog(dir, limits);
    await log.append(Buffer.from("0123456789".repeat(70)));
    await log.close();
    assert.deepEqual(await readAll(695), { text: "56789", firstOffset: 695 });
  });

  it("counts what the disk refuses and goes on behind the gap", async () => {
    const log = await openSerialLog(dir, limits);
    await log.append(Buffer.alloc(500, "a"));
    await rm(dir, { recursive: true });
    await log.append(Buffer.from("lost"));
    assert.equal(log.lostBytes, 4);
    await mkdir(dir);
    await log.append(Buffer.from("found"));
    await log.close();
    assert.deepEqual(await readAll(), { text: "found", firstOffset: 504 });
  });

  it("is empty when it does not exist", async () => {
    await rm(dir, { recursive: true });
    assert.deepEqual(await readAll(), { text: "", firstOffset: undefined });
  });
});
