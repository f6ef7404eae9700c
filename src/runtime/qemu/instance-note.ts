/** What the runtime notes with the guardian about an instance, to take it over after a restart of the daemon. */
import type { PublishedPort } from "#model/vm.ts";

export interface InstanceNote {
  readonly version: 1;
  readonly vmName: string;
  readonly bootTimeoutMs: number;
  readonly expectsAgent: boolean;
  readonly publishedPorts: readonly PublishedPort[];
  /** Names in the order of the block nodes. */
  readonly disks: readonly string[];
  readonly tapName: string | undefined;
}

/** Our own words, but perhaps of another version: what is missing gets a value that does no harm. */
export function parseInstanceNote(value: unknown): InstanceNote {
  const note = (typeof value === "object" && value !== null ? value : {}) as Partial<InstanceNote>;
  return {
    version: 1,
    vmName: note.vmName ?? "",
    bootTimeoutMs: note.bootTimeoutMs ?? 120_000,
    expectsAgent: note.expectsAgent ?? false,
    publishedPorts: note.publishedPorts ?? [],
    disks: note.disks ?? [],
    tapName: note.tapName,
  };
}
