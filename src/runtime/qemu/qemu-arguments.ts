/**
 * QEMU's command line for a VM. Pure: the same VM gives the same line.
 *
 * Nothing is named by a path but the VM's own disks, relative to its working
 * directory; all else comes as open descriptors, in the order that the guardian
 * promises: channels, companions, files.
 */
import { BlixardError } from "#model/errors.ts";
import type { DiskFormat } from "#model/image.ts";

/** Channels that the guardian holds, in the order of their descriptors. */
export const guestChannels = ["qmp", "agent"] as const;
const FIRST_DESCRIPTOR = 3;
const QMP_DESCRIPTOR = FIRST_DESCRIPTOR;
const AGENT_DESCRIPTOR = FIRST_DESCRIPTOR + 1;

export interface QemuPlan {
  readonly vmId: string;
  readonly vmName: string;
  readonly accelerator: "kvm" | "tcg";
  readonly machineType: "q35" | "microvm";
  /** Of the host; for microvm. */
  readonly tscKhz: number | undefined;
  readonly vcpus: number;
  readonly memoryBytes: number;
  readonly kernel: { readonly hasInitrd: boolean; readonly commandLine: string } | undefined;
  readonly disks: readonly QemuDisk[];
  readonly network: QemuNetwork | undefined;
  readonly traceparent: string | undefined;
  /** A W3C baggage header. */
  readonly baggage?: string | undefined;
}

export interface QemuDisk {
  /** Seen by the guest as the serial number, at most 20 characters. */
  readonly name: string;
  /** Relative to the working directory. */
  readonly fileName: string;
  readonly format: DiskFormat;
  /** The image below an overlay, among the opened files. */
  readonly base: { readonly format: DiskFormat } | undefined;
}

export type QemuNetwork =
  | { readonly kind: "user"; readonly macAddress: string; readonly forwards: readonly PortForward[] }
  /** Through a companion's socket. */
  | { readonly kind: "companion"; readonly macAddress: string }
  | { readonly kind: "tap"; readonly macAddress: string; readonly interfaceName: string };

export interface PortForward {
  readonly protocol: "tcp" | "udp";
  readonly hostAddress: string;
  readonly hostPort: number;
  readonly guestPort: number;
}

// What qemu64 lacks of x86-64-v2, which many distributions require; it costs no boot time.
const TCG_CPU = "qemu64,+ssse3,+sse4.1,+sse4.2,+popcnt,+cx16,+lahf-lm";
// Of translated code, for each guest. QEMU's own default is up to 1 GiB.
const TCG_CACHE_MIB = 256;
// COMMAND_LINE_SIZE of x86, with the terminating zero.
const MAXIMUM_COMMAND_LINE = 2047;
const MEBIBYTE = 1024 * 1024;

export function planQemuArguments(plan: QemuPlan): string[] {
  return [
    ...option("-name", plan.vmName, ...uuidArguments(plan.vmId)),
    ...option("-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-S"),
    ...option("-action", "panic=shutdown"),
    ...machineArguments(plan),
    ...option("-smp", String(plan.vcpus), "-m", `${plan.memoryBytes / MEBIBYTE}M`),
    ...option("-chardev", "stdio,id=serial,signal=off", "-serial", "chardev:serial"),
    ...option("-chardev", `socket,id=qmp,fd=${QMP_DESCRIPTOR}`, "-mon", "chardev=qmp,mode=control"),
    ...option("-device", "virtio-serial-pci,max_ports=4"),
    ...option("-chardev", `socket,id=agent,fd=${AGENT_DESCRIPTOR}`),
    ...option("-device", "virtserialport,chardev=agent,name=org.blixard.agent"),
    ...option("-device", "pvpanic-pci"),
    ...option("-object", "rng-builtin,id=rng", "-device", "virtio-rng-pci,rng=rng"),
    ...networkArguments(plan),
    ...plan.disks.flatMap((disk, index) => diskArguments(plan, disk, index)),
    ...kernelArguments(plan),
    ...firmwareArguments(plan),
    ...option("-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"),
  ];
}

/** Words that belong together. */
function option(...words: readonly string[]): readonly string[] {
  return words;
}

/** microvm has no firmware that boots a disk. */
export function machineTypeFor(
  preferred: "q35" | "microvm",
  image: { readonly hasKernel: boolean },
): "q35" | "microvm" {
  return image.hasKernel ? preferred : "q35";
}

function uuidArguments(vmId: string): string[] {
  return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(vmId) ? ["-uuid", vmId] : [];
}

function machineArguments({ accelerator, machineType }: QemuPlan): string[] {
  // With PCI on microvm the same devices serve both, and the guest's panic is noticed on both.
  const machine = machineType === "microvm" ? "microvm,pcie=on" : "q35";
  return accelerator === "kvm"
    ? ["-machine", machine, "-accel", "kvm", "-cpu", "host"]
    : ["-machine", machine, "-accel", `tcg,tb-size=${TCG_CACHE_MIB}`, "-cpu", TCG_CPU];
}

function networkArguments({ network }: QemuPlan): string[] {
  if (network === undefined) return [];
  const device = ["-device", `virtio-net-pci,netdev=net0,mac=${network.macAddress},romfile=`];
  switch (network.kind) {
    case "user": {
      const forwards = network.forwards.map(
        ({ protocol, hostAddress, hostPort, guestPort }) =>
          `,hostfwd=${protocol}:${hostAddress}:${hostPort}-:${guestPort}`,
      );
      // Without `restrict` the guest would reach the host's own loopback.
      return ["-netdev", `user,id=net0,restrict=on,ipv6=off${forwards.join("")}`, ...device];
    }
    case "companion": {
      const descriptor = FIRST_DESCRIPTOR + guestChannels.length;
      return ["-netdev", `stream,id=net0,server=off,addr.type=fd,addr.str=${descriptor}`, ...device];
    }
    case "tap":
      return ["-netdev", `tap,id=net0,ifname=${network.interfaceName},script=no,downscript=no`, ...device];
  }
}

function diskArguments(plan: QemuPlan, disk: QemuDisk, index: number): string[] {
  const id = diskNode(index);
  const node = {
    driver: disk.format,
    "node-name": id,
    discard: "unmap",
    file: { driver: "file", filename: disk.fileName },
    ...(disk.base === undefined ? {} : { backing: baseNode(plan, disk.base.format) }),
  };
  const boot = plan.kernel === undefined && index === 0 ? ",bootindex=0" : "";
  return [
    "-blockdev",
    JSON.stringify(node),
    "-device",
    `virtio-blk-pci,drive=${id},id=${id},serial=${disk.name}${boot}`,
  ];
}

/** The block node of the disk with this index, as in `query-blockstats`. */
export function diskNode(index: number): string {
  return `disk${index}`;
}

/** An image's own backing file is never followed, whatever its header says. */
function baseNode(plan: QemuPlan, format: DiskFormat): unknown {
  const filename = openedFile(plan, "disk");
  const file = { driver: "file", filename, "read-only": true };
  return { driver: format, "read-only": true, file, ...(format === "qcow2" ? { backing: null } : {}) };
}

function kernelArguments(plan: QemuPlan): string[] {
  const { kernel } = plan;
  if (kernel === undefined) return [];
  const tsc = plan.machineType === "microvm" && plan.tscKhz !== undefined ? `tsc_early_khz=${plan.tscKhz}` : "";
  const commandLine = [kernel.commandLine.trim(), tsc].filter((part) => part !== "").join(" ");
  if (Buffer.byteLength(commandLine) > MAXIMUM_COMMAND_LINE) {
    throw new BlixardError("INVALID_ARGUMENT", "the kernel command line is too long", {
      field: "spec.commandLine",
      hint: `shorten it: with the image's own part it may have ${MAXIMUM_COMMAND_LINE} bytes`,
    });
  }
  return [
    ...option("-kernel", openedFile(plan, "kernel")),
    ...(kernel.hasInitrd ? ["-initrd", openedFile(plan, "initrd")] : []),
    ...option("-append", commandLine),
  ];
}

function firmwareArguments({ vmName, traceparent, baggage }: QemuPlan): string[] {
  return [
    ...option("-fw_cfg", `name=opt/org.blixard/name,string=${vmName}`),
    ...(traceparent === undefined ? [] : ["-fw_cfg", `name=opt/org.blixard/traceparent,string=${traceparent}`]),
    // QEMU takes two commas for one that ends nothing.
    ...(baggage === undefined
      ? []
      : ["-fw_cfg", `name=opt/org.blixard/baggage,string=${baggage.replaceAll(",", ",,")}`]),
  ];
}

type OpenedFile = "kernel" | "initrd" | "disk";

/** The files that the guardian must open for this plan, in the order of their descriptors. */
export function planOpenedFiles(plan: QemuPlan): OpenedFile[] {
  return [
    ...(plan.kernel === undefined ? [] : ["kernel" as const]),
    ...(plan.kernel?.hasInitrd === true ? ["initrd" as const] : []),
    ...(plan.disks.some((disk) => disk.base !== undefined) ? ["disk" as const] : []),
  ];
}

function openedFile(plan: QemuPlan, file: OpenedFile): string {
  const companions = plan.network?.kind === "companion" ? 1 : 0;
  const index = planOpenedFiles(plan).indexOf(file);
  return `/proc/self/fd/${FIRST_DESCRIPTOR + guestChannels.length + companions + index}`;
}
