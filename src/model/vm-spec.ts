/**
 * From a request's partial spec to a complete, checked `VmSpec`.
 *
 * The API, the CLI's VM files and tests decode their own form into `VmSpecInput`
 * (absent, zero and empty mean "the default", as in proto3) and call
 * `parseVmSpec`. It trusts nothing: any value gives a spec within the limits or
 * a BlixardError INVALID_ARGUMENT with the field's JSON path. Limits and defaults
 * are those that proto/blixard/v1/vm.proto states.
 */
import { describe, hasControlCharacter, invalid, parseImageName, parseLabels } from "./names.ts";
import { formatDuration, formatSize } from "./quantity.ts";
import type { NodeLossPolicy, RestartPolicy, VmDisk, VmSpec } from "./vm.ts";
import { parseVmNetwork, type VmNetworkInput } from "./vm-network.ts";

export interface VmSpecInput {
  readonly vcpus?: number | undefined;
  readonly memoryBytes?: number | bigint | undefined;
  readonly image?: string | undefined;
  readonly commandLine?: string | undefined;
  /** Default: none. */
  readonly network?: VmNetworkInput | undefined;
  readonly disks?: readonly VmDiskInput[] | undefined;
  /** "restart" or "hold". */
  readonly onNodeLoss?: string | undefined;
  readonly acceptDiskLoss?: boolean | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  /** "never", "on-failure" (default) or "always". */
  readonly restartPolicy?: string | undefined;
  readonly bootTimeoutMs?: number | undefined;
  readonly stopTimeoutMs?: number | undefined;
  readonly guestAgent?: boolean | undefined;
}

export interface VmDiskInput {
  readonly name?: string | undefined;
  readonly sizeBytes?: number | bigint | undefined;
  /** "ephemeral" (default) or "persistent". */
  readonly kind?: string | undefined;
}

const MEBIBYTE = 1024 ** 2;
const TEBIBYTE = 1024 ** 4;

export const vmSpecLimits = {
  vcpus: { minimum: 1, maximum: 64, default: 1 },
  memoryBytes: {
    minimum: 64 * MEBIBYTE,
    maximum: 4 * TEBIBYTE,
    default: 256 * MEBIBYTE,
    multipleOf: MEBIBYTE,
  },
  commandLineLength: 1024,
  disks: 8,
  diskSizeBytes: { minimum: MEBIBYTE, maximum: 16 * TEBIBYTE, multipleOf: MEBIBYTE },
  bootTimeoutMs: { minimum: 1000, maximum: 3_600_000, default: 120_000 },
  stopTimeoutMs: { minimum: 100, maximum: 3_600_000, default: 15_000 },
} as const;

// A disk's name becomes the serial number that the guest sees, which virtio-blk cuts at 20 bytes.
const DISK_NAME = /^[a-z][a-z0-9-]{0,19}$/;
const RESTART_POLICIES = ["never", "on-failure", "always"] as const satisfies readonly RestartPolicy[];
const NODE_LOSS_POLICIES = ["restart", "hold"] as const satisfies readonly NodeLossPolicy[];
const DISK_KINDS = ["ephemeral", "persistent"] as const satisfies readonly VmDisk["kind"][];

/**
 * @param field path of the spec in the request, for errors
 * @throws BlixardError INVALID_ARGUMENT
 */
export function parseVmSpec(input: VmSpecInput, field = "spec"): VmSpec {
  const source = requireObject<VmSpecInput>(input, field);
  const disks = parseDisks(source.disks, `${field}.disks`);
  const acceptDiskLoss = parseFlag(source.acceptDiskLoss, `${field}.acceptDiskLoss`) ?? false;
  return {
    vcpus: parseVcpus(source.vcpus, `${field}.vcpus`),
    memoryBytes: parseSize(source.memoryBytes, vmSpecLimits.memoryBytes, `${field}.memoryBytes`),
    image: parseImageName(source.image, `${field}.image`),
    commandLine: parseCommandLine(source.commandLine, `${field}.commandLine`),
    network: parseVmNetwork(source.network, `${field}.network`),
    disks,
    onNodeLoss: parseNodeLossPolicy(source.onNodeLoss, disks, acceptDiskLoss, field),
    acceptDiskLoss,
    labels: parseLabels(source.labels, `${field}.labels`),
    restartPolicy: parseChoice(source.restartPolicy, RESTART_POLICIES, `${field}.restartPolicy`) ?? "on-failure",
    bootTimeoutMs: parseTimeout(source.bootTimeoutMs, vmSpecLimits.bootTimeoutMs, `${field}.bootTimeout`),
    stopTimeoutMs: parseTimeout(source.stopTimeoutMs, vmSpecLimits.stopTimeoutMs, `${field}.stopTimeout`),
    guestAgent: parseFlag(source.guestAgent, `${field}.guestAgent`),
  };
}

function parseVcpus(value: unknown, field: string): number {
  const limits = vmSpecLimits.vcpus;
  if (value === undefined || value === 0) return limits.default;
  if (typeof value === "number" && Number.isInteger(value) && value >= limits.minimum && value <= limits.maximum)
    return value;
  throw invalid(field, `${describe(value)} is not a number of vCPUs`, `Use ${limits.minimum} to ${limits.maximum}.`);
}

interface SizeLimits {
  readonly minimum: number;
  readonly maximum: number;
  readonly multipleOf: number;
  readonly default?: number;
}

function parseSize(value: unknown, limits: SizeLimits, field: string): number {
  const bytes = typeof value === "bigint" ? Number(value) : (value ?? 0);
  if (bytes === 0 && limits.default !== undefined) return limits.default;
  if (
    typeof bytes === "number" &&
    bytes >= limits.minimum &&
    bytes <= limits.maximum &&
    bytes % limits.multipleOf === 0
  )
    return bytes;
  throw invalid(
    field,
    `${describe(value)} is not a usable size in bytes`,
    `Use a multiple of ${formatSize(limits.multipleOf)} from ${formatSize(limits.minimum)} to ${formatSize(limits.maximum)}.`,
  );
}

function parseCommandLine(value: unknown, field: string): string {
  if (value === undefined) return "";
  if (typeof value === "string" && value.length <= vmSpecLimits.commandLineLength && !hasControlCharacter(value))
    return value;
  throw invalid(
    field,
    "is not a kernel command line",
    `Use at most ${vmSpecLimits.commandLineLength} characters on one line.`,
  );
}

function parseDisks(value: unknown, field: string): readonly VmDisk[] {
  const disks = requireArray(value, field).map((disk, index) => parseDisk(disk, `${field}[${index}]`));
  if (disks.length > vmSpecLimits.disks) {
    throw invalid(field, `${disks.length} disks are too many`, `Use at most ${vmSpecLimits.disks}.`);
  }
  const names = new Set<string>();
  for (const [index, disk] of disks.entries()) {
    if (names.has(disk.name)) {
      throw invalid(`${field}[${index}].name`, `"${disk.name}" names two disks`, "Give every disk its own name.");
    }
    names.add(disk.name);
  }
  return disks;
}

function parseDisk(value: unknown, field: string): VmDisk {
  const disk = requireObject<VmDiskInput>(value, field);
  if (typeof disk.name !== "string" || !DISK_NAME.test(disk.name)) {
    throw invalid(
      `${field}.name`,
      `${describe(disk.name)} is not a disk name`,
      "Use 1 to 20 lower-case letters, digits and '-', starting with a letter.",
    );
  }
  return {
    name: disk.name,
    sizeBytes: parseSize(disk.sizeBytes, vmSpecLimits.diskSizeBytes, `${field}.sizeBytes`),
    kind: parseChoice(disk.kind, DISK_KINDS, `${field}.kind`) ?? "ephemeral",
  };
}

/** A persistent disk stays on its node, so the VM waits for it, unless the loss was accepted in writing. */
function parseNodeLossPolicy(
  value: unknown,
  disks: readonly VmDisk[],
  acceptDiskLoss: boolean,
  specField: string,
): NodeLossPolicy {
  const chosen = parseChoice(value, NODE_LOSS_POLICIES, `${specField}.onNodeLoss`);
  const persistent = disks.find((disk) => disk.kind === "persistent");
  if (chosen === "restart" && persistent !== undefined && !acceptDiskLoss) {
    throw invalid(
      `${specField}.onNodeLoss`,
      `restarting elsewhere would lose the content of disk "${persistent.name}"`,
      'Use "hold", or set accept_disk_loss to say that the loss is accepted.',
    );
  }
  return chosen ?? (persistent === undefined ? "restart" : "hold");
}

interface TimeoutLimits {
  readonly minimum: number;
  readonly maximum: number;
  readonly default: number;
}

function parseTimeout(value: unknown, limits: TimeoutLimits, field: string): number {
  if (value === undefined) return limits.default;
  if (typeof value === "number" && value >= limits.minimum && value <= limits.maximum) return Math.round(value);
  throw invalid(
    field,
    `${describe(value)} ms is out of range`,
    `Use ${formatDuration(limits.minimum)} to ${formatDuration(limits.maximum)}.`,
  );
}

function parseFlag(value: unknown, field: string): boolean | undefined {
  if (value === undefined || typeof value === "boolean") return value;
  throw invalid(field, `${describe(value)} is neither true nor false`, "Use true or false.");
}

function parseChoice<T extends string>(value: unknown, choices: readonly T[], field: string): T | undefined {
  if (value === undefined || value === "") return undefined;
  const choice = choices.find((candidate) => candidate === value);
  if (choice !== undefined) return choice;
  throw invalid(field, `${describe(value)} is unknown`, `Use ${choices.map((text) => `"${text}"`).join(" or ")}.`);
}

function requireObject<T extends object>(value: unknown, field: string): { readonly [K in keyof T]?: unknown } {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value;
  throw invalid(field, `${describe(value)} is not an object`, "Give its fields.");
}

function requireArray(value: unknown, field: string): readonly unknown[] {
  if (value === undefined) return [];
  if (Array.isArray(value)) return value;
  throw invalid(field, `${describe(value)} is not a list`, "Give a list.");
}
