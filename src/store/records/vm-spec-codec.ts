/**
 * A VM's spec between model and wire. The API uses it too, so there is one
 * reading of an absent field: the default that vm.proto documents. It does not
 * judge values; limits are the API's business.
 */
import { create } from "@bufbuild/protobuf";
import { durationFromMs, durationMs } from "@bufbuild/protobuf/wkt";
import {
  BridgeNetworkSchema,
  DiskSchema,
  type Disk as DiskMessage,
  NetworkSchema,
  type Network as NetworkMessage,
  NoNetworkSchema,
  PublishedPortSchema,
  type PublishedPort as PublishedPortMessage,
  UserNetworkSchema,
  VmSpecSchema,
  type VmSpec as VmSpecMessage,
} from "#gen/api/blixard/v1/vm_pb.ts";
import type { PublishedPort, VmDisk, VmNetwork, VmSpec } from "#model/vm.ts";
import { vmSpecLimits } from "#model/vm-spec.ts";
import { nodeLossPolicyCodec, restartPolicyCodec } from "./enum-codec.ts";
import { keepUnknown, restoreUnknown } from "./record-codec.ts";

export function vmSpecFromMessage(message: VmSpecMessage): VmSpec {
  const disks = message.disks.map(diskFromMessage);
  const persistent = disks.some((disk) => disk.kind === "persistent");
  const spec: VmSpec = {
    vcpus: message.vcpus === 0 ? vmSpecLimits.vcpus.default : message.vcpus,
    memoryBytes: message.memoryBytes === 0n ? vmSpecLimits.memoryBytes.default : Number(message.memoryBytes),
    image: message.image,
    commandLine: message.commandLine,
    network: networkFromMessage(message.network),
    disks,
    onNodeLoss: nodeLossPolicyCodec.fromWire(message.onNodeLoss) ?? (persistent ? "hold" : "restart"),
    acceptDiskLoss: message.acceptDiskLoss,
    labels: { ...message.labels },
    restartPolicy: restartPolicyCodec.fromWire(message.restartPolicy) ?? "on-failure",
    bootTimeoutMs:
      message.bootTimeout === undefined ? vmSpecLimits.bootTimeoutMs.default : durationMs(message.bootTimeout),
    stopTimeoutMs:
      message.stopTimeout === undefined ? vmSpecLimits.stopTimeoutMs.default : durationMs(message.stopTimeout),
    guestAgent: message.guestAgent,
  };
  return keepUnknown(spec, message);
}

export function vmSpecToMessage(spec: VmSpec): VmSpecMessage {
  const message = create(VmSpecSchema, {
    vcpus: spec.vcpus,
    memoryBytes: BigInt(spec.memoryBytes),
    image: spec.image,
    commandLine: spec.commandLine,
    network: networkToMessage(spec.network),
    disks: spec.disks.map(diskToMessage),
    onNodeLoss: nodeLossPolicyCodec.toWire(spec.onNodeLoss),
    acceptDiskLoss: spec.acceptDiskLoss,
    labels: { ...spec.labels },
    restartPolicy: restartPolicyCodec.toWire(spec.restartPolicy),
    bootTimeout: durationFromMs(spec.bootTimeoutMs),
    stopTimeout: durationFromMs(spec.stopTimeoutMs),
    ...(spec.guestAgent === undefined ? {} : { guestAgent: spec.guestAgent }),
  });
  return restoreUnknown(spec, message);
}

function networkFromMessage(message: NetworkMessage | undefined): VmNetwork {
  const kind = message?.kind;
  switch (kind?.case) {
    case "user": {
      const network: VmNetwork = {
        kind: "user",
        ports: kind.value.ports.map(publishedPortFromMessage),
        egress: kind.value.egress,
      };
      return keepNetworkUnknown(network, message, kind.value);
    }
    case "bridge": {
      const { bridge, macAddress } = kind.value;
      const network: VmNetwork = { kind: "bridge", bridge, macAddress: macAddress === "" ? undefined : macAddress };
      return keepNetworkUnknown(network, message, kind.value);
    }
    default:
      return message === undefined ? { kind: "none" } : keepNetworkUnknown({ kind: "none" }, message, kind?.value);
  }
}

function keepNetworkUnknown(
  network: VmNetwork,
  message: NetworkMessage | undefined,
  inner: Parameters<typeof keepUnknown>[1] | undefined,
): VmNetwork {
  const kept = inner === undefined ? network : keepUnknown(network, inner);
  return message === undefined ? kept : keepUnknown(kept, message, "network");
}

function networkToMessage(network: VmNetwork): NetworkMessage {
  return restoreUnknown(network, create(NetworkSchema, { kind: networkKindToMessage(network) }), "network");
}

function networkKindToMessage(network: VmNetwork): NetworkMessage["kind"] {
  switch (network.kind) {
    case "none":
      return { case: "none", value: restoreUnknown(network, create(NoNetworkSchema)) };
    case "user": {
      const message = create(UserNetworkSchema, {
        ports: network.ports.map(publishedPortToMessage),
        egress: network.egress,
      });
      return { case: "user", value: restoreUnknown(network, message) };
    }
    case "bridge": {
      const message = create(BridgeNetworkSchema, {
        bridge: network.bridge,
        macAddress: network.macAddress ?? "",
      });
      return { case: "bridge", value: restoreUnknown(network, message) };
    }
  }
}

export function publishedPortFromMessage(message: PublishedPortMessage): PublishedPort {
  const port: PublishedPort = {
    hostAddress: message.hostAddress === "" ? "127.0.0.1" : message.hostAddress,
    hostPort: message.hostPort,
    guestPort: message.guestPort,
    // Other words than these two are refused by the API before they get here.
    protocol: message.protocol === "udp" ? "udp" : "tcp",
  };
  return keepUnknown(port, message);
}

export function publishedPortToMessage(port: PublishedPort): PublishedPortMessage {
  const { hostAddress, hostPort, guestPort, protocol } = port;
  return restoreUnknown(port, create(PublishedPortSchema, { hostAddress, hostPort, guestPort, protocol }));
}

function diskFromMessage(message: DiskMessage): VmDisk {
  const disk: VmDisk = {
    name: message.name,
    sizeBytes: Number(message.sizeBytes),
    kind: message.kind.case === "persistent" ? "persistent" : "ephemeral",
  };
  return keepUnknown(disk, message);
}

function diskToMessage(disk: VmDisk): DiskMessage {
  const message = create(DiskSchema, {
    name: disk.name,
    sizeBytes: BigInt(disk.sizeBytes),
    kind: { case: disk.kind, value: {} },
  });
  return restoreUnknown(disk, message);
}
