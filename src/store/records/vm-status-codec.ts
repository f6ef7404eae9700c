/** status/<node>/<vm> between model and wire; the API uses the inner `VmStatus` too. */
import { create } from "@bufbuild/protobuf";
import {
  type VmExit as VmExitMessage,
  VmExitSchema,
  type VmStatus as VmStatusMessage,
  VmStatusSchema,
} from "#gen/api/blixard/v1/vm_pb.ts";
import { type VmStatusRecord, VmStatusRecordSchema } from "#gen/store/blixard/store/v1/records_pb.ts";
import type { Accelerator, PlacementRefusal, RuntimeDriver, VmExit, VmExitCause, VmStatus } from "#model/vm.ts";
import { optionalTimeFromMessage, optionalTimeToMessage, timeFromMessage, timeToMessage } from "./common-codec.ts";
import { readinessCodec, vmStateCodec } from "./enum-codec.ts";
import { refusalToMessage } from "./placement-codec.ts";
import { createRecordCodec, keepUnknown, restoreUnknown } from "./record-codec.ts";
import { publishedPortFromMessage, publishedPortToMessage } from "./vm-spec-codec.ts";

const MAXIMUM_EXIT_DETAIL_LENGTH = 4096;

export const vmStatusCodec = createRecordCodec(VmStatusRecordSchema, statusRecordFromMessage, statusRecordToMessage);

function statusRecordFromMessage(record: VmStatusRecord): VmStatus {
  const message = record.status ?? create(VmStatusSchema);
  return { ...vmStatusFromMessage(message), vmId: record.vmId, removed: record.removed };
}

function statusRecordToMessage(status: VmStatus): VmStatusRecord {
  return create(VmStatusRecordSchema, {
    vmId: status.vmId,
    status: vmStatusToMessage(status),
    removed: status.removed,
  });
}

function vmStatusFromMessage(message: VmStatusMessage): VmStatus {
  const status: VmStatus = {
    vmId: "",
    nodeId: message.nodeId === "" ? undefined : message.nodeId,
    state: vmStateCodec.fromWire(message.state) ?? "pending",
    reason: message.reason,
    message: message.message,
    stateTimeMs: timeFromMessage(message.stateTime),
    observedGeneration: Number(message.observedGeneration),
    observedRestartGeneration: Number(message.observedRestartGeneration),
    restarts: message.restarts,
    driver: driverFrom(message.driver),
    accelerator: acceleratorFrom(message.accelerator),
    readiness: readinessCodec.fromWire(message.readiness),
    startTimeMs: optionalTimeFromMessage(message.startTime),
    publishedPorts: message.publishedPorts.map(publishedPortFromMessage),
    lastExit: message.lastExit === undefined ? undefined : exitFromMessage(message.lastExit),
    nextRestartTimeMs: optionalTimeFromMessage(message.nextRestartTime),
    errorCode: message.errorCode === "" ? undefined : message.errorCode,
    removed: false,
  };
  return keepUnknown(status, message, "status");
}

/** `refusals` are the placement's; the API shows them with the status. */
export function vmStatusToMessage(status: VmStatus, refusals: readonly PlacementRefusal[] = []): VmStatusMessage {
  const startTime = optionalTimeToMessage(status.startTimeMs);
  const nextRestartTime = optionalTimeToMessage(status.nextRestartTimeMs);
  const message = create(VmStatusSchema, {
    state: vmStateCodec.toWire(status.state),
    reason: status.reason,
    message: status.message,
    stateTime: timeToMessage(status.stateTimeMs),
    nodeId: status.nodeId ?? "",
    observedGeneration: BigInt(status.observedGeneration),
    observedRestartGeneration: BigInt(status.observedRestartGeneration),
    restarts: status.restarts,
    driver: status.driver ?? "",
    accelerator: status.accelerator ?? "",
    ...(status.readiness === undefined ? {} : { readiness: readinessCodec.toWire(status.readiness) }),
    ...(startTime === undefined ? {} : { startTime }),
    publishedPorts: status.publishedPorts.map(publishedPortToMessage),
    refusals: refusals.map(refusalToMessage),
    ...(status.lastExit === undefined ? {} : { lastExit: exitToMessage(status.lastExit) }),
    ...(nextRestartTime === undefined ? {} : { nextRestartTime }),
    errorCode: status.errorCode ?? "",
  });
  return restoreUnknown(status, message, "status");
}

const exitCauses: readonly VmExitCause[] = [
  "shutdown",
  "panic",
  "crash",
  "killed",
  "boot_timeout",
  "guardian_lost",
  "host_rebooted",
  "start_failed",
];

function exitFromMessage(message: VmExitMessage): VmExit {
  const exit: VmExit = {
    cause: exitCauses.find((cause) => cause === message.cause) ?? "crash",
    exitCode: message.exitCode,
    signal: message.signal === "" ? undefined : message.signal,
    timeMs: timeFromMessage(message.time),
    detail: message.detail,
  };
  return keepUnknown(exit, message);
}

function exitToMessage(exit: VmExit): VmExitMessage {
  const message = create(VmExitSchema, {
    cause: exit.cause,
    ...(exit.exitCode === undefined ? {} : { exitCode: exit.exitCode }),
    signal: exit.signal ?? "",
    time: timeToMessage(exit.timeMs),
    detail: exit.detail.slice(-MAXIMUM_EXIT_DETAIL_LENGTH),
  });
  return restoreUnknown(exit, message);
}

export function driverFrom(text: string): RuntimeDriver | undefined {
  return text === "qemu" || text === "simulated" ? text : undefined;
}

export function acceleratorFrom(text: string): Accelerator | undefined {
  return text === "kvm" || text === "tcg" || text === "none" ? text : undefined;
}
