/** How the way out is doing: for the doctor, and for whoever asks the node. */
import type { OtlpSignal } from "./destination.ts";
import type { NetworkProblem } from "./send-outcome.ts";

export const destinationStates = ["starting", "ok", "failing", "unsupported"] as const;
/** `unsupported`: left alone for ten minutes, then asked again. */
export type DestinationState = (typeof destinationStates)[number];

/** One destination of one signal. Items are spans, metric points or log records. */
export interface DestinationStatus {
  /** Unique among those of its signal; no secret in it. */
  readonly destination: string;
  readonly signal: OtlpSignal;
  /** Its place among the signal's destinations, from 0: the end of its `otel.component.name`. */
  readonly index: number;
  readonly state: DestinationState;
  /** Unix time in ms of the last change of `state`. */
  readonly sinceMs: number;
  /** The last failure, also when all is well again. */
  readonly lastError?: DestinationError;
  /** Metrics have no queue: they are read when they are sent. */
  readonly queue: { readonly items: number; readonly capacity: number };
  /** Absent where nothing is kept on disk. */
  readonly spool?: SpoolUsage;
  /** Since the start of the process. */
  readonly exportedItems: number;
  /** Given up for good: refused, too large, out of patience, or lost on disk. */
  readonly failedItems: number;
  /** Turned away by the queue, which was full. */
  readonly droppedItems: number;
}

export interface DestinationError {
  /** `error.type`. */
  readonly errorType: string;
  /** For people. */
  readonly reason: string;
  readonly cause?: NetworkProblem;
  /** Unix time in ms. */
  readonly timeMs: number;
}

export interface SpoolUsage {
  readonly bytes: number;
  readonly limitBytes: number;
  readonly items: number;
  /** Unix time in ms of the oldest record; absent when there is none. */
  readonly oldestMs?: number;
}
