/**
 * Whether guests run under KVM here, found out by running one.
 */
import type { Clock } from "#model/clock.ts";
import { BlixardError } from "#model/errors.ts";

export interface ProbeAcceleratorOptions {
  /** As configured. */
  readonly accelerator: "auto" | "kvm" | "tcg";
  /** Absolute path. */
  readonly qemuPath: string;
  /** Existing folder for the probe's ROM, which is removed again. */
  readonly directory: string;
  readonly clock: Clock;
  readonly signal?: AbortSignal;
}

/** Fits `RuntimeCapabilities`. */
export interface AcceleratorChoice {
  readonly accelerator: "kvm" | "tcg";
  /** "probe guest ran in 43 ms", "/dev/kvm is there but the probe guest hung". */
  readonly reason: string;
  readonly kvmUsable: boolean;
}

/** @throws BlixardError CONFIG_INVALID when KVM is configured but unusable; TOOL_MISSING */
export async function probeAccelerator(options: ProbeAcceleratorOptions): Promise<AcceleratorChoice> {
  options.signal?.throwIfAborted();
  throw new BlixardError("UNIMPLEMENTED", "the accelerator probe is being written");
}
