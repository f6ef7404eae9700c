/**
 * B3, as one header and as several. Both are read by either; which one is written is
 * the choice. Without a sampling state the decision is left to the node.
 * Source: openzipkin/b3-propagation; OpenTelemetry, "B3 Requirements".
 */
import { type TraceContext, withoutDecision } from "../trace-context.ts";
import { type HeaderReader, paddedId, type TraceFormat } from "./headers.ts";

/** `{trace id}-{span id}[-{state}[-{parent span id}]]`; a bare state has no ids and says nothing we can use. */
const SINGLE = /^([0-9a-fA-F]{16}|[0-9a-fA-F]{32})-([0-9a-fA-F]{16})(?:-([01d])(?:-([0-9a-fA-F]{16}))?)?$/;
const ID_128_OR_64 = /^(?:[0-9a-fA-F]{16}|[0-9a-fA-F]{32})$/;
const ID_64 = /^[0-9a-fA-F]{16}$/;

export const b3Single: TraceFormat = {
  extract,
  inject(context, headers) {
    headers["b3"] = `${context.traceId}-${context.spanId}-${context.sampled ? "1" : "0"}`;
  },
};

export const b3Multiple: TraceFormat = {
  extract,
  inject(context, headers) {
    headers["x-b3-traceid"] = context.traceId;
    headers["x-b3-spanid"] = context.spanId;
    headers["x-b3-sampled"] = context.sampled ? "1" : "0";
  },
};

function extract(headers: HeaderReader): TraceContext | undefined {
  return extractSingle(headers) ?? extractMultiple(headers);
}

function extractSingle(headers: HeaderReader): TraceContext | undefined {
  const [, traceId, spanId, state] = SINGLE.exec(headers.get("b3")?.trim() ?? "") ?? [];
  return contextOf(traceId, spanId, state === "d" ? "1" : state);
}

function extractMultiple(headers: HeaderReader): TraceContext | undefined {
  const [traceId, spanId] = [headers.get("x-b3-traceid")?.trim(), headers.get("x-b3-spanid")?.trim()];
  if (!ID_128_OR_64.test(traceId ?? "") || !ID_64.test(spanId ?? "")) return undefined;
  const isDebug = headers.get("x-b3-flags")?.trim() === "1";
  return contextOf(traceId, spanId, isDebug ? "1" : headers.get("x-b3-sampled")?.trim());
}

function contextOf(
  traceIdText: string | undefined,
  spanIdText: string | undefined,
  state: string | undefined,
): TraceContext | undefined {
  const [traceId, spanId] = [paddedId(traceIdText, 32), paddedId(spanIdText, 16)];
  if (traceId === undefined || spanId === undefined) return undefined;
  const context = { traceId, spanId, sampled: false };
  // Some tracers write words.
  if (state === "1" || state === "true") return { ...context, sampled: true };
  return state === "0" || state === "false" ? context : withoutDecision(context);
}
