/**
 * The operation that a VM's node is bringing about: what someone asked for, from
 * the moment its assignment is seen until its outcome. It decides which trace the
 * steps belong to: the operation's own while it is under way, later work starts
 * its own trace with a link to the VM's origin.
 */
import { vmOperationActive, vmOperationDuration } from "#gen/telemetry/metrics.ts";
import { vmDelete, vmRestart } from "#gen/telemetry/spans.ts";
import type { TraceContext } from "#model/trace-context.ts";
import type { VmAssignment } from "#model/vm.ts";
import type { ManualSpan, SpanLink } from "#telemetry/port.ts";
import { errorType, type VmTelemetry } from "./vm-telemetry.ts";

export interface StepTrace {
  /** null: a trace of its own. */
  readonly parent: TraceContext | null;
  readonly links: readonly SpanLink[];
}

export interface OperationTracker {
  /** An assignment that asks for something new; a newer one takes the place of an older. */
  begin(assignment: VmAssignment, nowMs: number): void;
  /** Where the spans of the steps for this assignment belong. */
  traceOf(assignment: VmAssignment | undefined): StepTrace;
  /** The outcome of everything up to this generation; `error` when it is not what was asked for. */
  settle(generation: number, nowMs: number, error?: unknown): void;
  /** Nobody waits for it any more: it ends without an outcome. */
  abandon(nowMs: number): void;
  readonly operationId: string | undefined;
}

interface CurrentOperation {
  readonly assignment: VmAssignment;
  readonly startTimeMs: number;
  /** Operations of several steps have a span around them. */
  readonly span: ManualSpan | undefined;
}

export function createOperationTracker(vmTelemetry: VmTelemetry): OperationTracker {
  const { metrics, tracing } = vmTelemetry.telemetry;
  let current: CurrentOperation | undefined;

  function active(assignment: VmAssignment, difference: number): void {
    metrics.bind(vmOperationActive, { "blixard.vm.operation": assignment.operationKind }).add(difference);
  }

  function end(nowMs: number): CurrentOperation | undefined {
    const ended = current;
    if (ended === undefined) return undefined;
    current = undefined;
    active(ended.assignment, -1);
    ended.span?.end(nowMs);
    return ended;
  }

  function startSpan(assignment: VmAssignment): ManualSpan | undefined {
    const { operationKind } = assignment;
    if (operationKind !== "restart" && operationKind !== "delete") return undefined;
    return tracing.startSpan(operationKind === "restart" ? vmRestart : vmDelete, {
      attributes: {
        ...vmTelemetry.identify(assignment),
        "blixard.operation.id": assignment.operationId,
        "blixard.vm.operation": operationKind,
        "blixard.vm.generation": assignment.generation,
      },
      ...causeOf(assignment),
    });
  }

  return {
    get operationId() {
      return current?.assignment.operationId;
    },
    begin(assignment, nowMs) {
      if (current?.assignment.generation === assignment.generation) return;
      end(nowMs);
      active(assignment, 1);
      current = { assignment, startTimeMs: startOf(assignment, nowMs), span: startSpan(assignment) };
    },
    traceOf(assignment) {
      if (
        assignment === undefined ||
        current === undefined ||
        current.assignment.generation !== assignment.generation
      ) {
        return { parent: null, links: originLinks(assignment) };
      }
      return current.span === undefined ? causeOf(assignment) : { parent: current.span.context, links: [] };
    },
    settle(generation, nowMs, error) {
      if (current === undefined || current.assignment.generation > generation) return;
      if (error !== undefined) current.span?.setError(error);
      const ended = end(nowMs);
      if (ended === undefined) return;
      metrics
        .bind(vmOperationDuration, { "blixard.vm.operation": ended.assignment.operationKind, ...errorType(error) })
        .record(Math.max(0, nowMs - ended.startTimeMs) / 1000, ended.span?.context ?? ended.assignment.cause);
    },
    abandon: (nowMs) => void end(nowMs),
  };
}

/** Measured from the request; a request of the future is another node's clock. */
function startOf(assignment: VmAssignment, nowMs: number): number {
  return Math.min(assignment.operationTimeMs, nowMs);
}

function causeOf(assignment: VmAssignment): StepTrace {
  return assignment.cause === undefined
    ? { parent: null, links: originLinks(assignment) }
    : { parent: assignment.cause, links: [] };
}

function originLinks(assignment: VmAssignment | undefined): readonly SpanLink[] {
  return assignment?.origin === undefined ? [] : [{ context: assignment.origin, relation: "origin" }];
}
