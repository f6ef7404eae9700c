/**
 * What runs, in the order in which it was started, and the one way to end it.
 *
 * The composition root starts parts one after the other and hands each part's
 * way to stop to this stack. Stopping goes in reverse, each part within its own
 * deadline; a part that fails or overruns is reported and the rest still stops.
 * A start that fails half-way stops what had been started, so nothing half-started
 * stays behind.
 */
import { BlixardError } from "#model/errors.ts";

export interface Part {
  /** For messages: "api", "store". */
  readonly name: string;
  readonly stop: () => Promise<void> | void;
  readonly stopTimeoutMs: number;
}

export interface StopFailure {
  readonly part: string;
  readonly error: unknown;
}

export interface LifecycleOptions {
  /** Rejects or never; resolves after the time. Injected for tests. */
  readonly delay: (durationMs: number, signal: AbortSignal) => Promise<void>;
}

export class Lifecycle {
  readonly #parts: Part[] = [];
  readonly #delay: LifecycleOptions["delay"];

  constructor(options: LifecycleOptions) {
    this.#delay = options.delay;
  }

  /** Registers a part that has just been started. */
  started(part: Part): void {
    this.#parts.push(part);
  }

  /** Stops all parts in reverse order; returns what went wrong. Idempotent. */
  async stop(): Promise<readonly StopFailure[]> {
    const failures: StopFailure[] = [];
    for (let part = this.#parts.pop(); part !== undefined; part = this.#parts.pop()) {
      try {
        await this.#stopWithin(part);
      } catch (error) {
        failures.push({ part: part.name, error });
      }
    }
    return failures;
  }

  async #stopWithin(part: Part): Promise<void> {
    const abort = new AbortController();
    const overrun = this.#delay(part.stopTimeoutMs, abort.signal).then(
      () => {
        throw new BlixardError("DEADLINE_EXCEEDED", `stopping ${part.name} took longer than ${part.stopTimeoutMs} ms`);
      },
      () => undefined,
    );
    try {
      await Promise.race([Promise.resolve(part.stop()), overrun]);
    } finally {
      abort.abort();
    }
  }
}
