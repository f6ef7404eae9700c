/**
 * All guests of the guardian: at most one running for each VM, every end kept
 * until a daemon has acknowledged it.
 *
 *   (record written) → starting → running → exited → (acknowledged: forgotten)
 */
import { BlixardError, toBlixardError } from "#model/errors.ts";
import { type Guest, startGuest } from "./guest.ts";
import type { GuestChannel } from "./guest-channel.ts";
import { createGuestRecords, type GuestRecord } from "./guest-records.ts";
import type { ExitReason, GuestCommand, GuestExit, GuestReport } from "./protocol.ts";
import type { SerialHubs } from "./serial-hubs.ts";

export interface Guests {
  readonly runningCount: number;
  list(): readonly GuestReport[];
  /** @throws BlixardError VM_STATE_CONFLICT when another instance of the VM runs; DISK_FULL, TOOL_MISSING, … */
  spawn(command: GuestCommand): Promise<GuestReport>;
  end(instanceId: string, reason: ExitReason, graceMs: number): void;
  /** Kills all that may be started elsewhere. Returns how many. */
  endFenced(): number;
  /** Ends all and waits until they are gone. */
  endAll(reason: ExitReason, graceMs: number): Promise<void>;
  acknowledge(instanceId: string): Promise<void>;
  channel(instanceId: string, name: string): GuestChannel | undefined;
  close(): void;
}

export interface GuestsOptions {
  readonly stateDir: string;
  readonly bootId: string;
  readonly hubs: SerialHubs;
  /** What an earlier guardian has left. */
  readonly reports: readonly GuestReport[];
  readonly now: () => number;
  readonly readUptimeSeconds: () => number;
  readonly onExited: (report: GuestReport) => void;
  readonly onTrouble: (message: string, error: unknown) => void;
}

interface Entry {
  readonly record: GuestRecord;
  readonly fenced: boolean;
  guest: Guest | undefined;
  exit: GuestExit | undefined;
  /** Settles when it has been started, or could not be. */
  starting: Promise<void>;
  finished: Promise<void>;
  /** Asked to end while it was still being started. */
  endWhenStarted: { readonly reason: ExitReason; readonly graceMs: number } | undefined;
}

const RECORD_RETRY_MS = 5_000;
const MAXIMUM_GUESTS = 4_096;

export function createGuests(options: GuestsOptions): Guests {
  const records = createGuestRecords(options.stateDir);
  const entries = new Map<string, Entry>();
  const retries = new Set<NodeJS.Timeout>();
  for (const report of options.reports) entries.set(report.instanceId, toEndedEntry(report));

  async function start(command: GuestCommand, entry: Entry): Promise<void> {
    let release: (() => void) | undefined;
    try {
      await records.write(entry.record);
      const lease = await options.hubs.lease(command.vmId, command.logDir);
      release = () => lease.release();
      const { stateDir, now } = options;
      entry.guest = await startGuest({ command, stateDir, hub: lease.hub, now });
      void entry.guest.drained.finally(release);
    } catch (error) {
      release?.();
      entries.delete(command.instanceId);
      await records.remove(command.instanceId).catch(() => {});
      throw error;
    }
    entry.finished = watch(entry, entry.guest);
    const early = entry.endWhenStarted;
    if (early !== undefined) entry.guest.end(early.reason, early.graceMs);
  }

  async function watch(entry: Entry, guest: Guest): Promise<void> {
    const exit = await guest.exited;
    entry.guest = undefined;
    entry.exit = exit;
    await writeEnd(entry, exit);
    options.onExited(toReport(entry));
  }

  /** A full disk does not hide an end: it is reported, and written when there is room. */
  async function writeEnd(entry: Entry, exit: GuestExit): Promise<void> {
    if (entries.get(entry.record.instanceId) !== entry) return;
    try {
      await records.write({ ...entry.record, exit });
    } catch (error) {
      options.onTrouble("the end of a guest could not be written", error);
      const timer = setTimeout(() => {
        retries.delete(timer);
        void writeEnd(entry, exit);
      }, RECORD_RETRY_MS);
      retries.add(timer);
    }
  }

  function endEntry(entry: Entry, reason: ExitReason, graceMs: number): void {
    if (entry.guest === undefined) entry.endWhenStarted ??= { reason, graceMs };
    else entry.guest.end(reason, graceMs);
  }

  const running = (): Entry[] => [...entries.values()].filter((entry) => entry.exit === undefined);

  return {
    get runningCount() {
      return running().length;
    },
    list: () => [...entries.values()].map(toReport),
    async spawn(command) {
      const existing = entries.get(command.instanceId);
      if (existing !== undefined) {
        await existing.starting;
        return toReport(existing);
      }
      const other = running().find((entry) => entry.record.vmId === command.vmId);
      if (other !== undefined) {
        throw new BlixardError("VM_STATE_CONFLICT", `instance ${other.record.instanceId} of this VM runs already`);
      }
      if (entries.size >= MAXIMUM_GUESTS) {
        throw new BlixardError("TOO_MANY_REQUESTS", `the guardian holds ${MAXIMUM_GUESTS} guests already`);
      }
      const entry = toStartingEntry(command, options);
      entries.set(command.instanceId, entry);
      entry.starting = start(command, entry);
      await entry.starting;
      return toReport(entry);
    },
    end(instanceId, reason, graceMs) {
      const entry = entries.get(instanceId);
      if (entry !== undefined && entry.exit === undefined) endEntry(entry, reason, graceMs);
    },
    endFenced() {
      const fenced = running().filter((entry) => entry.fenced);
      for (const entry of fenced) endEntry(entry, "fenced", 0);
      return fenced.length;
    },
    async endAll(reason, graceMs) {
      const all = running();
      for (const entry of all) endEntry(entry, reason, graceMs);
      await Promise.all(all.map((entry) => entry.starting.then(() => entry.finished, toBlixardError)));
    },
    async acknowledge(instanceId) {
      const entry = entries.get(instanceId);
      if (entry === undefined || entry.exit === undefined) return;
      entries.delete(instanceId);
      await records.remove(instanceId);
    },
    channel: (instanceId, name) => entries.get(instanceId)?.guest?.channel(name),
    close() {
      for (const timer of retries) clearTimeout(timer);
    },
  };
}

function toStartingEntry(command: GuestCommand, options: GuestsOptions): Entry {
  const { vmId, instanceId, metadata, fenced } = command;
  const startTimeMs = options.now();
  const startUptimeSeconds = options.readUptimeSeconds();
  const { bootId } = options;
  return {
    record: { vmId, instanceId, metadata, startTimeMs, startUptimeSeconds, bootId, exit: undefined },
    fenced,
    guest: undefined,
    exit: undefined,
    starting: Promise.resolve(),
    finished: Promise.resolve(),
    endWhenStarted: undefined,
  };
}

function toEndedEntry(report: GuestReport): Entry {
  const { vmId, instanceId, metadata, startTimeMs, startUptimeSeconds, exit } = report;
  return {
    record: { vmId, instanceId, metadata, startTimeMs, startUptimeSeconds, bootId: "", exit },
    fenced: false,
    guest: undefined,
    exit,
    starting: Promise.resolve(),
    finished: Promise.resolve(),
    endWhenStarted: undefined,
  };
}

function toReport(entry: Entry): GuestReport {
  const { vmId, instanceId, metadata, startTimeMs, startUptimeSeconds } = entry.record;
  const identity = entry.guest?.identity;
  return { vmId, instanceId, metadata, startTimeMs, startUptimeSeconds, identity, exit: entry.exit };
}
