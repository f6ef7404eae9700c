/** Where the files of a VM are. */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { BlixardError } from "#model/errors.ts";

export interface VmDirectory {
  /** All that is kept of the VM, ours alone: the serial log and the note of its readiness. */
  readonly root: string;
  /** The hypervisor's working directory: its disks and nothing else. It may enter but not write it. */
  readonly guest: string;
  readonly readiness: string;
}

const VM_ID = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/;

export function vmDirectoryOf(vmsDir: string, vmId: string): VmDirectory {
  if (!VM_ID.test(vmId)) throw new BlixardError("INVALID_ARGUMENT", `${JSON.stringify(vmId)} is not a VM's id`);
  const root = join(vmsDir, vmId);
  return { root, guest: join(root, "guest"), readiness: join(root, "ready.json") };
}

/** Bytes that are the same for a VM wherever and whenever it runs. */
export function vmDigest(vmId: string): Buffer {
  return createHash("sha256").update(`blixard vm ${vmId}`).digest();
}
