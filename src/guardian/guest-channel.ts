/**
 * One descriptor of a guest (its monitor, its agent's port), held here so that it
 * outlives daemons. While nobody is attached nothing is read: the pipe fills and
 * the writer waits. The last attachment wins. The end of what was read is kept
 * for the report of the guest's exit.
 */
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";

export interface GuestChannel {
  attach(socket: Socket): void;
  /** The process is gone: reads what is left, then lets go. */
  finish(): void;
  /** At most 4 KiB of what was last read. */
  tail(): string;
}

const TAIL_BYTES = 4096;
// What a dead guest may have left in the pipe: more than a pipe holds.
const FINAL_BYTES = 1024 * 1024;

export function createGuestChannel(stream: Duplex): GuestChannel {
  let tail = Buffer.alloc(0);
  let attached: Socket | undefined;
  let isFinishing = false;
  let finalBytes = 0;

  stream.pause();
  stream.on("error", () => {});
  stream.on("end", () => attached?.end());
  stream.on("data", (chunk: Buffer) => {
    tail = Buffer.concat([tail, chunk]).subarray(-TAIL_BYTES);
    if (isFinishing) {
      finalBytes += chunk.length;
      if (finalBytes > FINAL_BYTES) stream.destroy();
    }
    const mayContinue = attached === undefined ? isFinishing : attached.write(chunk) || isFinishing;
    if (!mayContinue) stream.pause();
  });

  function detach(socket: Socket): void {
    if (attached !== socket) return;
    attached = undefined;
    if (!isFinishing) stream.pause();
  }

  return {
    attach(socket) {
      attached?.destroy();
      attached = socket;
      socket.on("close", () => detach(socket));
      socket.on("drain", () => {
        if (attached === socket) stream.resume();
      });
      socket.on("data", (chunk: Buffer) => {
        if (!stream.writable || stream.write(chunk)) return;
        socket.pause();
        stream.once("drain", () => socket.resume());
      });
      if (stream.destroyed || stream.readableEnded) socket.end();
      else stream.resume();
    },
    finish() {
      isFinishing = true;
      stream.resume();
    },
    tail: () => tail.toString("utf8"),
  };
}
