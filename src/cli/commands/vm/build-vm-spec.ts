/** Options and VM file → the spec of the request. Pure. Lists given as options replace those of the file, labels are added. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import {
  type Network,
  NetworkSchema,
  NodeLossPolicy,
  RestartPolicy,
  type VmSpec,
  VmSpecSchema,
} from "#gen/api/blixard/v1/vm_pb.ts";
import type { PublishedPort, VmDisk } from "#model/vm.ts";
import { usageError } from "../../command.ts";
import type { VmFile } from "../../vm-file.ts";
import type { CreateOptions } from "./create.ts";

const RESTART_POLICIES = {
  never: RestartPolicy.NEVER,
  "on-failure": RestartPolicy.ON_FAILURE,
  always: RestartPolicy.ALWAYS,
} as const;
const NODE_LOSS_POLICIES = { restart: NodeLossPolicy.RESTART, hold: NodeLossPolicy.HOLD } as const;

/** @throws BlixardError USAGE for options that contradict each other */
export function buildVmSpec(options: CreateOptions, file: VmFile | undefined): VmSpec {
  const restart = options.restart ?? file?.restart;
  const onNodeLoss = options.onNodeLoss ?? file?.onNodeLoss;
  const bootTimeoutMs = options.bootTimeout ?? file?.bootTimeoutMs;
  const stopTimeoutMs = options.stopTimeout ?? file?.stopTimeoutMs;
  const guestAgent = options.guestAgent === undefined ? file?.guestAgent : options.guestAgent === "yes";
  const network = buildNetwork(options, file);
  return create(VmSpecSchema, {
    image:
      options.image ??
      file?.image ??
      usageError("the VM needs an image", "Give one with --image; `blixard image list` shows them."),
    vcpus: options.vcpus ?? file?.vcpus ?? 0,
    memoryBytes: BigInt(options.memory ?? file?.memoryBytes ?? 0),
    commandLine: options.cmdline ?? file?.commandLine ?? "",
    labels: { ...file?.labels, ...Object.fromEntries(options.label.map(({ key, value }) => [key, value])) },
    disks: disksOf(options, file).map(diskMessage),
    restartPolicy: restart === undefined ? RestartPolicy.UNSPECIFIED : RESTART_POLICIES[restart],
    onNodeLoss: onNodeLoss === undefined ? NodeLossPolicy.UNSPECIFIED : NODE_LOSS_POLICIES[onNodeLoss],
    acceptDiskLoss: options.acceptDiskLoss || file?.acceptDiskLoss === true,
    ...(network === undefined ? {} : { network }),
    ...(bootTimeoutMs === undefined ? {} : { bootTimeout: durationFromMs(bootTimeoutMs) }),
    ...(stopTimeoutMs === undefined ? {} : { stopTimeout: durationFromMs(stopTimeoutMs) }),
    ...(guestAgent === undefined ? {} : { guestAgent }),
  });
}

function disksOf(options: CreateOptions, file: VmFile | undefined): readonly VmDisk[] {
  if (options.disk.length > 0) return options.disk;
  return (file?.disks ?? []).map(({ name, sizeBytes, persistent }) => ({
    name,
    sizeBytes,
    kind: persistent ? "persistent" : "ephemeral",
  }));
}

function diskMessage({ name, sizeBytes, kind }: VmDisk) {
  return { name, sizeBytes: BigInt(sizeBytes), kind: { case: kind, value: {} } };
}

function buildNetwork(options: CreateOptions, file: VmFile | undefined): Network | undefined {
  const ports = options.publish.length > 0 ? options.publish : (file?.network.publish ?? []);
  const egress = options.egress || file?.network.egress === true;
  const bridge = options.network?.kind === "bridge" ? options.network.bridge : file?.network.bridge;
  const macAddress = options.macAddress ?? file?.network.macAddress;
  const kind = options.network?.kind ?? file?.network.kind ?? impliedKind(ports, egress, bridge);
  if (kind === undefined) return undefined;
  if (kind !== "user" && (ports.length > 0 || egress))
    usageError(`published ports and egress need the network user, not ${kind}`);
  if (kind === "bridge") {
    if (bridge === undefined)
      return usageError("the network bridge needs the name of a bridge", "Write --network bridge=br0.");
    return network({ case: "bridge", value: { bridge, macAddress: macAddress ?? "" } });
  }
  if (macAddress !== undefined) usageError("a MAC address needs the network bridge");
  return kind === "none"
    ? network({ case: "none", value: {} })
    : network({ case: "user", value: { ports: [...ports], egress } });
}

function network(kind: NonNullable<MessageInitShape<typeof NetworkSchema>["kind"]>): Network {
  return create(NetworkSchema, { kind });
}

function impliedKind(
  ports: readonly PublishedPort[],
  egress: boolean,
  bridge: string | undefined,
): "user" | "bridge" | undefined {
  if (bridge !== undefined) return "bridge";
  return ports.length > 0 || egress ? "user" : undefined;
}
