/** A spool's disk that can be full, slow to nothing, or gone in the middle of a write. */
import { systemDisk, type SpoolDisk, type SpoolFile } from "#telemetry/spool/spool-disk.ts";

export interface BreakingDisk extends SpoolDisk {
  /**
   * The process is killed at its so-many-eth change of the disk from now: that one is done in
   * part (`fraction` of a write's bytes), and nothing is done any more.
   */
  killAt(changes: number, fraction: number): void;
  readonly isDead: boolean;
  /** Closes what the dead left open, as its end does. */
  bury(): Promise<void>;
  /** Writes that would make all files together larger fail with ENOSPC, after what fits. */
  capacityBytes: number;
}

/** Never answers: who is dead hears nothing. */
const silence = (): Promise<never> => new Promise(() => {});

export function createBreakingDisk(): BreakingDisk {
  let remaining = Number.POSITIVE_INFINITY;
  let lastFraction = 1;
  let dead = false;
  const sizes = new Map<string, number>();
  const opened = new Set<SpoolFile>();

  /** The share of this change that is done. */
  function change(): number {
    if (--remaining > 0) return 1;
    dead = true;
    return lastFraction;
  }

  async function unlessDead<T>(work: () => Promise<T>): Promise<T> {
    return dead ? silence() : work();
  }

  function wrap(path: string, file: SpoolFile): SpoolFile {
    opened.add(file);
    return {
      size: () => unlessDead(() => file.size()),
      read: (offset, length) => unlessDead(() => file.read(offset, length)),
      write: (offset, bytes) =>
        unlessDead(async () => {
          const share = change();
          const used = sizes.values().reduce((sum, size) => sum + size, 0) - (sizes.get(path) ?? 0);
          const room = Math.max(0, disk.capacityBytes - used - offset);
          const length = Math.min(Math.floor(bytes.length * share), room);
          await file.write(offset, bytes.subarray(0, length));
          sizes.set(path, Math.max(sizes.get(path) ?? 0, offset + length));
          if (dead) return silence();
          if (length < bytes.length) throw Object.assign(new Error("no space left on device"), { code: "ENOSPC" });
        }),
      truncate: (length) =>
        unlessDead(async () => {
          if (change() === 1) await file.truncate(length);
          sizes.set(path, length);
          if (dead) return silence();
        }),
      close: () =>
        unlessDead(() => {
          opened.delete(file);
          return file.close();
        }),
    };
  }

  const disk: BreakingDisk = {
    capacityBytes: Number.POSITIVE_INFINITY,
    killAt(changes, fraction) {
      remaining = changes;
      lastFraction = fraction;
    },
    get isDead() {
      return dead;
    },
    async bury() {
      for (const file of opened) await file.close();
      opened.clear();
    },
    makeDirectory: (path) => unlessDead(() => systemDisk.makeDirectory(path)),
    list: (path) => unlessDead(() => systemDisk.list(path)),
    create: (path) => unlessDead(async () => wrap(path, await systemDisk.create(path))),
    open: (path) =>
      unlessDead(async () => {
        const file = await systemDisk.open(path);
        sizes.set(path, await file.size());
        return wrap(path, file);
      }),
    remove: (path) =>
      unlessDead(async () => {
        if (change() < 1) return silence();
        sizes.delete(path);
        await systemDisk.remove(path);
        if (dead) return silence();
      }),
    removeDirectory: (path) => unlessDead(() => systemDisk.removeDirectory(path)),
  };
  return disk;
}
