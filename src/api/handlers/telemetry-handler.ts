/** TelemetryService: traces from this node's own recorder, and spans that clients finished. */
import type { ServiceImpl } from "@connectrpc/connect";
import type { GetTraceRequest, TelemetryService } from "#gen/api/blixard/v1/telemetry_pb.ts";
import { BlixardError } from "#model/errors.ts";
import { invalid, parseVmReference } from "#model/names.ts";
import type { VmIntent } from "#model/vm.ts";
import type { WatchCache } from "#store/watch-cache.ts";
import { spansFromRequest, spanToMessage } from "../codec/span-message.ts";
import type { TraceReader } from "../ports.ts";
import { createCardinalityHandler, type CardinalityHandlerOptions } from "./cardinality-handler.ts";
import { createDiagnoseTelemetry, type DiagnoseTelemetryOptions } from "./diagnose-telemetry.ts";
import { createLogLevelHandler, type LogLevelHandlerOptions } from "./log-level-handler.ts";
import { createTraceRulesHandler, type TraceRulesHandlerOptions } from "./trace-rules-handler.ts";

export interface TelemetryHandlerOptions
  extends TraceRulesHandlerOptions, LogLevelHandlerOptions, DiagnoseTelemetryOptions, CardinalityHandlerOptions {
  readonly traces: TraceReader;
  readonly cache: Pick<WatchCache, "snapshot">;
}

const TRACE_ID = /^(?!0{32})[0-9a-f]{32}$/;
const MAXIMUM_SPANS = 256;
/** Whoever hands in spans is a client: it cannot speak in a node's name. */
const CLIENT_SERVICE_NAME = "blixard-cli";

export function createTelemetryHandler(options: TelemetryHandlerOptions): ServiceImpl<typeof TelemetryService> {
  const { traces, cache } = options;

  function traceIdOf({ subject, operation }: GetTraceRequest): string {
    switch (subject.case) {
      case "traceId":
        if (TRACE_ID.test(subject.value)) return subject.value;
        throw invalid("traceId", "this is not a trace id", "Use 32 lower-case hex digits.");
      case "vm":
        return traceIdOfVm(subject.value, operation);
      default:
        throw invalid("subject", "the request asks for nothing", "Give a trace id or a VM.");
    }
  }

  function traceIdOfVm(reference: string, operation: string): string {
    const vm = cache.snapshot().findVm(parseVmReference(reference));
    if (vm === undefined) {
      throw new BlixardError("VM_NOT_FOUND", `there is no VM ${reference}`, {
        field: "vm",
        hint: "See `blixard vm list`.",
      });
    }
    const traceId = traceIdOfOperation(vm.intent, operation);
    if (traceId !== undefined) return traceId;
    throw new BlixardError("TRACE_NOT_FOUND", `VM ${vm.intent.name} keeps no trace of that operation`, {
      field: "operation",
      hint: 'Use "create", "latest", or the id of one of its last operations (`blixard vm get -o json`).',
    });
  }

  return {
    ...createTraceRulesHandler(options),
    ...createLogLevelHandler(options),
    ...createDiagnoseTelemetry(options),
    ...createCardinalityHandler(options),
    getTrace(request) {
      const traceId = traceIdOf(request);
      const trace = traces.trace(traceId);
      if (trace === undefined) {
        throw new BlixardError("TRACE_NOT_FOUND", `this node keeps nothing of trace ${traceId}`, {
          hint: "It may have been dropped to make room, or recorded before the node was started.",
        });
      }
      return {
        traceId,
        spans: trace.spans.map((span) => spanToMessage(span, trace.exported)),
        droppedSpans: BigInt(trace.droppedSpans),
      };
    },
    recordSpans(request) {
      const { spans } = request;
      if (spans.length > MAXIMUM_SPANS) {
        throw invalid("spans", `${spans.length} spans are too many`, `Send at most ${MAXIMUM_SPANS} at a time.`);
      }
      return { accepted: traces.ingest(spansFromRequest(request), { serviceName: CLIENT_SERVICE_NAME }).accepted };
    },
  };
}

/** Absent when the operation is unknown or was not traced. */
function traceIdOfOperation(intent: VmIntent, operation: string): string | undefined {
  if (operation === "" || operation === "create") return intent.origin?.traceId;
  if (operation === "latest") return intent.operations.at(0)?.trace?.traceId;
  return intent.operations.find((known) => known.operationId === operation)?.trace?.traceId;
}
