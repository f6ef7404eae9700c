/**
 * A double of AWS X-Ray: not the real one, which is a paid service, but with its documented rules for what
 * `PutTraceSegments` takes, and with what the Collector's `awsxray` exporter makes of spans on the way there.
 *
 * - A trace id is `1-<8 hex>-<24 hex>`. Until October 2023 the first part had to be a time of the last 30 days; since
 *   then X-Ray takes W3C's ids, whose first part is random.
 * - The exporter leaves a span out (and says so at level debug alone) when its feature gate
 *   `exporter.awsxray.skiptimestampvalidation` is off and the first 32 bits are no time of the last 28 days.
 * - A segment has a name, an id, a trace id and times, and at most 64 kB; 50 of them go in one call.
 *
 * Sources: AWS X-Ray developer guide, "Trace segment documents" and "Trace ID format";
 * opentelemetry-collector-contrib v0.161.0 `exporter/awsxrayexporter/internal/translator/segment.go`.
 */
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { json } from "node:stream/consumers";
import { Span_SpanKind } from "#gen/otlp/opentelemetry/proto/trace/v1/trace_pb.ts";
import type { ReceivedSpan } from "./otlp-receiver.ts";

export interface XRaySegment {
  readonly name: string;
  readonly id: string;
  readonly trace_id: string;
  readonly parent_id?: string;
  readonly type?: "subsegment";
  readonly start_time: number;
  readonly end_time: number;
}

export interface XRayRules {
  /** Of the service before October 2023. */
  readonly timeInTraceId: boolean;
  /** Unix time in ms. */
  readonly now: number;
}

const DAY_SECONDS = 24 * 60 * 60;
const MAXIMUM_SEGMENTS = 50;
const MAXIMUM_SEGMENT_BYTES = 64 * 1024;
const NAME = /^[\p{L}\p{N}\p{Z}_.:/%&#=+\\\-@]{1,200}$/u;
const NOT_IN_NAMES = /[^ 0-9\p{L}_.:/%&#=+\\\-@]/gu;

/** What the exporter makes of a span; undefined: it leaves it out. */
export function exportToXRay(
  span: ReceivedSpan,
  options: { readonly gate: boolean; readonly now: number },
): XRaySegment | undefined {
  const ageSeconds = options.now / 1_000 - Number.parseInt(span.traceId.slice(0, 8), 16);
  if (!options.gate && (ageSeconds > 28 * DAY_SECONDS || ageSeconds < -5 * 60)) return undefined;
  const { kind, startTimeUnixNano, endTimeUnixNano } = span.message;
  const isSegment = kind === Span_SpanKind.SERVER || kind === Span_SpanKind.CONSUMER || span.parentSpanId === "";
  const service = kind === Span_SpanKind.SERVER ? span.resource["service.name"] : undefined;
  return {
    name: (typeof service === "string" ? service : span.name.replaceAll(NOT_IN_NAMES, "")).slice(0, 200),
    id: span.spanId,
    trace_id: `1-${span.traceId.slice(0, 8)}-${span.traceId.slice(8)}`,
    ...(span.parentSpanId === "" ? {} : { parent_id: span.parentSpanId }),
    ...(isSegment ? {} : { type: "subsegment" }),
    start_time: Number(startTimeUnixNano) / 1e9,
    end_time: Number(endTimeUnixNano) / 1e9,
  };
}

/** Why X-Ray does not process a segment; undefined: it does. */
export function refuseSegment(document: string, { timeInTraceId, now }: XRayRules): string | undefined {
  if (Buffer.byteLength(document) > MAXIMUM_SEGMENT_BYTES) return "SegmentTooLarge";
  const segment = JSON.parse(document) as Partial<XRaySegment> & { readonly in_progress?: boolean };
  if (!NAME.test(segment.name ?? "")) return "InvalidName";
  if (!/^[0-9a-f]{16}$/.test(segment.id ?? "")) return "InvalidId";
  const [, time] = /^1-([0-9a-f]{8})-[0-9a-f]{24}$/.exec(segment.trace_id ?? "") ?? [];
  if (time === undefined) return "InvalidTraceId";
  const ageSeconds = now / 1_000 - Number.parseInt(time, 16);
  if (timeInTraceId && (ageSeconds > 30 * DAY_SECONDS || ageSeconds < -5 * 60)) return "InvalidTraceId";
  if (segment.type === "subsegment" && segment.parent_id === undefined) return "MissingParentId";
  if (typeof segment.start_time !== "number") return "MissingStartTime";
  if (typeof segment.end_time !== "number" && segment.in_progress !== true) return "MissingEndTime";
  return undefined;
}

export interface XRayDouble extends AsyncDisposable {
  readonly endpoint: string;
  readonly segments: readonly XRaySegment[];
  /** Why others were not processed. */
  readonly refusals: readonly string[];
}

/** The API, for a real exporter: `POST /TraceSegments` with AWS's signature (which is looked at, not checked). */
export async function startXRayDouble(
  rules: Pick<XRayRules, "timeInTraceId">,
  options: { readonly host?: string; readonly port?: number } = {},
): Promise<XRayDouble> {
  const segments: XRaySegment[] = [];
  const refusals: string[] = [];

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = (await json(request)) as { readonly TraceSegmentDocuments?: readonly string[] };
    const refuse = (statusCode: number, type: string): void =>
      void response.writeHead(statusCode, { "x-amzn-errortype": type }).end(JSON.stringify({ message: type }));
    if (request.method !== "POST" || request.url !== "/TraceSegments") return refuse(404, "UnknownOperationException");
    if (request.headers.authorization?.startsWith("AWS4-HMAC-SHA256 Credential=") !== true)
      return refuse(403, "MissingAuthenticationTokenException");
    const documents = body.TraceSegmentDocuments ?? [];
    if (documents.length === 0 || documents.length > MAXIMUM_SEGMENTS) return refuse(400, "InvalidRequestException");
    const unprocessed = documents.flatMap((document) => {
      const error = refuseSegment(document, { ...rules, now: Date.now() });
      if (error === undefined) segments.push(JSON.parse(document) as XRaySegment);
      else refusals.push(`${error}: ${document.slice(0, 200)}`);
      return error === undefined ? [] : [{ Id: "", ErrorCode: error, Message: error }];
    });
    response.writeHead(200, { "content-type": "application/json" });
    response.end(JSON.stringify({ UnprocessedTraceSegments: unprocessed }));
  }

  const server = createServer((request, response) => void handle(request, response).catch(() => response.destroy()));
  server.listen(options.port ?? 0, options.host ?? "127.0.0.1");
  await once(server, "listening");
  return {
    endpoint: `http://${options.host ?? "127.0.0.1"}:${(server.address() as AddressInfo).port}`,
    segments,
    refusals,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}
