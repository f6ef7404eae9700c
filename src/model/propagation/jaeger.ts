/**
 * Jaeger's `uber-trace-id`, and its baggage: one `uberctx-{key}` header a member.
 * Source: Jaeger client libraries, "Propagation Format".
 */
import { type BaggageMember, baggageLimits, formatBaggage } from "../baggage.ts";
import { type HeaderReader, type Headers, paddedId, type TraceFormat } from "./headers.ts";

const MAXIMUM_LENGTH = 256;
const BAGGAGE_PREFIX = "uberctx-";
/** `-bin` would announce bytes. */
const GRPC_KEY = /^[0-9a-z_.-]+(?<!-bin)$/;
const SAMPLED = 1;
const DEBUG = 2;

export const jaeger: TraceFormat = {
  extract(headers) {
    const text = headers.get("uber-trace-id")?.trim() ?? "";
    if (text.length > MAXIMUM_LENGTH) return undefined;
    // Some clients encode the colons.
    const [traceIdText, spanIdText, parent, flags, ...rest] = text.replaceAll(/%3a/gi, ":").split(":");
    const [traceId, spanId] = [paddedId(traceIdText, 32), paddedId(spanIdText, 16)];
    if (traceId === undefined || spanId === undefined || parent === undefined || rest.length > 0) return undefined;
    if (!/^[0-9a-fA-F]{0,16}$/.test(parent) || !/^[0-9a-fA-F]{1,2}$/.test(flags ?? "")) return undefined;
    const sampled = (Number.parseInt(flags ?? "0", 16) & (SAMPLED | DEBUG)) !== 0;
    return { traceId, spanId, sampled };
  },
  inject(context, headers) {
    headers["uber-trace-id"] = `${context.traceId}:${context.spanId}:0:${context.sampled ? "1" : "0"}`;
  },
};

/** As a W3C header, so that there is one form of baggage; undefined for none. */
export function extractJaegerBaggage(headers: HeaderReader): string | undefined {
  const members: BaggageMember[] = [];
  for (const name of headers.names()) {
    if (!name.startsWith(BAGGAGE_PREFIX) || members.length >= baggageLimits.members) continue;
    const value = decode(headers.get(name) ?? "");
    if (value !== undefined) members.push({ key: name.slice(BAGGAGE_PREFIX.length), value, properties: "" });
  }
  return formatBaggage(members).header;
}

/** Keys become lower case on the way, as all headers' names do; those that no header of gRPC can have stay behind. */
export function injectJaegerBaggage(members: readonly BaggageMember[], headers: Headers): void {
  for (const { key, value } of members) {
    const name = key.toLowerCase();
    if (GRPC_KEY.test(name)) headers[`${BAGGAGE_PREFIX}${name}`] = encodeURIComponent(value);
  }
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
