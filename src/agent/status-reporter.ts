/**
 * Carries statuses to the control plane without ever holding up a guest's
 * operation: the newest status of each VM waits, older ones are dropped (only
 * transitions matter, and the last one wins), and what could not be stored is tried
 * again, in order for each VM, until it is or the VM is forgotten. At most one entry
 * waits for each VM of the node, so the queue is bounded by them.
 */
import type { Clock } from "#model/clock.ts";
import { BlixardError } from "#model/errors.ts";
import type { TraceContext } from "#model/trace-context.ts";
import type { VmStatus } from "#model/vm.ts";
import { createWakeSignal } from "#model/wake-signal.ts";
import type { Telemetry } from "#telemetry/port.ts";

export interface StatusReporter {
  /** `context`: the span that the report is part of. */
  report(status: VmStatus, context: TraceContext | undefined): void;
  /** Nothing more is reported of this VM. */
  forget(vmId: string): void;
  /** Resolves when all has been stored, or when `signal` is aborted. */
  flush(signal: AbortSignal): Promise<void>;
  stop(): Promise<void>;
}

export interface StatusReporterOptions {
  readonly reportStatus: (status: VmStatus, signal: AbortSignal) => Promise<void>;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  /** Default 8. */
  readonly maximumConcurrency?: number;
}

interface Pending {
  readonly status: VmStatus;
  readonly context: TraceContext | undefined;
}

const INITIAL_RETRY_MS = 200;
const MAXIMUM_RETRY_MS = 5000;
const DEFAULT_CONCURRENCY = 8;

export function createStatusReporter(options: StatusReporterOptions): StatusReporter {
  const { clock, telemetry } = options;
  const maximumConcurrency = options.maximumConcurrency ?? DEFAULT_CONCURRENCY;
  const pending = new Map<string, Pending>();
  const underWay = new Map<string, Promise<void>>();
  const wake = createWakeSignal(clock);
  const stopped = new AbortController();
  const idle = new Set<() => void>();
  let failures = 0;
  const loop = run();

  async function run(): Promise<void> {
    while (!stopped.signal.aborted) {
      sendWaiting();
      if (pending.size === 0 && underWay.size === 0) tellIdle();
      await wake.wait(stopped.signal);
      if (failures > 0) await pauseAfterFailure();
    }
  }

  function sendWaiting(): void {
    for (const [vmId, entry] of pending) {
      if (underWay.size >= maximumConcurrency) return;
      if (underWay.has(vmId)) continue;
      pending.delete(vmId);
      underWay.set(
        vmId,
        send(vmId, entry).finally(() => {
          underWay.delete(vmId);
          wake.wake();
        }),
      );
    }
  }

  async function send(vmId: string, entry: Pending): Promise<void> {
    try {
      await telemetry.tracing.run(entry.context, () => options.reportStatus(entry.status, stopped.signal));
      failures = 0;
    } catch (error) {
      if (stopped.signal.aborted) return;
      if (!isTransient(error)) {
        telemetry.logger.warn("a status was refused and is dropped", { "blixard.vm.id": vmId }, error);
        return;
      }
      failures++;
      if (failures === 1) telemetry.logger.warn("statuses wait, the control plane does not take them", {}, error);
      // A newer status may have come meanwhile; then this one is history.
      if (!pending.has(vmId)) pending.set(vmId, entry);
    }
  }

  async function pauseAfterFailure(): Promise<void> {
    const delayMs = Math.min(MAXIMUM_RETRY_MS, INITIAL_RETRY_MS * 2 ** Math.min(failures - 1, 10));
    await clock.delay(delayMs, stopped.signal).catch(() => undefined);
  }

  function tellIdle(): void {
    for (const resolve of idle) resolve();
    idle.clear();
  }

  return {
    report(status, context) {
      pending.set(status.vmId, { status, context });
      wake.wake();
    },
    forget(vmId) {
      pending.delete(vmId);
    },
    async flush(signal) {
      if (pending.size === 0 && underWay.size === 0) return;
      await new Promise<void>((resolve) => {
        idle.add(resolve);
        signal.addEventListener("abort", () => resolve(), { once: true });
        if (signal.aborted) resolve();
        wake.wake();
      });
    },
    async stop() {
      stopped.abort();
      await loop;
      await Promise.allSettled(underWay.values());
      tellIdle();
    },
  };
}

/** Worth another try: the control plane was not reached or did not say what became of it. */
function isTransient(error: unknown): boolean {
  if (!(error instanceof BlixardError)) return true;
  return error.fault !== "user" && error.code !== "STORE_CORRUPT";
}
