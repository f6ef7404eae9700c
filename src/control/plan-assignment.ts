/** What a node is told of a VM: made from the intent, under the trace of what caused it. Pure. */
import type { TraceContext } from "#model/trace-context.ts";
import type { VmAssignment, VmIntent, VmOperation } from "#model/vm.ts";

export function planAssignment(intent: VmIntent, cause: TraceContext | undefined): VmAssignment {
  const operation = newestOperation(intent);
  return {
    vmId: intent.id,
    vmName: intent.name,
    spec: intent.spec,
    desiredState: intent.desiredState,
    generation: intent.generation,
    restartGeneration: intent.restartGeneration,
    force: intent.force,
    cause,
    origin: intent.origin,
    operationId: operation.operationId,
    operationKind: operation.kind,
    operationTimeMs: operation.timeMs,
    imageDigest: intent.imageDigest,
  };
}

/** The operation that must be brought about now; every intent has at least the one that created it. */
export function newestOperation(intent: VmIntent): VmOperation {
  return (
    intent.operations[0] ?? {
      operationId: intent.createOperationId,
      kind: "create",
      trace: intent.origin,
      timeMs: intent.createTimeMs,
    }
  );
}
