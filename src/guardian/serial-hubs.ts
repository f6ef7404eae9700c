/** The serial hubs in use, one for each VM: opened by the first user, closed by the last. */
import { openSerialHub, type SerialHub } from "./serial-hub.ts";
import type { SerialLogLimits } from "./serial-log.ts";

export interface HubLease {
  readonly hub: SerialHub;
  release(): void;
}

export interface SerialHubs {
  /** `logDir` must be the same for each use of a VM. */
  lease(vmId: string, logDir: string): Promise<HubLease>;
}

interface SharedHub {
  readonly opening: Promise<SerialHub>;
  users: number;
}

export function createSerialHubs(limits: SerialLogLimits): SerialHubs {
  const hubs = new Map<string, SharedHub>();

  function release(vmId: string, shared: SharedHub): void {
    shared.users--;
    if (shared.users > 0) return;
    hubs.delete(vmId);
    // The log was closed when the last guest's output ended; a failed opening has nothing to close.
    shared.opening.then((hub) => hub.close()).catch(() => {});
  }

  return {
    async lease(vmId, logDir) {
      const shared = hubs.get(vmId) ?? { opening: openSerialHub(logDir, limits), users: 0 };
      hubs.set(vmId, shared);
      shared.users++;
      let isReleased = false;
      const releaseOnce = (): void => {
        if (!isReleased) release(vmId, shared);
        isReleased = true;
      };
      try {
        return { hub: await shared.opening, release: releaseOnce };
      } catch (error) {
        releaseOnce();
        throw error;
      }
    },
  };
}
