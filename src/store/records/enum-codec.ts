/** Closed sets of words in the model, protobuf enums on the wire. */
import {
  DesiredVmState as DesiredVmStateEnum,
  NodeLossPolicy as NodeLossPolicyEnum,
  ReadinessSource,
  RestartPolicy as RestartPolicyEnum,
  VmState as VmStateEnum,
} from "#gen/api/blixard/v1/vm_pb.ts";
import { DiskFormat as DiskFormatEnum, ImageFileRole as ImageFileRoleEnum } from "#gen/api/blixard/v1/image_pb.ts";
import type { DiskFormat, ImageFileRole } from "#model/image.ts";
import type { DesiredVmState, NodeLossPolicy, RestartPolicy, VmState } from "#model/vm.ts";

export interface EnumCodec<Word extends string, Wire extends number> {
  toWire(word: Word): Wire;
  /** undefined: unspecified, or a value of a newer version. */
  fromWire(wire: number): Word | undefined;
}

export const vmStateCodec = createEnumCodec<VmState, VmStateEnum>({
  pending: VmStateEnum.PENDING,
  scheduled: VmStateEnum.SCHEDULED,
  preparing: VmStateEnum.PREPARING,
  starting: VmStateEnum.STARTING,
  running: VmStateEnum.RUNNING,
  stopping: VmStateEnum.STOPPING,
  stopped: VmStateEnum.STOPPED,
  paused: VmStateEnum.PAUSED,
  migrating: VmStateEnum.MIGRATING,
  failed: VmStateEnum.FAILED,
  lost: VmStateEnum.LOST,
});

export const desiredVmStateCodec = createEnumCodec<DesiredVmState, DesiredVmStateEnum>({
  running: DesiredVmStateEnum.RUNNING,
  stopped: DesiredVmStateEnum.STOPPED,
  paused: DesiredVmStateEnum.PAUSED,
  deleted: DesiredVmStateEnum.DELETED,
});

export const restartPolicyCodec = createEnumCodec<RestartPolicy, RestartPolicyEnum>({
  never: RestartPolicyEnum.NEVER,
  "on-failure": RestartPolicyEnum.ON_FAILURE,
  always: RestartPolicyEnum.ALWAYS,
});

export const nodeLossPolicyCodec = createEnumCodec<NodeLossPolicy, NodeLossPolicyEnum>({
  restart: NodeLossPolicyEnum.RESTART,
  hold: NodeLossPolicyEnum.HOLD,
});

export const readinessCodec = createEnumCodec<"guest" | "hypervisor", ReadinessSource>({
  guest: ReadinessSource.GUEST,
  hypervisor: ReadinessSource.HYPERVISOR,
});

export const imageFileRoleCodec = createEnumCodec<ImageFileRole, ImageFileRoleEnum>({
  kernel: ImageFileRoleEnum.KERNEL,
  initrd: ImageFileRoleEnum.INITRD,
  disk: ImageFileRoleEnum.DISK,
});

export const diskFormatCodec = createEnumCodec<DiskFormat, DiskFormatEnum>({
  raw: DiskFormatEnum.RAW,
  qcow2: DiskFormatEnum.QCOW2,
});

function createEnumCodec<Word extends string, Wire extends number>(
  table: Readonly<Record<Word, Wire>>,
): EnumCodec<Word, Wire> {
  const words = new Map<number, Word>();
  for (const word in table) words.set(table[word], word);
  return { toWire: (word) => table[word], fromWire: (wire) => words.get(wire) };
}
