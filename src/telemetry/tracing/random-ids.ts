/** Trace and span ids: random, never all zero (W3C Trace Context). */
import { randomFillSync } from "node:crypto";
import { timedTraceId } from "#model/trace-context.ts";

export interface RandomIds {
  generateTraceId(): string;
  generateSpanId(): string;
}

export interface RandomIdsOptions {
  /** Fills a buffer with random bytes. */
  readonly fill?: (buffer: Buffer) => unknown;
  /** Unix time in ms. Present: trace ids begin with it, as X-Ray's do. */
  readonly traceTime?: () => number;
}

const POOL_BYTES = 4_096;

/** Draws from a pool: one call of the system's generator gives a few hundred ids. */
export function createRandomIds({ fill = randomFillSync, traceTime }: RandomIdsOptions = {}): RandomIds {
  const pool = Buffer.alloc(POOL_BYTES);
  let offset = POOL_BYTES;

  function draw(bytes: number): string {
    for (;;) {
      if (offset + bytes > POOL_BYTES) {
        fill(pool);
        offset = 0;
      }
      const id = pool.toString("hex", offset, offset + bytes);
      offset += bytes;
      if (!/^0+$/.test(id)) return id;
    }
  }

  return {
    generateTraceId: () => (traceTime === undefined ? draw(16) : timedTraceId(traceTime(), draw(12))),
    generateSpanId: () => draw(8),
  };
}
