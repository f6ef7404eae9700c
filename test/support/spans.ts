/** Finished spans for tests: valid unless told otherwise. */
import { randomBytes } from "node:crypto";
import type { RecordedSpan } from "#model/recorded-span.ts";

export function buildSpan(overrides: Partial<RecordedSpan> = {}): RecordedSpan {
  const startUnixNano = overrides.startUnixNano ?? BigInt(Date.now()) * 1_000_000n;
  return {
    traceId: randomBytes(16).toString("hex"),
    spanId: randomBytes(8).toString("hex"),
    name: "test",
    kind: "internal",
    startUnixNano,
    endUnixNano: startUnixNano + 1_000_000n,
    status: { code: "unset" },
    attributes: {},
    links: [],
    events: [],
    resource: { attributes: { "service.name": "blixard" } },
    scope: { name: "blixard" },
    ...overrides,
  };
}
