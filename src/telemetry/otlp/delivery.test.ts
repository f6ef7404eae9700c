// Spans from the queue to a receiver, over both transports, well-behaved and not.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:net";
import { test, type TestContext } from "node:test";
import { status } from "@grpc/grpc-js";
import {
  otelSdkExporterOperationDuration,
  otelSdkExporterSpanExported,
  otelSdkExporterSpanInflight,
  otelSdkProcessorSpanProcessed,
  otelSdkProcessorSpanQueueSize,
  telemetryDestinationState,
} from "#gen/telemetry/metrics.ts";
import type { RecordedSpan } from "#model/recorded-span.ts";
import { Secret } from "#model/secret.ts";
import { loopbackCertificate, loopbackKey } from "#test/support/loopback-certificate.ts";
import { createMemoryTelemetry, type MemoryTelemetry } from "#test/support/memory-telemetry.ts";
import { startOtlpReceiver, type OtlpReceiver, type OtlpReceiverOptions } from "#test/support/otlp-receiver.ts";
import { buildSpan } from "#test/support/spans.ts";
import { waitFor } from "#test/support/wait-for.ts";
import type { MetricDescriptor } from "../port.ts";
import { createSystemClock } from "../system-clock.ts";
import type { OtlpOptions } from "../telemetry-options.ts";
import { estimateSpanBytes } from "../recorder/span-size.ts";
import { resolveDestination } from "./destination.ts";
import { encodeSpans } from "./encode-spans.ts";
import { createExporterSignals } from "./exporter-signals.ts";
import { createSignalSender, createTransport, type SignalSender } from "./signal-sender.ts";
import {
  createBatchExporter,
  createBatchSignals,
  defaultBatchLimits,
  type BatchExporter,
  type BatchLimits,
} from "./batch-exporter.ts";

type Protocol = "grpc" | "http/protobuf";
const protocols: readonly Protocol[] = ["grpc", "http/protobuf"];

interface Pipeline {
  readonly exporter: BatchExporter<RecordedSpan>;
  readonly sender: SignalSender;
  readonly telemetry: MemoryTelemetry;
  /** Sum over all series of the metric whose error.type is this. */
  count(descriptor: MetricDescriptor, errorType?: string): number;
  state(): string | undefined;
  logged(text: RegExp): number;
}

interface PipelineOptions {
  readonly otlp: OtlpOptions;
  readonly limits?: Partial<BatchLimits>;
  readonly unsupportedRetryMs?: number;
}

function startPipeline(t: TestContext, { otlp, limits, unsupportedRetryMs = 60_000 }: PipelineOptions): Pipeline {
  const telemetry = createMemoryTelemetry();
  const clock = createSystemClock();
  const destination = resolveDestination(otlp, "traces");
  const sender = createSignalSender({
    transport: createTransport(destination, "traces", "blixard/test"),
    signals: createExporterSignals({
      destination,
      signal: "traces",
      metrics: telemetry.metrics,
      stderrLogger: telemetry.logger,
      now: () => clock.now(),
    }),
    clock,
    random: Math.random,
    untraced: (fn) => fn(),
    timing: { backoff: { initialMs: 10, maximumMs: 40 }, unsupportedRetryMs },
  });
  const allLimits = { ...defaultBatchLimits, batchDelayMs: 5, ...limits };
  const exporter = createBatchExporter({
    sender,
    encode: encodeSpans,
    sizeOf: estimateSpanBytes,
    signals: createBatchSignals(telemetry.metrics, "span", 0, allLimits),
    clock,
    limits: allLimits,
  });
  t.after(async () => {
    sender.abort();
    await exporter.flush();
    sender.close();
  });
  return {
    exporter,
    sender,
    telemetry,
    count: (descriptor, errorType) =>
      telemetry
        .series(descriptor)
        .filter((series) => series.attributes["error.type"] === errorType)
        .reduce((sum, series) => sum + series.value, 0),
    state: () =>
      telemetry
        .series(telemetryDestinationState)
        .find((series) => series.value === 1)
        ?.attributes["blixard.telemetry.destination_state"]?.toString(),
    logged: (text) => telemetry.logs.filter((record) => text.test(record.message)).length,
  };
}

async function startReceiver(t: TestContext, options?: OtlpReceiverOptions): Promise<OtlpReceiver> {
  const receiver = await startOtlpReceiver(options);
  t.after(() => receiver[Symbol.asyncDispose]());
  return receiver;
}

function endpointOf(receiver: OtlpReceiver, protocol: Protocol): OtlpOptions {
  return { endpoint: protocol === "grpc" ? receiver.grpcEndpoint : receiver.httpEndpoint, protocol };
}

function buildSpans(count: number, overrides: Partial<RecordedSpan> = {}): RecordedSpan[] {
  return Array.from({ length: count }, (_, index) => buildSpan({ name: `span ${index}`, ...overrides }));
}

for (const protocol of protocols) {
  test(`${protocol}: spans arrive once, under their own resources, with what the operator's headers say`, async (t) => {
    const receiver = await startReceiver(t);
    const { exporter, count, state } = startPipeline(t, {
      otlp: {
        ...endpointOf(receiver, protocol),
        headers: { "X-Scope-OrgID": "team-a" },
        basicAuth: { username: "u", password: new Secret("p") },
      },
    });
    const cli = { attributes: { "service.name": "blixard-cli" } };
    const spans = [...buildSpans(3), ...buildSpans(2, { resource: cli })];
    for (const span of spans) exporter.enqueue(span);
    await receiver.waitFor(({ spans: received }) => received.length === 5);
    await exporter.flush();
    const sent = spans.map((span) => `${span.spanId} ${span.name} ${span.resource.attributes["service.name"]}`);
    const arrived = receiver.spans.map(
      (span) => `${span.spanId} ${span.name} ${String(span.resource["service.name"])}`,
    );
    assert.deepEqual(new Set(arrived), new Set(sent));
    assert.equal(arrived.length, sent.length);
    const [request] = receiver.requests;
    assert.equal(request?.headers["x-scope-orgid"], "team-a");
    assert.equal(request.headers["authorization"], "Basic dTpw");
    assert.match(request.headers["user-agent"] ?? "", /^blixard\/test/);
    if (protocol === "http/protobuf") assert.equal(request.headers["content-encoding"], "gzip");
    assert.equal(count(otelSdkExporterSpanExported), 5);
    assert.equal(count(otelSdkExporterSpanInflight), 0);
    assert.equal(count(otelSdkProcessorSpanQueueSize), 0);
    assert.equal(state(), "ok");
  });

  test(`${protocol}: without compression the message goes as it is`, async (t) => {
    const receiver = await startReceiver(t);
    const { exporter } = startPipeline(t, { otlp: { ...endpointOf(receiver, protocol), compression: "none" } });
    exporter.enqueue(buildSpan());
    await receiver.waitFor(({ spans }) => spans.length === 1);
    assert.equal(receiver.requests[0]?.headers["content-encoding"], undefined);
  });

  test(`${protocol}: ten thousand large spans in one burst all arrive, in messages a receiver accepts`, async (t) => {
    const receiver = await startReceiver(t);
    const { exporter, count } = startPipeline(t, { otlp: endpointOf(receiver, protocol) });
    const attributes = { text: "x".repeat(500) };
    for (const span of buildSpans(10_000, { attributes })) exporter.enqueue(span);
    await exporter.flush();
    assert.equal(receiver.spans.length, 10_000);
    assert.equal(new Set(receiver.spans.map((span) => span.spanId)).size, 10_000);
    assert.deepEqual(receiver.problems, []);
    assert.equal(count(otelSdkProcessorSpanProcessed, "queue_full"), 0);
  });

  test(`${protocol}: a receiver that refuses for a while gets everything afterwards, once`, async (t) => {
    const receiver = await startReceiver(t);
    receiver.misbehave({ kind: "refuse" }, { times: 3 });
    const { exporter, count, state, logged } = startPipeline(t, { otlp: endpointOf(receiver, protocol) });
    for (const span of buildSpans(4)) exporter.enqueue(span);
    await receiver.waitFor(({ spans }) => spans.length === 4);
    await exporter.flush();
    assert.equal(receiver.requests.length, 4);
    assert.equal(count(otelSdkExporterSpanExported), 4);
    assert.equal(logged(/^cannot export traces/), 1, "one line for one failure, however many attempts");
    assert.equal(state(), "ok");
  });

  test(`${protocol}: a receiver that asks for patience is not asked again before`, async (t) => {
    const receiver = await startReceiver(t);
    receiver.misbehave({ kind: "throttle", delaySeconds: 1 }, { times: 1 });
    const { exporter } = startPipeline(t, { otlp: endpointOf(receiver, protocol) });
    exporter.enqueue(buildSpan());
    await receiver.waitFor(({ spans }) => spans.length === 1);
    const [first, second] = receiver.requests;
    assert.ok((second?.receivedMs ?? 0) - (first?.receivedMs ?? 0) >= 1_000);
  });

  test(`${protocol}: what may not be retried is counted and said, and the next batch is tried`, async (t) => {
    const receiver = await startReceiver(t);
    receiver.misbehave({ kind: "refuse", grpcCode: status.PERMISSION_DENIED, httpStatus: 403 }, { times: 1 });
    const { exporter, count, state, logged } = startPipeline(t, { otlp: endpointOf(receiver, protocol) });
    for (const span of buildSpans(2)) exporter.enqueue(span);
    await exporter.flush();
    const errorType = protocol === "grpc" ? "PERMISSION_DENIED" : "403";
    assert.equal(receiver.requests.length, 1);
    assert.equal(count(otelSdkExporterSpanExported, errorType), 2);
    assert.equal(logged(/^traces were lost/), 1);
    assert.equal(state(), "failing");
    exporter.enqueue(buildSpan());
    await receiver.waitFor(({ spans }) => spans.length === 1);
    await exporter.flush();
    assert.equal(state(), "ok");
  });

  test(`${protocol}: a backend that takes no traces is left alone with one line, loses nothing, and is asked again later`, async (t) => {
    const receiver = await startReceiver(t);
    receiver.misbehave({ kind: "refuse", grpcCode: status.UNIMPLEMENTED, httpStatus: 404 }, { times: 2 });
    const { exporter, count, state, sender, telemetry } = startPipeline(t, {
      otlp: endpointOf(receiver, protocol),
      unsupportedRetryMs: 200,
    });
    exporter.enqueue(buildSpan());
    await exporter.flush();
    assert.equal(state(), "unsupported");
    assert.equal(sender.accepts(), false);
    for (const span of buildSpans(100)) exporter.enqueue(span);
    await exporter.flush();
    assert.equal(receiver.requests.length, 1);
    await waitFor("the second try", () => sender.accepts());
    exporter.enqueue(buildSpan());
    await exporter.flush();
    assert.equal(receiver.requests.length, 2);
    assert.equal(telemetry.logs.length, 1, "still the one line");
    const errors = telemetry.series(otelSdkExporterSpanExported).filter((series) => "error.type" in series.attributes);
    assert.deepEqual(errors, [], "not a drop");
    assert.equal(count(otelSdkProcessorSpanProcessed, "queue_full"), 0);
    await waitFor("the third try", () => sender.accepts());
    exporter.enqueue(buildSpan());
    await receiver.waitFor(({ spans }) => spans.length === 1);
  });

  test(`${protocol}: a partial success is counted, said once, and never sent again`, async (t) => {
    const receiver = await startReceiver(t);
    receiver.misbehave({ kind: "partial", rejected: 2, message: "too old" });
    const { exporter, count, logged } = startPipeline(t, { otlp: endpointOf(receiver, protocol) });
    for (let round = 0; round < 3; round++) {
      for (const span of buildSpans(5)) exporter.enqueue(span);
      await exporter.flush();
    }
    assert.equal(receiver.requests.length, 3);
    assert.equal(count(otelSdkExporterSpanExported), 9);
    assert.equal(count(otelSdkExporterSpanExported, "rejected"), 6);
    assert.equal(logged(/partial success: too old/), 1);
  });

  test(`${protocol}: what a destination rejects is not told as lost in the gap that follows`, async (t) => {
    const receiver = await startReceiver(t);
    receiver.misbehave({ kind: "partial", rejected: 2, message: "too old" });
    const { exporter, logged } = startPipeline(t, { otlp: endpointOf(receiver, protocol) });
    for (const span of buildSpans(5)) exporter.enqueue(span);
    await exporter.flush();
    receiver.misbehave({ kind: "refuse" }, { times: 1 });
    for (const span of buildSpans(5)) exporter.enqueue(span);
    await exporter.flush();
    assert.equal(logged(/for a while; nothing was lost/), 1);
  });

  test(`${protocol}: an answer that is garbage, or endless, does no harm`, async (t) => {
    const receiver = await startReceiver(t);
    const { exporter, logged, state } = startPipeline(t, { otlp: endpointOf(receiver, protocol) });
    for (const bytes of [Buffer.from("\xff\xff\xffnot protobuf"), Buffer.alloc(8 * 1024 * 1024, 1)]) {
      receiver.misbehave({ kind: "garbage", bytes }, { times: 1 });
      exporter.enqueue(buildSpan());
      await exporter.flush();
    }
    assert.ok(logged(/the answer|cannot export/) >= 1);
    exporter.enqueue(buildSpan());
    await receiver.waitFor(({ spans }) => spans.length === 1);
    await exporter.flush();
    assert.equal(state(), "ok");
  });

  test(`${protocol}: a receiver that never answers costs its timeout, then the batch is sent again`, async (t) => {
    const receiver = await startReceiver(t);
    receiver.misbehave({ kind: "hang" }, { times: 1 });
    const { exporter, telemetry } = startPipeline(t, { otlp: { ...endpointOf(receiver, protocol), timeoutMs: 300 } });
    exporter.enqueue(buildSpan());
    await receiver.waitFor(({ spans }) => spans.length === 1);
    await exporter.flush();
    const errorTypes = telemetry
      .series(otelSdkExporterOperationDuration)
      .map((series) => series.attributes["error.type"]);
    assert.deepEqual(new Set(errorTypes), new Set([protocol === "grpc" ? "DEADLINE_EXCEEDED" : "timeout", undefined]));
  });

  test(`${protocol}: a black hole costs a bounded queue, one call at a time, and counted spans`, async (t) => {
    const receiver = await startReceiver(t);
    receiver.misbehave({ kind: "hang" });
    const { exporter, count } = startPipeline(t, {
      otlp: endpointOf(receiver, protocol),
      limits: { maximumQueuedItems: 100, maximumBatchItems: 10 },
    });
    for (const span of buildSpans(1_000)) exporter.enqueue(span);
    await receiver.waitFor(({ requests }) => requests.length > 0);
    for (const span of buildSpans(1_000)) exporter.enqueue(span);
    assert.equal(receiver.requests.length, 1);
    assert.equal(count(otelSdkProcessorSpanQueueSize), 100);
    assert.equal(count(otelSdkExporterSpanInflight), 10);
    assert.equal(count(otelSdkProcessorSpanProcessed, "queue_full"), 2_000 - 110);
  });

  test(`${protocol}: at the end the last spans are sent, and a dead receiver cannot hold the node up`, async (t) => {
    const receiver = await startReceiver(t);
    const { exporter, sender, count, telemetry } = startPipeline(t, {
      otlp: endpointOf(receiver, protocol),
      limits: { batchDelayMs: 60_000 },
    });
    exporter.enqueue(buildSpan());
    await exporter.flush();
    assert.equal(receiver.spans.length, 1);
    receiver.misbehave({ kind: "hang" });
    for (const span of buildSpans(3_000)) exporter.enqueue(span);
    const flushed = exporter.flush();
    await receiver.waitFor(({ requests }) => requests.length === 2);
    sender.abort();
    await flushed;
    assert.equal(count(otelSdkProcessorSpanQueueSize), 0);
    assert.equal(count(otelSdkExporterSpanInflight), 0);
    const lost = telemetry.series(otelSdkExporterSpanExported).filter((series) => "error.type" in series.attributes);
    assert.equal(
      lost.reduce((sum, series) => sum + series.value, 0),
      3_000,
    );
  });

  test(`${protocol}: TLS to an address and to a name, against the operator's authority only`, async (t) => {
    const receiver = await startReceiver(t, { tls: { certificate: loopbackCertificate, key: loopbackKey } });
    const address = endpointOf(receiver, protocol);
    const name = { ...address, endpoint: address.endpoint.replace("127.0.0.1", "localhost") };
    for (const [index, otlp] of [address, name].entries()) {
      const { exporter } = startPipeline(t, {
        otlp: { ...otlp, tls: { certificateAuthorities: loopbackCertificate } },
      });
      exporter.enqueue(buildSpan());
      await receiver.waitFor(({ spans }) => spans.length === index + 1);
    }
    const { exporter, count } = startPipeline(t, { otlp: address, limits: { retryForMs: 0 } });
    exporter.enqueue(buildSpan());
    await exporter.flush();
    assert.equal(receiver.spans.length, 2, "an unknown certificate is not trusted");
    assert.equal(count(otelSdkExporterSpanExported), 0);
  });

  test(`${protocol}: nobody listening is a failure that is retried, said once, and over when someone listens`, async (t) => {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    assert.ok(typeof address === "object" && address !== null);
    server.close();
    const { exporter, state, logged, count } = startPipeline(t, {
      otlp: { endpoint: `http://127.0.0.1:${address.port}`, protocol },
      limits: { retryForMs: 200 },
    });
    exporter.enqueue(buildSpan());
    await exporter.flush();
    assert.equal(state(), "failing");
    assert.equal(logged(/^cannot export traces/), 1);
    assert.equal(count(otelSdkExporterSpanExported, protocol === "grpc" ? "UNAVAILABLE" : "ECONNREFUSED"), 1);
  });
}

test("a node that stops tries a collector that is down twice, not for as long as it would otherwise", async (t) => {
  const receiver = await startReceiver(t);
  receiver.misbehave({ kind: "refuse" });
  const { exporter, sender, count } = startPipeline(t, {
    otlp: endpointOf(receiver, "grpc"),
    limits: { maximumBatchItems: 10 },
  });
  sender.hurry();
  for (const span of buildSpans(100)) exporter.enqueue(span);
  await exporter.flush();
  assert.equal(receiver.requests.length, 2);
  assert.equal(count(otelSdkExporterSpanExported, "UNAVAILABLE") + count(otelSdkExporterSpanExported, "shutdown"), 100);
});

test("http/protobuf: a redirect is not followed, nor is a web page taken for a receiver", async (t) => {
  const receiver = await startReceiver(t);
  const { exporter, count, logged } = startPipeline(t, { otlp: endpointOf(receiver, "http/protobuf") });
  const headers = { location: `${receiver.httpEndpoint}/v1/traces` };
  receiver.misbehave({ kind: "refuse", httpStatus: 307, headers }, { times: 1 });
  exporter.enqueue(buildSpan());
  await exporter.flush();
  assert.equal(receiver.requests.length, 1);
  assert.equal(logged(/redirects are not followed/), 1);
  const page = Buffer.from("<html>Log in to use the network</html>");
  receiver.misbehave({ kind: "garbage", bytes: page, contentType: "text/html; charset=utf-8" }, { times: 1 });
  exporter.enqueue(buildSpan());
  await exporter.flush();
  assert.equal(count(otelSdkExporterSpanExported, "307"), 1);
  assert.equal(count(otelSdkExporterSpanExported, "invalid_response"), 1);
});

test("a span too large for any message is left out and counted, the others go", async (t) => {
  const receiver = await startReceiver(t);
  const { exporter, count } = startPipeline(t, { otlp: endpointOf(receiver, "grpc") });
  exporter.enqueue(buildSpan({ name: "small" }));
  exporter.enqueue(buildSpan({ attributes: { text: "x".repeat(5_000_000) } }));
  exporter.enqueue(buildSpan({ name: "small too" }));
  await exporter.flush();
  assert.deepEqual(receiver.spans.map((span) => span.name).toSorted(), ["small", "small too"]);
  assert.equal(count(otelSdkExporterSpanExported, "too_large"), 1);
});
