/** Telemetry and its listener: the first parts that start and the last that stop. */
import { nodeBuildInfo } from "#gen/telemetry/metrics.ts";
import type { Config } from "#config/config.ts";
import type { Clock } from "#model/clock.ts";
import type { MetricsEndpoint } from "#model/node.ts";
import { createTelemetry, type TelemetryRuntime } from "#telemetry/create-telemetry.ts";
import type { Doctor } from "#telemetry/doctor/doctor.ts";
import type { KnownNodes } from "#telemetry/http/prometheus-discovery.ts";
import { readinessOf, type Readiness, type ReadinessCheck } from "#telemetry/http/readiness.ts";
import { prometheusIdentity } from "#telemetry/resource/prometheus-identity.ts";
import type { TelemetryOptions } from "#telemetry/telemetry-options.ts";
import { reportCertificates } from "./certificate-expirations.ts";
import type { Lifecycle } from "./lifecycle.ts";
import type { NodeIdentity } from "./data-directory.ts";
import { type MetricsListener, startMetricsListener } from "./metrics-listener.ts";
import { createNodeDoctor } from "./telemetry-inspection.ts";
import { telemetryOptionsOf } from "./telemetry-options.ts";

/** What `/readyz` says while the node starts, serves and stops. */
export interface ReadinessBoard {
  readonly readiness: () => Readiness;
  /** What the node waits for. */
  waitingFor(name: string, message: string): void;
  done(name: string): void;
}

export interface Observability {
  readonly telemetry: TelemetryRuntime;
  /** URL of the page, when it is served. */
  readonly metricsUrl: string | undefined;
  /** The same for others, and whose metrics they are. */
  readonly metricsEndpoint: MetricsEndpoint | undefined;
  readonly doctor: Doctor;
}

const FLUSH_TIMEOUT_MS = 5_000;
const SERVER_STOP_TIMEOUT_MS = 2_000;

/** @throws BlixardError PORT_TAKEN, CONFIG_INVALID, CONFIG_UNREADABLE */
export async function startObservability(
  options: {
    readonly config: Config;
    readonly identity: NodeIdentity;
    readonly version: string;
    readonly clock: Clock;
    readonly board: ReadinessBoard;
    readonly knownNodes: () => KnownNodes | undefined;
  },
  lifecycle: Lifecycle,
): Promise<Observability> {
  const { config, identity, board } = options;
  const resource = {
    serviceVersion: options.version,
    clusterId: identity.clusterId,
    nodeId: identity.nodeId,
    environment: process.env,
  };
  const terminal = { colour: process.stderr.isTTY && process.env["NO_COLOR"] === undefined };
  const telemetryOptions = await telemetryOptionsOf(config, resource, terminal);
  const telemetry = createTelemetry({ ...telemetryOptions, clock: options.clock, registerGlobally: true });
  telemetry.metrics.bind(nodeBuildInfo, {
    "blixard.node.id": identity.nodeId,
    "service.version": options.version,
    "process.runtime.name": "nodejs",
    "process.runtime.version": process.versions.node,
  });
  reportOtlpCertificates(telemetry, telemetryOptions);
  lifecycle.started({
    name: "telemetry",
    stop: () => telemetry.shutdown(FLUSH_TIMEOUT_MS),
    stopTimeoutMs: FLUSH_TIMEOUT_MS + 1_000,
  });
  const { enabled, metrics } = config.observability;
  const observed = (listener?: MetricsListener): Observability => ({
    telemetry,
    metricsUrl: listener?.url,
    metricsEndpoint:
      listener === undefined ? undefined : { ...listener.advertised, ...prometheusIdentity(telemetry.resource) },
    doctor: createNodeDoctor(telemetryOptions, telemetry, listener),
  });
  if (!enabled || !metrics.httpServer.enabled) return observed();
  const listener = await startMetricsListener({
    config: metrics.httpServer,
    telemetry,
    clock: options.clock,
    readiness: board.readiness,
    knownNodes: options.knownNodes,
  });
  lifecycle.started({ name: "metrics listener", stop: () => listener.close(), stopTimeoutMs: SERVER_STOP_TIMEOUT_MS });
  return observed(listener);
}

function reportOtlpCertificates({ metrics }: TelemetryRuntime, options: TelemetryOptions): void {
  const tls = [options.tracing, options.metrics, options.logging].flatMap(({ destinations }) =>
    destinations.map((destination) => destination.tls),
  );
  const [shown, trusted] = [tls.map((own) => own?.clientCertificate), tls.map((own) => own?.certificateAuthorities)];
  reportCertificates(metrics, "otlp_client", shown);
  reportCertificates(metrics, "otlp_ca", trusted);
}

export function createReadinessBoard(): ReadinessBoard {
  const checks = new Map<string, ReadinessCheck>();
  return {
    readiness: () => readinessOf([...checks.values()]),
    waitingFor: (name, message) => void checks.set(name, { name, ready: false, message }),
    done: (name) => void checks.set(name, { name, ready: true }),
  };
}
