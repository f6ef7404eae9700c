import assert from "node:assert/strict";
import { test } from "node:test";
import type { TraceContext } from "#model/trace-context.ts";
import type { Vm } from "#model/vm.ts";
import { aSpec, aStatus } from "#test/support/store-fixtures.ts";
import { vmToMessage } from "./vm-message.ts";

const trace: TraceContext = {
  traceId: "0af7651916cd43dd8448eb211c80319c",
  spanId: "b7ad6b7169203331",
  sampled: true,
  traceState: "vendor=1",
  baggage: "user=alice",
};

const vm: Vm = {
  intent: {
    id: "vm-1",
    name: "web",
    spec: aSpec(),
    desiredState: "running",
    generation: 1,
    restartGeneration: 0,
    force: false,
    createTimeMs: 1_700_000_000_000,
    origin: trace,
    operations: [
      { operationId: "stop-1", kind: "stop", trace, timeMs: 1_700_000_001_000 },
      { operationId: "create-1", kind: "create", trace: undefined, timeMs: 1_700_000_000_000 },
    ],
    createOperationId: "create-1",
    createRequestDigest: "",
    imageDigest: "",
  },
  placement: undefined,
  status: aStatus(),
};

test("a VM names the traces of its operations, and shows nobody what baggage their callers sent", () => {
  const { origin, operations } = vmToMessage(vm);
  for (const context of [origin, operations[0]?.trace]) {
    assert.equal(context?.traceId, trace.traceId);
    assert.equal(context.traceState, "vendor=1");
    assert.equal(context.baggage, "");
  }
  assert.equal(operations[1]?.operationId, "create-1");
  assert.equal(operations[1].trace, undefined);
});
