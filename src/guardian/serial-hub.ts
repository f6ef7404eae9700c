/**
 * One VM's serial console: its output goes to the capped log first, then to
 * everyone who follows. The guest waits only for the log; a follower that is too
 * slow misses bytes, and the offsets of its frames say how many.
 */
import type { Socket } from "node:net";
import type { Readable, Writable } from "node:stream";
import { encodeFrameHeader } from "./protocol.ts";
import { openSerialLog, type SerialLogLimits, type SerialLogWriter } from "./serial-log.ts";

export interface SerialHub {
  /** Bytes of the log so far. */
  readonly endOffset: number;
  /** Takes over a guest's console; resolves when all of its output is in the log and its followers were ended. */
  attachGuest(instanceId: string, output: Readable, input: Writable): Promise<void>;
  /** The guest is gone: no input any more, and what of its output does not come soon never will. */
  detachGuest(instanceId: string): void;
  /** Sends frames to the socket until it closes. With an instance: takes its input and ends with it. */
  follow(socket: Socket, instanceId: string | undefined): void;
  close(): Promise<void>;
}

// What may wait for a follower before bytes are skipped.
const FOLLOWER_QUEUE_BYTES = 1024 * 1024;
const LAST_OUTPUT_WAIT_MS = 2_000;

interface AttachedGuest {
  readonly instanceId: string;
  readonly output: Readable;
  readonly input: Writable;
}

export async function openSerialHub(logDir: string, limits: SerialLogLimits): Promise<SerialHub> {
  const log = await openSerialLog(logDir, limits);
  const followers = new Map<Socket, string | undefined>();
  let guest: AttachedGuest | undefined;
  let pumping: Promise<void> = Promise.resolve();

  function send(chunk: Buffer, offset: number): void {
    for (const socket of followers.keys()) {
      if (socket.writableLength > FOLLOWER_QUEUE_BYTES) continue;
      socket.write(encodeFrameHeader(offset, chunk.length));
      socket.write(chunk);
    }
  }

  async function pumpAfter(before: Promise<void>, instanceId: string, output: Readable): Promise<void> {
    await before;
    await pump(output, log, send);
    endFollowersOf(instanceId);
  }

  function endFollowersOf(instanceId: string): void {
    for (const [socket, followed] of followers) {
      if (followed === instanceId) socket.end();
    }
  }

  return {
    get endOffset() {
      return log.endOffset;
    },
    attachGuest(instanceId, output, input) {
      guest = { instanceId, output, input };
      // A guest that is gone takes no input; its end is reported elsewhere.
      input.on("error", () => {});
      pumping = pumpAfter(pumping, instanceId, output);
      return pumping;
    },
    detachGuest(instanceId) {
      if (guest?.instanceId !== instanceId) return;
      const { output } = guest;
      guest = undefined;
      setTimeout(() => output.destroy(), LAST_OUTPUT_WAIT_MS).unref();
    },
    follow(socket, instanceId) {
      followers.set(socket, instanceId);
      socket.once("close", () => followers.delete(socket));
      if (instanceId === undefined) return;
      if (guest?.instanceId === instanceId) pipeInput(socket, guest.input);
      else socket.end();
    },
    async close() {
      for (const socket of followers.keys()) socket.end();
      await log.close();
    },
  };
}

/** Reads no further than the log has taken: a flooding guest waits, nothing piles up. */
async function pump(
  output: Readable,
  log: SerialLogWriter,
  send: (chunk: Buffer, offset: number) => void,
): Promise<void> {
  try {
    for await (const chunk of output as AsyncIterable<Buffer>) {
      const offset = log.endOffset;
      await log.append(chunk);
      send(chunk, offset);
    }
  } catch {
    // The pipe broke: the guest is gone.
  }
  await log.close();
}

function pipeInput(socket: Socket, input: Writable): void {
  socket.on("data", (chunk: Buffer) => {
    if (!input.writable) return;
    if (input.write(chunk)) return;
    socket.pause();
    input.once("drain", () => socket.resume());
  });
}
