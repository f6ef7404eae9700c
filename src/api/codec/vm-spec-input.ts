/** A request's spec as the model's rules read it: absent stays absent, an unknown choice stays recognizably wrong. */
import { durationMs } from "@bufbuild/protobuf/wkt";
import type { Disk, Network, VmSpec } from "#gen/api/blixard/v1/vm_pb.ts";
import type { VmDiskInput, VmSpecInput } from "#model/vm-spec.ts";
import type { VmNetworkInput } from "#model/vm-network.ts";
import { nodeLossPolicyCodec, restartPolicyCodec, type EnumCodec } from "#store/records/enum-codec.ts";

export function vmSpecInputFromMessage(message: VmSpec | undefined): VmSpecInput {
  if (message === undefined) return {};
  return {
    vcpus: message.vcpus,
    memoryBytes: message.memoryBytes,
    image: message.image,
    commandLine: message.commandLine,
    network: networkInput(message.network),
    disks: message.disks.map(diskInput),
    onNodeLoss: choice(nodeLossPolicyCodec, message.onNodeLoss),
    acceptDiskLoss: message.acceptDiskLoss,
    labels: message.labels,
    restartPolicy: choice(restartPolicyCodec, message.restartPolicy),
    bootTimeoutMs: message.bootTimeout === undefined ? undefined : durationMs(message.bootTimeout),
    stopTimeoutMs: message.stopTimeout === undefined ? undefined : durationMs(message.stopTimeout),
    guestAgent: message.guestAgent,
  };
}

function networkInput(message: Network | undefined): VmNetworkInput | undefined {
  const kind = message?.kind;
  switch (kind?.case) {
    case "none":
      return { kind: "none" };
    case "user":
      return { kind: "user", egress: kind.value.egress, ports: kind.value.ports.map(portInput) };
    case "bridge":
      return { kind: "bridge", bridge: kind.value.bridge, macAddress: textOrAbsent(kind.value.macAddress) };
    default:
      return undefined;
  }
}

function portInput(port: { hostAddress: string; hostPort: number; guestPort: number; protocol: string }) {
  return {
    hostAddress: textOrAbsent(port.hostAddress),
    hostPort: port.hostPort,
    guestPort: port.guestPort,
    protocol: textOrAbsent(port.protocol),
  };
}

function diskInput(disk: Disk): VmDiskInput {
  return { name: disk.name, sizeBytes: disk.sizeBytes, kind: disk.kind.case };
}

/** A number that this version has no word for goes on as a word that nothing knows. */
function choice<Word extends string>(codec: EnumCodec<Word, number>, wire: number): string | undefined {
  return wire === 0 ? undefined : (codec.fromWire(wire) ?? String(wire));
}

function textOrAbsent(text: string): string | undefined {
  return text === "" ? undefined : text;
}
