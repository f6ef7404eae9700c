/**
 * One span, one metric and one log record that mean nothing but "here": made as the real
 * ones are and encoded by the same encoders, so that what they meet, the real ones meet.
 */
import { telemetryCanary as canaryEvent } from "#gen/telemetry/events.ts";
import { telemetryCanary as canaryMetric } from "#gen/telemetry/metrics.ts";
import { telemetryCanary as canarySpan } from "#gen/telemetry/spans.ts";
import type { RecordedSpan, SpanResource, SpanScope } from "#model/recorded-span.ts";
import { timedTraceId } from "#model/trace-context.ts";
import type { LogRecord } from "../logging/log-record.ts";
import type { NumberSeries } from "../metrics/snapshot.ts";
import type { OtlpSignal } from "../otlp/destination.ts";
import { createLogEncoder } from "../otlp/encode-logs.ts";
import { encodeMetrics } from "../otlp/encode-metrics.ts";
import { encodeSpans } from "../otlp/encode-spans.ts";

export interface Canary {
  /** 16 hex digits; on all three. */
  readonly id: string;
  readonly traceId: string;
  /** When it was made: Unix time in ms. */
  readonly timeMs: number;
  /** The request that carries it. */
  encode(signal: OtlpSignal): Uint8Array;
  /** The request that ends the metric's series. */
  encodeEnd(): Uint8Array;
}

export interface CanaryOptions {
  readonly resource: SpanResource;
  readonly scope: SpanScope;
  /** Unix time in ms. */
  readonly now: () => number;
  readonly randomHex: (bytes: number) => string;
}

export function createCanary(options: CanaryOptions): Canary {
  const { resource, scope, now, randomHex } = options;
  const id = randomHex(8);
  const context = { traceId: timedTraceId(now(), randomHex(12)), spanId: randomHex(8), sampled: true };
  const timeMs = now();
  const attributes = { "blixard.telemetry.canary_id": id };
  const startUnixNano = BigInt(Math.floor(timeMs * 1_000)) * 1_000n;
  const span: RecordedSpan = {
    traceId: context.traceId,
    spanId: context.spanId,
    name: canarySpan.name,
    kind: canarySpan.kind,
    startUnixNano,
    endUnixNano: startUnixNano + 1_000_000n,
    status: { code: "unset" },
    attributes,
    links: [],
    events: [],
    resource,
    scope,
  };
  const record: LogRecord = {
    timeMs,
    level: canaryEvent.severity,
    message: "the telemetry doctor sends this to see whether logs arrive",
    eventName: canaryEvent.name,
    attributes,
    context,
  };
  const series: NumberSeries = {
    kind: "number",
    value: 1,
    attributes: Object.entries(attributes),
    startTimeMs: timeMs,
    removed: false,
    encodedAttributes: undefined,
    prefix: undefined,
    exemplar: undefined,
  };
  const encoder = { resource, scope, now };
  return {
    id,
    traceId: context.traceId,
    timeMs,
    encode(signal) {
      switch (signal) {
        case "traces":
          return onlyRequest(encodeSpans([span]).requests);
        case "metrics":
          return onlyRequest(encodeMetrics([{ descriptor: canaryMetric, series: [series] }], nothingEnded, encoder));
        case "logs":
          return onlyRequest(createLogEncoder(resource, scope)([record]).requests);
      }
    },
    encodeEnd: () =>
      onlyRequest(encodeMetrics([], { series: [{ descriptor: canaryMetric, series }], deltas: [] }, encoder)),
  };
}

const nothingEnded = { series: [], deltas: [] };

/** A canary is one item, so its requests are one. */
function onlyRequest(requests: Iterable<{ readonly bytes: Uint8Array } | undefined>): Uint8Array {
  for (const request of requests) if (request !== undefined) return request.bytes;
  throw new Error("a canary makes a request");
}
