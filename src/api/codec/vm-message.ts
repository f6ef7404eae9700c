/** A VM from the model to the API's message. */
import { create } from "@bufbuild/protobuf";
import type { TraceContext as TraceContextMessage } from "#gen/api/blixard/v1/common_pb.ts";
import { VmSchema, type Vm as VmMessage, type VmOperation as VmOperationMessage } from "#gen/api/blixard/v1/vm_pb.ts";
import type { TraceContext } from "#model/trace-context.ts";
import type { Vm, VmOperation } from "#model/vm.ts";
import { timeToMessage, traceContextToMessage } from "#store/records/common-codec.ts";
import { desiredVmStateCodec } from "#store/records/enum-codec.ts";
import { vmOperationToMessage } from "#store/records/vm-codec.ts";
import { vmSpecToMessage } from "#store/records/vm-spec-codec.ts";
import { vmStatusToMessage } from "#store/records/vm-status-codec.ts";

export function vmToMessage({ intent, placement, status }: Vm): VmMessage {
  const origin = contextToMessage(intent.origin);
  return create(VmSchema, {
    id: intent.id,
    name: intent.name,
    spec: vmSpecToMessage(intent.spec),
    desiredState: desiredVmStateCodec.toWire(intent.desiredState),
    generation: BigInt(intent.generation),
    createTime: timeToMessage(intent.createTimeMs),
    status: vmStatusToMessage(status, status.state === "pending" ? (placement?.refusals ?? []) : []),
    ...(origin === undefined ? {} : { origin }),
    operations: intent.operations.map(operationToMessage),
  });
}

function operationToMessage(operation: VmOperation): VmOperationMessage {
  const message = vmOperationToMessage(operation);
  const trace = contextToMessage(operation.trace);
  if (trace !== undefined) message.trace = trace;
  return message;
}

/** Baggage is its caller's; who reads the VM has no part in it. */
function contextToMessage(context: TraceContext | undefined): TraceContextMessage | undefined {
  const message = traceContextToMessage(context);
  if (message !== undefined) message.baggage = "";
  return message;
}

// What a VM takes on the wire when nothing about it is long, operations apart.
const BASE_BYTES = 320;
const OPERATION_BYTES = 200;

/** About how many bytes the message takes, without making it; rather too many. */
export function estimateVmBytes({ intent, placement, status }: Vm): number {
  const { spec } = intent;
  let bytes = BASE_BYTES + intent.operations.length * OPERATION_BYTES;
  bytes += spec.commandLine.length + spec.disks.length * 40 + status.publishedPorts.length * 40;
  for (const [key, value] of Object.entries(spec.labels)) bytes += 8 + key.length + 3 * value.length;
  bytes += 3 * (status.message.length + (status.lastExit?.detail.length ?? 0));
  if (status.state === "pending") {
    for (const refusal of placement?.refusals ?? []) bytes += 64 + refusal.nodeId.length + 3 * refusal.message.length;
  }
  return bytes;
}
