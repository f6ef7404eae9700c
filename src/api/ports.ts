/**
 * What the handlers need of the rest of the node, as small as they need it. The
 * composition root gives them the agent, the image store, the recorder and the like,
 * which fit by their shape.
 */
import type { ImageManifest } from "#model/image.ts";
import type { RecordedSpan } from "#model/recorded-span.ts";

/** Guests that run on this node: the agent. */
export interface LocalMachines {
  /** The serial log as kept, then, with `follow`, as it grows. @throws BlixardError VM_NOT_ON_NODE */
  readLog(
    vmId: string,
    options: { readonly follow: boolean; readonly tailBytes: number },
    signal: AbortSignal,
  ): AsyncIterable<{ readonly data: Uint8Array; readonly skippedBytes: number }>;
  /** @throws BlixardError VM_NOT_ON_NODE, VM_STATE_CONFLICT, GUEST_CHANNEL_UNAVAILABLE */
  openConsole(vmId: string, signal: AbortSignal): Promise<LocalConsole>;
}

export interface LocalConsole extends AsyncDisposable {
  readonly output: AsyncIterable<Uint8Array>;
  /** @throws BlixardError GUEST_CHANNEL_UNAVAILABLE when the guest is gone. */
  write(data: Uint8Array): Promise<void>;
}

/** This node's chunks and files: the image store. */
export interface ImageKeeper {
  /** The bytes are safe until the result is disposed of: do that when the manifest is in the store, or will not be. */
  import(
    header: ImageHeaderInput,
    data: AsyncIterable<Uint8Array>,
    signal: AbortSignal,
  ): Promise<Disposable & { readonly manifest: ImageManifest }>;
  /** After the manifest has left the store. */
  remove(image: Pick<ImageManifest, "name" | "digest">): Promise<void>;
}

export interface ImageHeaderInput {
  readonly name?: string | undefined;
  readonly files?: readonly { readonly role?: string | undefined; readonly sizeBytes?: number | bigint | undefined }[];
  readonly commandLine?: string | undefined;
  readonly guestAgent?: boolean | undefined;
  readonly operationId: string;
}

/** What this node knows of traces: the span recorder. */
export interface TraceReader {
  trace(
    traceId: string,
  ): { readonly spans: readonly RecordedSpan[]; readonly droppedSpans: number; readonly exported: boolean } | undefined;
  ingest(spans: readonly RecordedSpan[], source: { readonly serviceName: string }): { readonly accepted: number };
}

/** The store's members: the etcd supervisor or client. */
export interface ConsensusReader {
  readonly kind: "embedded" | "external";
  /** Every member that is known, also those that do not answer. @throws BlixardError STORE_UNAVAILABLE */
  members(signal: AbortSignal): Promise<readonly ConsensusMember[]>;
}

export interface ConsensusMember {
  /** Hex. */
  readonly memberId: string;
  readonly name: string;
  readonly leader: boolean;
  readonly learner: boolean;
  /** It answered, and raises no alarm. */
  readonly healthy: boolean;
  /** Empty when it did not answer. */
  readonly version: string;
  readonly raftTerm: bigint;
  readonly raftIndex: bigint;
  readonly raftAppliedIndex: bigint;
  readonly databaseSizeBytes: bigint;
  readonly alarms: readonly string[];
}

/** Looks after this node's telemetry: the doctor. */
export interface TelemetryDoctor {
  /**
   * Each check as it is done, and a summary at the end.
   * @throws BlixardError TOO_MANY_REQUESTS while another diagnosis runs
   */
  diagnose(options: { readonly timeoutMs: number; readonly signal: AbortSignal }): AsyncIterable<TelemetryDoctorEvent>;
}

export type TelemetryDoctorEvent =
  | { readonly kind: "check"; readonly check: TelemetryCheck }
  | { readonly kind: "summary"; readonly summary: TelemetrySummary };

type TelemetryCheckOutcome = "ok" | "warning" | "failed" | "skipped";

export interface TelemetryCheck {
  readonly target: string;
  readonly signal?: string;
  readonly step: string;
  readonly outcome: TelemetryCheckOutcome;
  readonly durationMs: number;
  readonly message: string;
  readonly finding?: string;
  readonly fix?: string;
}

export interface TelemetrySummary {
  readonly outcome: TelemetryCheckOutcome;
  readonly ok: number;
  readonly warnings: number;
  readonly failed: number;
  readonly skipped: number;
  readonly traceId: string;
}

/** What this node's metrics cost. */
export interface CardinalityReader {
  read(options: { readonly additionalVms: number; readonly additionalAttributeValues: number }): CardinalityReading;
}

export interface CardinalityReading {
  readonly metrics: readonly MetricCardinality[];
  readonly series: number;
  readonly samples: number;
  /** VMs that the forecast starts from. */
  readonly vms: number;
  readonly forecast: CardinalityForecast;
}

export interface MetricCardinality {
  readonly name: string;
  readonly prometheusName: string;
  readonly instrument: string;
  readonly series: number;
  readonly samples: number;
  readonly limit: number;
  readonly overflows: number;
  readonly attributes: readonly { readonly name: string; readonly distinctValues: number }[];
  readonly perVm: boolean;
  readonly forecast: CardinalityForecast;
}

export interface CardinalityForecast {
  readonly seriesWithAdditionalVms: number;
  readonly seriesWithAdditionalAttribute: number;
  readonly vmsUntilLimit: number | undefined;
}
