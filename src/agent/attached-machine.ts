/** A machine whose events are being followed, and the promise of its end. */
import type { VmExit } from "#model/vm.ts";
import type { Machine, MachineEvent } from "#runtime/runtime.ts";
import type { Telemetry } from "#telemetry/port.ts";

export interface AttachedMachine {
  readonly machine: Machine;
  /** Resolves with the exit; never rejects, and never resolves when the runtime lets the machine go. */
  readonly ended: Promise<VmExit>;
}

export interface AttachOptions {
  readonly telemetry: Telemetry;
  readonly onEvent: (event: Exclude<MachineEvent, { kind: "exited" }>) => void;
  readonly onExit: (exit: VmExit) => void;
}

/** Follows the machine's events until its end. */
export function attachMachine(machine: Machine, options: AttachOptions): AttachedMachine {
  const { promise: ended, resolve } = Promise.withResolvers<VmExit>();

  async function follow(): Promise<void> {
    for await (const event of machine.events) {
      if (event.kind === "exited") {
        resolve(event.exit);
        options.onExit(event.exit);
        return;
      }
      options.onEvent(event);
    }
  }

  follow().catch((error: unknown) => {
    options.telemetry.logger.error("a machine's events broke off", { "blixard.vm.id": machine.vmId }, error);
  });
  return { machine, ended };
}
