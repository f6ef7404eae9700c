import assert from "node:assert/strict";
import { test } from "node:test";
import { ExportTraceServiceRequestSchema } from "#gen/otlp/opentelemetry/proto/collector/trace/v1/trace_service_pb.ts";
import { readOtlpJson } from "./otlp-json.ts";

function read(span: string): unknown {
  const text = `{"resourceSpans":[{"scopeSpans":[{"spans":[${span}]}]}]}`;
  return readOtlpJson(ExportTraceServiceRequestSchema, text).resourceSpans[0]?.scopeSpans[0]?.spans[0];
}

test("right JSON is read, and each thing that OTLP forbids in it is found", () => {
  read(`{"traceId":"5B8EFFF798038103D269B633813FC60C","spanId":"eee19b7ec3c1b174","kind":2,"startTimeUnixNano":"1"}`);
  const wrong: readonly (readonly [string, RegExp])[] = [
    [`{"traceId":"W47/95gDgQPSabYzgT/GDA=="}`, /traceId is not a hex id/],
    [`{"links":[{"spanId":"7uGbfsPBsXQ="}]}`, /spanId is not a hex id/],
    [`{"kind":"SPAN_KIND_SERVER"}`, /enum by name/],
    [`{"startTimeUnixNano":1544712660000000000}`, /64-bit integer as a number/],
    [`{"start_time_unix_nano":"1"}`, /no field start_time_unix_nano/],
    [`{"events":{}}`, /not a list/],
    [`[]`, /not an object/],
  ];
  for (const [span, problem] of wrong) assert.throws(() => read(span), problem, span);
});
