/** placements/<id> and assign/<node>/<vm> between model and wire. */
import { create } from "@bufbuild/protobuf";
import {
  type PlacementRefusal as PlacementRefusalMessage,
  PlacementRefusalSchema,
  VmSpecSchema,
} from "#gen/api/blixard/v1/vm_pb.ts";
import {
  type AssignmentRecord,
  AssignmentRecordSchema,
  type PlacementRecord,
  PlacementRecordSchema,
} from "#gen/store/blixard/store/v1/records_pb.ts";
import { type PlacementRefusal, placementRefusalReasons, type VmAssignment, type VmPlacement } from "#model/vm.ts";
import { timeFromMessage, timeToMessage, traceContextFromMessage, traceContextToMessage } from "./common-codec.ts";
import { desiredVmStateCodec } from "./enum-codec.ts";
import { createRecordCodec, keepUnknown, restoreUnknown } from "./record-codec.ts";
import { vmOperationKindFrom } from "./vm-codec.ts";
import { vmSpecFromMessage, vmSpecToMessage } from "./vm-spec-codec.ts";

export const placementCodec = createRecordCodec(PlacementRecordSchema, placementFromMessage, placementToMessage);
export const assignmentCodec = createRecordCodec(AssignmentRecordSchema, assignmentFromMessage, assignmentToMessage);

function placementFromMessage(message: PlacementRecord): VmPlacement {
  return {
    vmId: message.vmId,
    nodeId: message.nodeId === "" ? undefined : message.nodeId,
    refusals: message.refusals.map(refusalFromMessage),
    timeMs: timeFromMessage(message.time),
    attempts: message.attempts,
  };
}

function placementToMessage(placement: VmPlacement): PlacementRecord {
  return create(PlacementRecordSchema, {
    vmId: placement.vmId,
    nodeId: placement.nodeId ?? "",
    refusals: placement.refusals.map(refusalToMessage),
    time: timeToMessage(placement.timeMs),
    attempts: placement.attempts,
  });
}

export function refusalFromMessage(message: PlacementRefusalMessage): PlacementRefusal {
  const reason = placementRefusalReasons.find((known) => known === message.reason) ?? "no_nodes";
  return keepUnknown({ nodeId: message.nodeId, reason, message: message.message }, message);
}

export function refusalToMessage(refusal: PlacementRefusal): PlacementRefusalMessage {
  const { nodeId, reason, message } = refusal;
  return restoreUnknown(refusal, create(PlacementRefusalSchema, { nodeId, reason, message }));
}

function assignmentFromMessage(message: AssignmentRecord): VmAssignment {
  return {
    vmId: message.vmId,
    vmName: message.vmName,
    spec: vmSpecFromMessage(message.spec ?? create(VmSpecSchema)),
    // A wish of a newer version: leave the guest as it is, which for an assigned VM means running.
    desiredState: desiredVmStateCodec.fromWire(message.desiredState) ?? "running",
    generation: Number(message.generation),
    restartGeneration: Number(message.restartGeneration),
    force: message.force,
    cause: traceContextFromMessage(message.cause),
    origin: traceContextFromMessage(message.origin),
    operationId: message.operationId,
    operationKind: vmOperationKindFrom(message.operationKind),
    operationTimeMs: timeFromMessage(message.operationTime),
    imageDigest: message.imageDigest,
  };
}

function assignmentToMessage(assignment: VmAssignment): AssignmentRecord {
  const cause = traceContextToMessage(assignment.cause);
  const origin = traceContextToMessage(assignment.origin);
  return create(AssignmentRecordSchema, {
    vmId: assignment.vmId,
    vmName: assignment.vmName,
    spec: vmSpecToMessage(assignment.spec),
    desiredState: desiredVmStateCodec.toWire(assignment.desiredState),
    generation: BigInt(assignment.generation),
    restartGeneration: BigInt(assignment.restartGeneration),
    force: assignment.force,
    ...(cause === undefined ? {} : { cause }),
    ...(origin === undefined ? {} : { origin }),
    operationId: assignment.operationId,
    operationKind: assignment.operationKind,
    operationTime: timeToMessage(assignment.operationTimeMs),
    imageDigest: assignment.imageDigest,
  });
}
