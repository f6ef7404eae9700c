import assert from "node:assert/strict";
import { test } from "node:test";
import { toBinary, type DescMessage } from "@bufbuild/protobuf";
import { ExportLogsServiceRequestSchema } from "#gen/otlp/opentelemetry/proto/collector/logs/v1/logs_service_pb.ts";
import { ExportMetricsServiceRequestSchema } from "#gen/otlp/opentelemetry/proto/collector/metrics/v1/metrics_service_pb.ts";
import { ExportTraceServiceRequestSchema } from "#gen/otlp/opentelemetry/proto/collector/trace/v1/trace_service_pb.ts";
import { readOtlpJson } from "#test/support/otlp-json.ts";
import { createRandom, randomMessage } from "#test/support/random-message.ts";
import { buildSpan } from "#test/support/spans.ts";
import type { OtlpSignal } from "./destination.ts";
import { encodeJson } from "./encode-json.ts";
import { encodeSpans } from "./encode-spans.ts";

const schemas: Readonly<Record<OtlpSignal, DescMessage>> = {
  traces: ExportTraceServiceRequestSchema,
  metrics: ExportMetricsServiceRequestSchema,
  logs: ExportLogsServiceRequestSchema,
};

test("whatever a request holds, its JSON is what a strict receiver reads back as the same request", () => {
  for (const [signal, schema] of Object.entries(schemas) as [OtlpSignal, DescMessage][]) {
    const random = createRandom(20_261_122);
    for (let round = 0; round < 100; round++) {
      const message = randomMessage(schema, random);
      const bytes = toBinary(schema, message);
      const read = readOtlpJson(schema, encodeJson(signal, bytes).toString("utf8"));
      // As bytes: NaN is not equal to itself.
      assert.deepEqual(Buffer.from(toBinary(schema, read)), Buffer.from(bytes), `${signal} ${round}`);
    }
  }
});

test("a span in JSON, letter by letter", () => {
  const span = buildSpan({
    traceId: "5b8efff798038103d269b633813fc60c",
    spanId: "eee19b7ec3c1b174",
    parentSpanId: "eee19b7ec3c1b173",
    name: "vm.start",
    kind: "server",
    startUnixNano: 1_544_712_660_000_000_000n,
    endUnixNano: 1_544_712_661_000_000_000n,
    status: { code: "error", message: "no" },
    // Keys that look like fields are the user's own.
    attributes: { traceId: "q83vASNFZ4k=", count: 9_007_199_254_740_991, share: 0.5, ok: true },
    links: [{ traceId: "5b8efff798038103d269b633813fc60d", spanId: "eee19b7ec3c1b175", attributes: {} }],
  });
  const [request] = encodeSpans([span]).requests;
  assert.ok(request !== undefined);
  assert.deepEqual(JSON.parse(encodeJson("traces", request.bytes).toString("utf8")), {
    resourceSpans: [
      {
        resource: { attributes: [{ key: "service.name", value: { stringValue: "blixard" } }] },
        scopeSpans: [
          {
            scope: { name: "blixard" },
            spans: [
              {
                traceId: "5b8efff798038103d269b633813fc60c",
                spanId: "eee19b7ec3c1b174",
                parentSpanId: "eee19b7ec3c1b173",
                flags: 1,
                name: "vm.start",
                kind: 2,
                startTimeUnixNano: "1544712660000000000",
                endTimeUnixNano: "1544712661000000000",
                attributes: [
                  { key: "traceId", value: { stringValue: "q83vASNFZ4k=" } },
                  { key: "count", value: { intValue: "9007199254740991" } },
                  { key: "share", value: { doubleValue: 0.5 } },
                  { key: "ok", value: { boolValue: true } },
                ],
                links: [{ traceId: "5b8efff798038103d269b633813fc60d", spanId: "eee19b7ec3c1b175" }],
                status: { code: 2, message: "no" },
              },
            ],
          },
        ],
      },
    ],
  });
});
