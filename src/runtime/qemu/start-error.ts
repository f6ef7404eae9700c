/** Why a hypervisor ended before it ran anything, from its last words. Pure. */
import { BlixardError } from "#model/errors.ts";
import type { PublishedPort, VmExit } from "#model/vm.ts";
import { portTaken } from "./vm-network.ts";

export function planStartError(exit: VmExit, ports: readonly PublishedPort[]): BlixardError {
  const words = exit.detail;
  const cause = new Error(words.trim() || "it said nothing");
  if (/Could not set up host forwarding rule|Failed to bind port|Couldn't listen/.test(words)) {
    return portTaken(ports, cause);
  }
  if (/No space left on device/.test(words)) {
    return new BlixardError("DISK_FULL", "QEMU found no space on the disk", {
      cause,
      hint: "free space in the data directory",
    });
  }
  if (/annot (allocate|set up guest) memory/.test(words)) {
    return new BlixardError("HYPERVISOR_FAILED", "the host has not enough memory for the guest", {
      cause,
      hint: "give the VM less memory, or stop other VMs",
    });
  }
  const how = exit.signal ?? `exit code ${exit.exitCode}`;
  return new BlixardError("HYPERVISOR_FAILED", `QEMU ended at its start (${how})`, {
    cause,
    hint: "read QEMU's own words below",
  });
}
