/** vms/<id> and vm-names/<name> between model and wire. */
import { create } from "@bufbuild/protobuf";
import { type VmOperation as VmOperationMessage, VmOperationSchema, VmSpecSchema } from "#gen/api/blixard/v1/vm_pb.ts";
import {
  ImageUserRecordSchema,
  VmNameRecordSchema,
  type VmRecord,
  VmRecordSchema,
} from "#gen/store/blixard/store/v1/records_pb.ts";
import { type VmIntent, type VmOperation, type VmOperationKind, vmOperationKinds } from "#model/vm.ts";
import { timeFromMessage, timeToMessage, traceContextFromMessage, traceContextToMessage } from "./common-codec.ts";
import { desiredVmStateCodec } from "./enum-codec.ts";
import { createRecordCodec, keepUnknown, restoreUnknown } from "./record-codec.ts";
import { vmSpecFromMessage, vmSpecToMessage } from "./vm-spec-codec.ts";

export const vmIntentCodec = createRecordCodec(VmRecordSchema, vmIntentFromMessage, vmIntentToMessage);

export const vmNameCodec = createRecordCodec(
  VmNameRecordSchema,
  (message) => ({ vmId: message.vmId }),
  (value: { readonly vmId: string }) => create(VmNameRecordSchema, { vmId: value.vmId }),
);

export const imageUserCodec = createRecordCodec(
  ImageUserRecordSchema,
  (message) => ({ vmId: message.vmId }),
  (value: { readonly vmId: string }) => create(ImageUserRecordSchema, { vmId: value.vmId }),
);

function vmIntentFromMessage(message: VmRecord): VmIntent {
  return {
    id: message.id,
    name: message.name,
    spec: vmSpecFromMessage(message.spec ?? create(VmSpecSchema)),
    // An unknown wish of a newer version is not acted upon: the VM stays as it is asked for last.
    desiredState: desiredVmStateCodec.fromWire(message.desiredState) ?? "running",
    generation: Number(message.generation),
    restartGeneration: Number(message.restartGeneration),
    force: message.force,
    createTimeMs: timeFromMessage(message.createTime),
    origin: traceContextFromMessage(message.origin),
    operations: message.operations.map(vmOperationFromMessage),
    createOperationId: message.createOperationId,
    createRequestDigest: Buffer.from(message.createRequestDigest).toString("hex"),
    imageDigest: message.imageDigest,
  };
}

function vmIntentToMessage(intent: VmIntent): VmRecord {
  const origin = traceContextToMessage(intent.origin);
  return create(VmRecordSchema, {
    id: intent.id,
    name: intent.name,
    spec: vmSpecToMessage(intent.spec),
    desiredState: desiredVmStateCodec.toWire(intent.desiredState),
    generation: BigInt(intent.generation),
    restartGeneration: BigInt(intent.restartGeneration),
    force: intent.force,
    createTime: timeToMessage(intent.createTimeMs),
    ...(origin === undefined ? {} : { origin }),
    operations: intent.operations.map(vmOperationToMessage),
    createOperationId: intent.createOperationId,
    createRequestDigest: Buffer.from(intent.createRequestDigest, "hex"),
    imageDigest: intent.imageDigest,
  });
}

export function vmOperationFromMessage(message: VmOperationMessage): VmOperation {
  const operation: VmOperation = {
    operationId: message.operationId,
    kind: vmOperationKindFrom(message.kind),
    trace: traceContextFromMessage(message.trace),
    timeMs: timeFromMessage(message.time),
  };
  return keepUnknown(operation, message);
}

export function vmOperationToMessage(operation: VmOperation): VmOperationMessage {
  const trace = traceContextToMessage(operation.trace);
  const message = create(VmOperationSchema, {
    operationId: operation.operationId,
    kind: operation.kind,
    ...(trace === undefined ? {} : { trace }),
    time: timeToMessage(operation.timeMs),
  });
  return restoreUnknown(operation, message);
}

/** A kind of a newer version reads as `create`, the only one that changes nothing by itself. */
export function vmOperationKindFrom(text: string): VmOperationKind {
  return vmOperationKinds.find((kind) => kind === text) ?? "create";
}
