/**
 * A VM's serial log for readers: what is kept, from the files, then what comes,
 * from the guardian. Offsets join the two without a gap and without a repeat,
 * over restarts of the guest and of the guardian.
 */
import type { GuardianClient } from "#guardian/guardian-client.ts";
import { endOffsetOf, listSegments, readSerialLog } from "#guardian/serial-log.ts";
import type { Clock } from "#model/clock.ts";
import type { LogChunk, ReadLogOptions } from "../runtime.ts";

export interface ReadVmLogOptions extends ReadLogOptions {
  readonly vmId: string;
  readonly logDir: string;
  readonly client: () => Promise<GuardianClient>;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

const RETRY_MS = 200;

export async function* readVmLog(options: ReadVmLogOptions): AsyncGenerator<LogChunk> {
  const { tailBytes, logDir, signal } = options;
  const endOffset = endOffsetOf(await listSegments(logDir));
  let position = tailBytes === 0 ? 0 : Math.max(0, endOffset - tailBytes);
  const source = options.follow ? followLog(options, () => position) : readSerialLog(logDir, position, Infinity);
  for await (const { offset, data } of source) {
    if (signal.aborted) return;
    // A guardian that starts anew repeats nothing: it goes on behind the files.
    yield { data, skippedBytes: Math.max(0, offset - position) };
    position = offset + data.length;
  }
}

interface Piece {
  readonly offset: number;
  readonly data: Buffer;
}

async function* followLog(options: ReadVmLogOptions, position: () => number): AsyncGenerator<Piece> {
  const { vmId, logDir, clock, signal } = options;
  while (!signal.aborted) {
    try {
      const client = await options.client();
      const stream = await client.openSerial({ vmId, logDir });
      const close = (): void => void stream.socket.destroy();
      signal.addEventListener("abort", close, { once: true });
      try {
        if (signal.aborted) return;
        yield* readSerialLog(logDir, position(), stream.offset);
        yield* stream.frames;
      } finally {
        signal.removeEventListener("abort", close);
        close();
      }
    } catch {
      // The guardian is gone; the next one has the same log.
    }
    await clock.delay(RETRY_MS, signal).catch(() => undefined);
  }
}
