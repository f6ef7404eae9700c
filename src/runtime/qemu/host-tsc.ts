/**
 * The frequency of the host's time stamp counter, and the machine type that
 * follows from it.
 *
 * The microvm machine has no timer against which a guest's kernel could measure
 * its counter reliably: now and then it hangs. Told the frequency
 * (`tsc_early_khz=`) it never did. Only the kernel's log has it, and the log may
 * be closed to us or have lost its beginning.
 */
import { closeSync, constants, openSync, readSync } from "node:fs";
import { BlixardError } from "#model/errors.ts";

export interface MachineTypeInput {
  readonly configured: "auto" | "q35" | "microvm";
  /** Of the host; undefined when unknown. */
  readonly tscKhz: number | undefined;
}

export interface MachineTypeChoice {
  readonly machineType: "q35" | "microvm";
  readonly reason: string;
  /** For the guest's `tsc_early_khz=`; always there for microvm. */
  readonly tscKhz: number | undefined;
}

/** The kernel writes no longer records. */
const RECORD_BYTES = 8192;
const MAXIMUM_RECORDS = 20_000;
const MINIMUM_KHZ = 100_000;
const MAXIMUM_KHZ = 20_000_000;

/** @throws BlixardError CONFIG_INVALID when microvm is configured and the frequency unknown */
export function planMachineType({ configured, tscKhz }: MachineTypeInput): MachineTypeChoice {
  if (configured === "q35") return { machineType: "q35", reason: "configured", tscKhz };
  if (tscKhz !== undefined) {
    const known = `the host's TSC runs at ${tscKhz} kHz`;
    return { machineType: "microvm", reason: configured === "auto" ? known : `configured; ${known}`, tscKhz };
  }
  if (configured === "auto") return { machineType: "q35", reason: "the host's TSC frequency is unknown", tscKhz };
  throw new BlixardError(
    "CONFIG_INVALID",
    'runtime.machine is "microvm", whose guests hang at random unless the host\'s TSC frequency is known, and it is not',
    {
      hint: 'set runtime.machine to "auto" or "q35", or let the node read the kernel log (sysctl kernel.dmesg_restrict=0)',
    },
  );
}

/** kHz; undefined when the kernel log may not be read or does not say. Reads at most 20,000 records, without waiting. */
export function readHostTscKhz(kernelLogPath = "/dev/kmsg"): number | undefined {
  let descriptor: number;
  try {
    descriptor = openSync(kernelLogPath, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch {
    return undefined;
  }
  try {
    return parseTscKhz(readRecords(descriptor));
  } finally {
    closeSync(descriptor);
  }
}

/**
 * From messages of the kernel's log in their order. The refined value counts more than the one of the early
 * calibration, and the counter's more than the processor's. A counter that the kernel gave up has none.
 */
export function parseTscKhz(messages: Iterable<string>): number | undefined {
  let processor: number | undefined;
  let counter: number | undefined;
  let refined: number | undefined;
  for (const message of messages) {
    if (message.startsWith("tsc: Marking TSC unstable")) return undefined;
    processor ??= matchKhz(message, /^tsc: Detected (\d+)\.(\d{3}) MHz processor$/);
    counter ??= matchKhz(message, /^tsc: Detected (\d+)\.(\d{3}) MHz TSC$/);
    refined = matchKhz(message, /^tsc: Refined TSC clocksource calibration: (\d+)\.(\d{3}) MHz$/) ?? refined;
  }
  return refined ?? counter ?? processor;
}

function matchKhz(message: string, pattern: RegExp): number | undefined {
  const match = pattern.exec(message);
  if (match === null) return undefined;
  const khz = Number(match[1]) * 1000 + Number(match[2]);
  return khz >= MINIMUM_KHZ && khz <= MAXIMUM_KHZ ? khz : undefined;
}

/** The kernel's own messages: a read gives one record, `priority,sequence,time,flags;text`, then lines of details. */
function* readRecords(descriptor: number): Generator<string> {
  const buffer = Buffer.alloc(RECORD_BYTES);
  for (let index = 0; index < MAXIMUM_RECORDS; index++) {
    const bytes = readRecord(descriptor, buffer);
    if (bytes === undefined) continue;
    if (bytes === 0) return;
    const match = /^(\d+),[^;]*;(.*)/.exec(buffer.toString("utf8", 0, bytes));
    // Higher priorities carry a facility: programs wrote those.
    if (match?.[2] !== undefined && Number(match[1]) < 8) yield match[2];
  }
}

/** Bytes read; 0 at the end, undefined when the next record was overwritten meanwhile. */
function readRecord(descriptor: number, buffer: Buffer): number | undefined {
  try {
    return readSync(descriptor, buffer);
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPIPE" ? undefined : 0;
  }
}
