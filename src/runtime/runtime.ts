/**
 * The Runtime port: how the agent runs machines, whatever runs them.
 *
 * Drivers: `qemu/` (real guests, held by the guardian) and `simulated/` (for
 * scale and unit tests; says so in `driver`). A driver knows nothing of desired
 * state, of restarts or of the store: it launches, observes and ends machines.
 * Spans for its own steps (disks, network, guardian, hypervisor) it makes
 * itself; the boot marks of a guest it reports as events.
 *
 *   launch ─► Machine ─► events: ready? ─► (paused ⇄ resumed)* ─► exited
 *   recover ─► Machine (after a restart of the daemon)
 */
import type { MaterializedImage } from "#model/image.ts";
import type { TraceContext } from "#model/trace-context.ts";
import type { Accelerator, PublishedPort, RuntimeDriver, VmExit, VmSpec } from "#model/vm.ts";

export interface RuntimeCapabilities {
  readonly driver: RuntimeDriver;
  readonly accelerator: Accelerator;
  /** Why: "probe guest ran in 43 ms", "/dev/kvm is there but the probe guest hung". */
  readonly acceleratorReason: string;
  /** Whether a guest ran under KVM. Undefined: that was not tried, because nobody wants it. */
  readonly kvmUsable: boolean | undefined;
  readonly hypervisorVersion: string;
  /** "q35" or "microvm"; "none" when simulated. */
  readonly machineType: string;
}

export interface LaunchRequest {
  readonly vmId: string;
  readonly vmName: string;
  /** Fresh for every launch; names this run of the guest. */
  readonly instanceId: string;
  readonly spec: VmSpec;
  readonly image: MaterializedImage;
  /** Handed to the guest (fw_cfg), the span under which it boots. */
  readonly trace: TraceContext | undefined;
}

export interface Runtime {
  readonly driver: RuntimeDriver;
  /** Probes the host once and prepares directories. Must be called first. */
  start(): Promise<RuntimeCapabilities>;
  /** Machines that run although this daemon did not launch them, and those that ended meanwhile. */
  recover(): Promise<readonly RecoveredMachine[]>;
  /**
   * Makes disks and network, starts the hypervisor; resolves when it runs and answers.
   * @throws BlixardError HYPERVISOR_FAILED, DISK_FULL, PORT_TAKEN, GUARDIAN_UNAVAILABLE; nothing is left behind.
   */
  launch(request: LaunchRequest, signal: AbortSignal): Promise<Machine>;
  /** Removes everything kept of a VM: disks, logs, directories. The machine must have exited. Idempotent. */
  remove(vmId: string): Promise<void>;
  /** The serial log as kept, then, with `follow`, as it grows. */
  readLog(vmId: string, options: ReadLogOptions, signal: AbortSignal): AsyncIterable<LogChunk>;
  /** Lets go of all machines; guests run on. */
  stop(): Promise<void>;
}

export interface ReadLogOptions {
  readonly follow: boolean;
  /** Only the last bytes; 0 for all that is kept. */
  readonly tailBytes: number;
}

export interface LogChunk {
  readonly data: Uint8Array;
  /** Bytes rotated away or dropped before this chunk. */
  readonly skippedBytes: number;
}

export type RecoveredMachine =
  | { readonly kind: "running"; readonly vmId: string; readonly machine: Machine }
  /** It ended while nobody watched. */
  | { readonly kind: "exited"; readonly vmId: string; readonly instanceId: string; readonly exit: VmExit };

export interface Machine {
  readonly vmId: string;
  readonly instanceId: string;
  readonly startTimeMs: number;
  readonly pid: number | undefined;
  readonly publishedPorts: readonly PublishedPort[];
  /** Live events since the launch or the recovery; ends after `exited`. One consumer. Bounded: only states, never output. */
  readonly events: AsyncIterable<MachineEvent>;
  pause(): Promise<void>;
  resume(): Promise<void>;
  /**
   * Asks the guest to power off (agent, then ACPI), kills it after `timeoutMs`.
   * Resolves when the machine is gone, with whether it had to be forced.
   */
  shutdown(options: { readonly timeoutMs: number; readonly force: boolean }): Promise<{ readonly forced: boolean }>;
  usage(): Promise<MachineUsage>;
  /** Attaches to the serial console; several may be attached. */
  console(signal: AbortSignal): Promise<MachineConsole>;
}

export type MachineEvent =
  | {
      readonly kind: "ready";
      readonly source: "guest" | "hypervisor";
      readonly boot: GuestBoot | undefined;
      readonly timeMs: number;
    }
  | { readonly kind: "paused"; readonly timeMs: number }
  | { readonly kind: "resumed"; readonly timeMs: number }
  | { readonly kind: "exited"; readonly exit: VmExit };

/** The guest's own clock of its boot: seconds since its kernel started, by mark (`init`, `modules`, `network`, `agent`). */
export interface GuestBoot {
  readonly bootId: string;
  readonly uptimeSeconds: number;
  readonly marks: Readonly<Record<string, number>>;
  /** What the guest read from fw_cfg. */
  readonly traceparent: string | undefined;
  /** The same of baggage, if there was some and it was not long. */
  readonly baggage?: string | undefined;
  /** Unix ms when the hypervisor's virtual CPUs began to run, by the host's clock. */
  readonly hypervisorStartTimeMs: number;
  /** Unix ms at which the report reached the host. */
  readonly receivedTimeMs: number;
}

export interface MachineUsage {
  readonly uptimeSeconds: number;
  /** CPU time of the hypervisor process by mode. */
  readonly cpuSeconds: { readonly user: number; readonly system: number };
  readonly memoryResidentBytes: number;
  /** By the guest's agent, when it has one. */
  readonly guestMemory: { readonly totalBytes: number; readonly availableBytes: number } | undefined;
  readonly disks: readonly DiskUsage[];
}

export interface DiskUsage {
  readonly name: string;
  readonly readBytes: number;
  readonly writtenBytes: number;
  readonly readOperations: number;
  readonly writeOperations: number;
}

export interface MachineConsole extends AsyncDisposable {
  readonly output: AsyncIterable<Uint8Array>;
  /** @throws BlixardError GUEST_CHANNEL_UNAVAILABLE when the guest is gone. */
  write(data: Uint8Array): Promise<void>;
}
