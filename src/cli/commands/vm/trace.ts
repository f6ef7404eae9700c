/** `blixard vm trace` */
import { create } from "@bufbuild/protobuf";
import {
  type AttributeValue,
  GetTraceRequestSchema,
  type GetTraceResponse,
  GetTraceResponseSchema,
  type Span,
  TelemetryService,
} from "#gen/api/blixard/v1/telemetry_pb.ts";
import { anyText, defineCommand, flag, option } from "../../command.ts";
import type { CliIo } from "../../io.ts";
import { nodeOptions } from "../../node-options.ts";
import { supportsUnicode } from "../../output/style.ts";
import type { TableLayout } from "../../output/table.ts";
import { shortDuration } from "../../output/time.ts";
import { renderWaterfall } from "../../waterfall/render-waterfall.ts";
import type { WaterfallSpan } from "../../waterfall/span-tree.ts";
import { vmArgument } from "./vm-operation.ts";

const WIDTH_WITHOUT_TERMINAL = 120;

export const vmTrace = defineCommand({
  description: "From the node's own memory, at any sampling ratio and without any tracing backend.",
  arguments: { vm: vmArgument },
  options: {
    operation: option("create|latest|ID", "Which operation; default: create. `vm get` lists their ids.", anyText, {
      values: ["create", "latest"],
    }),
    attributes: flag("The spans' attributes too.", { short: "a" }),
    ...nodeOptions,
  },
  examples: [
    { command: "blixard vm trace web", explanation: "Where the time of its creation went" },
    { command: "blixard vm trace web --operation latest -a", explanation: "The last operation, with all attributes" },
  ],
  readOnly: true,
  run: async ({ node, io, printer, signal }, { vm }, { operation = "", attributes }) => {
    const telemetry = await node.client(TelemetryService);
    const response = await telemetry.getTrace(
      create(GetTraceRequestSchema, { subject: { case: "vm", value: vm }, operation }),
      { signal },
    );
    await printer.message(GetTraceResponseSchema, response, (layout) => traceLines(response, attributes, layout, io));
  },
});

function traceLines(
  trace: GetTraceResponse,
  withAttributes: boolean,
  layout: TableLayout,
  io: CliIo,
): readonly string[] {
  const spans = trace.spans.map((span) => toWaterfallSpan(span, withAttributes));
  const waterfall = renderWaterfall(spans, {
    width: layout.width ?? WIDTH_WITHOUT_TERMINAL,
    ...(layout.style === undefined ? {} : { style: layout.style }),
    unicode: supportsUnicode(io.environment),
  });
  const lost =
    trace.droppedSpans === 0n
      ? []
      : [`${trace.droppedSpans} older spans of this trace are no longer in the node's memory.`];
  return [headline(trace), ...lost, ...waterfall];
}

function headline({ traceId, spans }: GetTraceResponse): string {
  const starts = spans.map((span) => span.startTimeUnixNano);
  const first = starts.reduce((least, time) => (time < least ? time : least), starts[0] ?? 0n);
  const last = spans.reduce((most, span) => (span.endTimeUnixNano > most ? span.endTimeUnixNano : most), first);
  const failures = spans.filter((span) => span.error).length;
  const started = new Date(Number(first / 1_000_000n)).toISOString();
  const failed = failures === 0 ? "" : `, ${failures} failed`;
  return `trace ${traceId}: ${spans.length} spans${failed}, ${shortDuration(Number(last - first) / 1e6)}, from ${started}`;
}

function toWaterfallSpan(span: Span, withAttributes: boolean): WaterfallSpan {
  const links = span.links.map(
    ({ relation, traceId }) => `linked to ${relation === "" ? "" : `${relation} `}trace ${traceId}`,
  );
  const attributes = Object.entries(span.attributes).toSorted(([left], [right]) => (left < right ? -1 : 1));
  return {
    spanId: span.spanId,
    parentSpanId: span.parentSpanId,
    name: span.name,
    service: span.service,
    startUnixNano: span.startTimeUnixNano,
    endUnixNano: span.endTimeUnixNano,
    error: span.error,
    statusMessage: span.statusMessage,
    notes: [
      ...links,
      ...(withAttributes ? attributes.map(([name, value]) => `${name} = ${attributeText(value)}`) : []),
    ],
  };
}

function attributeText({ value }: AttributeValue): string {
  return value.case === undefined ? "" : String(value.value);
}
