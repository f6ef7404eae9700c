/** Trace and span ids: random, never all zero (W3C Trace Context). */
import { randomFillSync } from "node:crypto";

export interface RandomIds {
  generateTraceId(): string;
  generateSpanId(): string;
}

const POOL_BYTES = 4_096;

/** Draws from a pool: one call of the system's generator gives a few hundred ids. */
export function createRandomIds(fill: (buffer: Buffer) => unknown = (buffer) => randomFillSync(buffer)): RandomIds {
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

  return { generateTraceId: () => draw(16), generateSpanId: () => draw(8) };
}
