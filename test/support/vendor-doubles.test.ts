/** The doubles of paid services are as strict as the services: what they refuse, and what they make of what they take. */
import assert from "node:assert/strict";
import { gzipSync } from "node:zlib";
import { suite, test } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { ExportMetricsServiceRequestSchema } from "#gen/otlp/opentelemetry/proto/collector/metrics/v1/metrics_service_pb.ts";
import { AggregationTemporality } from "#gen/otlp/opentelemetry/proto/metrics/v1/metrics_pb.ts";
import { Span_SpanKind, SpanSchema } from "#gen/otlp/opentelemetry/proto/trace/v1/trace_pb.ts";
import { encodeJson } from "#telemetry/otlp/encode-json.ts";
import { createCanary } from "#telemetry/doctor/canary.ts";
import { datadogMetrics, datadogSpan, startDatadogAgentDouble } from "./datadog-agent-double.ts";
import { startGrafanaCloudDouble } from "./grafana-cloud-double.ts";
import type { ReceivedPoint, ReceivedSpan } from "./otlp-receiver.ts";
import { exportToXRay, refuseSegment, startXRayDouble } from "./xray-double.ts";

const NOW = 1_795_000_000_000;
/** Something that is valid OTLP. */
const canary = createCanary({
  resource: { attributes: { "service.name": "blixard" } },
  scope: { name: "blixard", version: "0" },
  now: () => NOW,
  randomHex: (bytes) => "ab".repeat(bytes),
});

suite("Grafana Cloud's gateway", () => {
  const account = { instance: "123456", token: "glc_secret" };
  const basic = (user: string): string => `Basic ${Buffer.from(user).toString("base64")}`;
  const logs = canary.encode("logs");
  const rightHeaders = { authorization: basic("123456:glc_secret"), "content-type": "application/x-protobuf" };

  test("takes what is right, in both encodings, plain and gzip", async () => {
    await using gateway = await startGrafanaCloudDouble(account);
    const url = `${gateway.origin}/otlp/v1/logs`;
    const bodies = [
      [rightHeaders, logs],
      [{ ...rightHeaders, "content-encoding": "gzip" }, gzipSync(logs)],
      [{ ...rightHeaders, "content-type": "application/json" }, encodeJson("logs", logs)],
    ] as const;
    for (const [headers, body] of bodies) {
      assert.equal((await fetch(url, { method: "POST", headers, body: new Blob([Buffer.from(body)]) })).status, 200);
    }
  });

  test("refuses what is not, and says what it misses", async () => {
    await using gateway = await startGrafanaCloudDouble({ ...account, scopes: ["logs"] });
    const cases: readonly (readonly [string, Record<string, string>, number, RegExp])[] = [
      ["/v1/logs", rightHeaders, 404, /not found/],
      ["/otlp/v1/profiles", rightHeaders, 404, /not found/],
      ["/otlp/v1/logs", { ...rightHeaders, authorization: "" }, 401, /no credentials/],
      ["/otlp/v1/logs", { ...rightHeaders, authorization: "Bearer glc_secret" }, 401, /no credentials/],
      ["/otlp/v1/logs", { ...rightHeaders, authorization: basic("me:glc_secret") }, 401, /legacy auth/],
      ["/otlp/v1/logs", { ...rightHeaders, authorization: basic("123456:wrong") }, 401, /invalid token/],
      ["/otlp/v1/logs", { ...rightHeaders, authorization: basic("654321:glc_secret") }, 401, /invalid token/],
      ["/otlp/v1/traces", rightHeaders, 401, /invalid scope/],
      ["/otlp/v1/logs", { ...rightHeaders, "content-type": "text/plain" }, 415, /content type/],
      ["/otlp/v1/logs", { ...rightHeaders, "content-encoding": "zstd" }, 415, /compression/],
    ];
    for (const [path, headers, status, message] of cases) {
      const response = await fetch(gateway.origin + path, {
        method: "POST",
        headers,
        body: new Blob([Buffer.from(logs)]),
      });
      assert.equal(response.status, status, path);
      assert.match(await response.text(), message);
    }
    assert.equal((await fetch(`${gateway.origin}/otlp/v1/logs`)).status, 405);
  });

  test("asks for patience, and has no place for deltas", async () => {
    await using gateway = await startGrafanaCloudDouble(account);
    gateway.limitRate(1, 7);
    const post = async (signal: string, body: Uint8Array) =>
      fetch(`${gateway.origin}/otlp/v1/${signal}`, {
        method: "POST",
        headers: rightHeaders,
        body: new Blob([Buffer.from(body)]),
      });
    const limited = await post("logs", logs);
    assert.deepEqual([limited.status, limited.headers.get("retry-after")], [429, "7"]);
    assert.equal((await post("logs", logs)).status, 200);
    const sum = { aggregationTemporality: AggregationTemporality.DELTA, isMonotonic: true, dataPoints: [{}] };
    const metrics = [{ name: "requests", data: { case: "sum" as const, value: sum } }];
    const request = create(ExportMetricsServiceRequestSchema, { resourceMetrics: [{ scopeMetrics: [{ metrics }] }] });
    const refused = await post("metrics", toBinary(ExportMetricsServiceRequestSchema, request));
    assert.equal(refused.status, 400);
    assert.match(await refused.text(), /invalid temporality .*\\"requests\\"/);
  });
});

suite("the Datadog agent", () => {
  const point = (given: Partial<ReceivedPoint>): ReceivedPoint => ({
    name: "calls",
    unit: "{call}",
    kind: "sum",
    monotonic: true,
    temporality: "cumulative",
    scopeName: "blixard",
    series: "calls{}",
    attributes: { method: "Get" },
    value: 1,
    sum: undefined,
    bucketCounts: [],
    exponential: undefined,
    minimum: undefined,
    maximum: undefined,
    noRecordedValue: false,
    startUnixNano: 10n,
    timeUnixNano: 20n,
    exemplars: [],
    resource: {},
    ...given,
  });
  const told = (points: readonly Partial<ReceivedPoint>[], agentStart = 0n): readonly (readonly [string, number])[] =>
    datadogMetrics(points.map(point), agentStart).map(({ type, value }) => [type, value]);

  test("takes deltas as they are", () => {
    assert.deepEqual(
      told(
        [
          { temporality: "delta", value: 3 },
          { temporality: "delta", value: 2 },
        ],
        99n,
      ),
      [
        ["count", 3],
        ["count", 2],
      ],
    );
    const histogram = { kind: "histogram", temporality: "delta", value: 4, maximum: 2, minimum: 1 } as const;
    assert.deepEqual(told([histogram]), [["distribution", 4]]);
    assert.equal(datadogMetrics([point(histogram)], 0n)[0]?.exactExtremes, true);
    assert.deepEqual(told([{ kind: "exponentialHistogram", temporality: "delta", value: 4 }]), [["distribution", 4]]);
  });

  test("takes differences of cumulative ones, and loses what was before its own start", () => {
    const series = [{ value: 5 }, { value: 7 }, { value: 2, startUnixNano: 30n }];
    assert.deepEqual(told(series, 99n), [["count", 2]]);
    assert.deepEqual(told(series), [
      ["count", 5],
      ["count", 2],
      ["count", 2],
    ]);
    const histogram = { kind: "histogram", value: 4 } as const;
    assert.deepEqual(told([histogram, { ...histogram, value: 6 }]), [["distribution", 2]]);
    assert.deepEqual(told([{ kind: "exponentialHistogram" }, { kind: "exponentialHistogram", value: 2 }]), []);
  });

  test("makes gauges of what is no count, and nothing of a series' end", () => {
    assert.deepEqual(told([{ monotonic: false, value: 9 }]), [["gauge", 9]]);
    assert.deepEqual(told([{ kind: "gauge", monotonic: false, temporality: undefined, value: 9 }]), [["gauge", 9]]);
    assert.deepEqual(told([{ noRecordedValue: true }]), []);
  });

  test("names service, environment, version and operation by the conventions", () => {
    const resource = { "service.name": "blixard", "service.version": "1.2", "deployment.environment.name": "staging" };
    const call = span({ kind: Span_SpanKind.SERVER, attributes: { "rpc.method": "a.B/C" }, resource });
    assert.deepEqual(datadogSpan(call), {
      traceId: "0af7651916cd43dd8448eb211c80319c",
      service: "blixard",
      name: "server.request",
      resource: "a.B/C",
      env: "staging",
      version: "1.2",
    });
    assert.equal(datadogSpan(span({ kind: Span_SpanKind.INTERNAL })).name, "internal");
    assert.equal(datadogSpan(span({})).service, "otlpresourcenoservicename");
  });

  test("has no service for logs unless they are switched on", async () => {
    for (const [logs, status] of [
      [false, 404],
      [true, 200],
    ] as const) {
      await using agent = await startDatadogAgentDouble({ logs });
      const headers = { "content-type": "application/x-protobuf" };
      const post = async (signal: "logs" | "traces") =>
        fetch(`${agent.httpEndpoint}/v1/${signal}`, {
          method: "POST",
          headers,
          body: Buffer.from(canary.encode(signal)),
        });
      assert.equal((await post("logs")).status, status);
      assert.equal((await post("traces")).status, 200);
    }
  });
});

suite("X-Ray", () => {
  const timed = Math.floor(NOW / 1_000).toString(16) + "ab".repeat(12);

  test("the exporter keeps every span, and only recent ones when its gate is off", () => {
    const random = span({});
    const recent = span({ traceId: timed });
    const on = { gate: true, now: NOW };
    const off = { gate: false, now: NOW };
    assert.equal(exportToXRay(random, on)?.trace_id, "1-0af76519-16cd43dd8448eb211c80319c");
    assert.equal(exportToXRay(random, off), undefined);
    assert.notEqual(exportToXRay(recent, off), undefined);
    assert.equal(exportToXRay(recent, { gate: false, now: NOW + 29 * 86_400_000 }), undefined);
    assert.equal(exportToXRay(recent, { gate: false, now: NOW - 6 * 60_000 }), undefined);
  });

  test("a server span is a segment of its service, what is below it a subsegment by its own name", () => {
    const parentSpanId = "b9c7c989f97918e1";
    const resource = { "service.name": "blixard" };
    const gate = { gate: true, now: NOW };
    const server = exportToXRay(span({ kind: Span_SpanKind.SERVER, parentSpanId, resource }), gate);
    assert.deepEqual([server?.name, server?.type, server?.parent_id], ["blixard", undefined, parentSpanId]);
    const inner = exportToXRay(span({ kind: Span_SpanKind.INTERNAL, parentSpanId, resource, name: "vm.start?" }), gate);
    assert.deepEqual([inner?.name, inner?.type], ["vm.start", "subsegment"]);
  });

  test("the service takes well-formed segments; before 2023 those with a time of the last 30 days in their id", () => {
    const today = { timeInTraceId: false, now: NOW };
    const then = { timeInTraceId: true, now: NOW };
    const good = { name: "blixard", id: "b7ad6b7169203331", start_time: 1, end_time: 2 };
    const check = (change: object, rules = today) => refuseSegment(JSON.stringify({ ...good, ...change }), rules);
    const w3c = { trace_id: "1-0af76519-16cd43dd8448eb211c80319c" };
    assert.equal(check(w3c), undefined);
    assert.equal(check(w3c, then), "InvalidTraceId");
    assert.equal(check({ trace_id: `1-${timed.slice(0, 8)}-${timed.slice(8)}` }, then), undefined);
    assert.equal(check({ trace_id: "0af7651916cd43dd8448eb211c80319c" }), "InvalidTraceId");
    assert.equal(check({ ...w3c, name: "what?" }), "InvalidName");
    assert.equal(check({ ...w3c, type: "subsegment" }), "MissingParentId");
    assert.equal(check({ ...w3c, end_time: undefined }), "MissingEndTime");
    assert.equal(check({ ...w3c, metadata: "x".repeat(65_536) }), "SegmentTooLarge");
  });

  test("the API takes signed calls with up to fifty segments", async () => {
    await using xray = await startXRayDouble({ timeInTraceId: false });
    const put = async (documents: readonly string[], authorization = "AWS4-HMAC-SHA256 Credential=x") => {
      const body = JSON.stringify({ TraceSegmentDocuments: documents });
      return fetch(`${xray.endpoint}/TraceSegments`, { method: "POST", headers: { authorization }, body });
    };
    const good = JSON.stringify(exportToXRay(span({}), { gate: true, now: NOW }));
    assert.equal((await put([good], "")).status, 403);
    assert.equal((await put(Array.from({ length: 51 }, () => good))).status, 400);
    const mixed = await put([good, "{}"]);
    assert.equal(mixed.status, 200);
    const { UnprocessedTraceSegments: unprocessed } = (await mixed.json()) as { UnprocessedTraceSegments: unknown[] };
    assert.deepEqual([xray.segments.length, xray.refusals.length, unprocessed.length], [1, 1, 1]);
  });
});

function span(given: Partial<ReceivedSpan> & { readonly kind?: Span_SpanKind }): ReceivedSpan {
  const { kind = Span_SpanKind.INTERNAL, ...rest } = given;
  return {
    traceId: "0af7651916cd43dd8448eb211c80319c",
    spanId: "b7ad6b7169203331",
    parentSpanId: "",
    name: "vm.start",
    attributes: {},
    resource: {},
    scopeName: "blixard",
    message: create(SpanSchema, { kind, startTimeUnixNano: 1_000_000_000n, endTimeUnixNano: 2_000_000_000n }),
    ...rest,
  };
}
