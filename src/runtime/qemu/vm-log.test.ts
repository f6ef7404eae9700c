import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import type { Socket } from "node:net";
import { afterEach, beforeEach, describe, it } from "node:test";
import type { GuardianClient, SerialStream } from "#guardian/guardian-client.ts";
import { encodeFrameHeader, readFrames } from "#guardian/protocol.ts";
import { createSystemClock } from "#telemetry/system-clock.ts";
import { waitFor } from "#test/support/wait-for.ts";
import type { LogChunk } from "../runtime.ts";
import { readVmLog } from "./vm-log.ts";

describe("a VM's log", () => {
  let logDir: string;
  beforeEach(async () => {
    logDir = await mkdtemp(join(tmpdir(), "blixard-log-"));
  });
  afterEach(() => rm(logDir, { recursive: true }));

  const clock = createSystemClock();
  const noClient = (): never => assert.fail("no guardian is needed for what is kept");

  async function read(tailBytes: number): Promise<{ text: string; skipped: number }> {
    const signal = new AbortController().signal;
    const chunks = await Array.fromAsync(
      readVmLog({ vmId: "vm", logDir, follow: false, tailBytes, client: noClient, clock, signal }),
    );
    return toText(chunks);
  }

  function toText(chunks: readonly LogChunk[]): { text: string; skipped: number } {
    return {
      text: Buffer.concat(chunks.map((chunk) => chunk.data)).toString(),
      skipped: chunks.reduce((sum, chunk) => sum + chunk.skippedBytes, 0),
    };
  }

  it("gives what is kept, and how much is not", async () => {
    await writeFile(join(logDir, "serial-100.log"), "hello ");
    await writeFile(join(logDir, "serial-106.log"), "world");
    await writeFile(join(logDir, "serial-120.log"), "!");
    assert.deepEqual(await read(0), { text: "hello world!", skipped: 100 + 9 });
    assert.deepEqual(await read(1), { text: "!", skipped: 0 });
    assert.deepEqual(await read(12), { text: "ld!", skipped: 9 });
  });

  it("is empty for a VM that never ran", async () => {
    assert.deepEqual(await read(0), { text: "", skipped: 0 });
  });

  it("is followed without gap or repeat, past the death of a guardian", async () => {
    const streams: PassThrough[] = [];
    const offsets = [5, 15];
    /** Each connection finds the log at the next offset. */
    async function openSerial(): Promise<SerialStream> {
      const stream = new PassThrough();
      streams.push(stream);
      const offset = offsets[streams.length - 1] ?? 15;
      return { offset, frames: readFrames(stream), socket: stream as unknown as Socket };
    }
    const send = (stream: PassThrough | undefined, offset: number, text: string): void => {
      stream?.write(Buffer.concat([encodeFrameHeader(offset, text.length), Buffer.from(text)]));
    };
    await writeFile(join(logDir, "serial-0.log"), "01234");
    const controller = new AbortController();
    const chunks: LogChunk[] = [];
    const client = async (): Promise<GuardianClient> => ({ openSerial }) as unknown as GuardianClient;
    const { signal } = controller;
    const following = (async () => {
      const log = readVmLog({ vmId: "vm", logDir, follow: true, tailBytes: 0, client, clock, signal });
      for await (const chunk of log) chunks.push(chunk);
    })();
    await waitFor("the first connection", () => streams.length === 1);
    send(streams[0], 5, "56789");
    await waitFor("live output", () => toText(chunks).text === "0123456789");
    // The guardian dies; what the guest wrote meanwhile is in the file.
    await writeFile(join(logDir, "serial-0.log"), "0123456789abcde");
    streams[0]?.destroy();
    await waitFor("the next connection", () => streams.length === 2);
    send(streams[1], 20, "uv");
    await waitFor("output behind a gap", () => toText(chunks).text === "0123456789abcdeuv");
    assert.equal(toText(chunks).skipped, 5);
    controller.abort();
    await following;
  });
});
