/** What the steps of one VM share with its supervisor. */
import type { Clock } from "#model/clock.ts";
import type { ImageManifest } from "#model/image.ts";
import type { Accelerator, RuntimeDriver } from "#model/vm.ts";
import type { Machine, Runtime, RuntimeCapabilities } from "#runtime/runtime.ts";
import type { AttachedMachine } from "./attached-machine.ts";
import type { ControlPlane } from "./control-plane.ts";
import type { ImageSource } from "./image-source.ts";
import type { Slots } from "./slots.ts";
import type { StatusReporter } from "./status-reporter.ts";
import type { BootAttempt } from "./vm-boot.ts";
import type { VmObservation } from "./vm-observation.ts";
import type { OperationTracker } from "./vm-operation.ts";
import type { VmTelemetry } from "./vm-telemetry.ts";

/** The same for all VMs of the node. */
export interface SupervisorEnvironment {
  readonly identity: { readonly nodeId: string; readonly driver: RuntimeDriver; readonly accelerator: Accelerator };
  readonly capabilities: RuntimeCapabilities;
  readonly runtime: Runtime;
  readonly images: ImageSource;
  readonly resolveImage: ControlPlane["resolveImage"];
  readonly reporter: StatusReporter;
  readonly clock: Clock;
  /** A fresh name for a run of a guest. */
  readonly newInstanceId: () => string;
  /** How many launches may be under way. */
  readonly launches: Slots;
  readonly vmTelemetry: VmTelemetry;
}

export interface StopUnderWay {
  /** Kills the guest instead of asking it. */
  force(): void;
}

export interface VmContext {
  readonly environment: SupervisorEnvironment;
  readonly vmId: string;
  readonly vmName: string;
  readonly operation: OperationTracker;
  readonly observed: VmObservation;
  observe(next: VmObservation): void;
  attach(machine: Machine): void;
  /** The daemon lets go of the VM. */
  readonly stopped: AbortSignal;
  attached: AttachedMachine | undefined;
  /** The attempt whose guest is not ready yet. */
  boot: BootAttempt | undefined;
  /** Calls off the launch that is under way. */
  launch: AbortController | undefined;
  stopUnderWay: StopUnderWay | undefined;
  /** The image of the last launch: a restart needs no control plane. */
  manifest: ImageManifest | undefined;
}
