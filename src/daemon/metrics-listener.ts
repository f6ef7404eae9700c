/**
 * The metrics listener as the configuration wants it. Certificates that are renewed on disk
 * are taken up without a restart: their files are looked at every few seconds, and what
 * cannot be used (a new certificate whose key is not there yet) leaves the old ones in place.
 */
import { stat } from "node:fs/promises";
import type { Config } from "#config/config.ts";
import { formatSocketAddress, isWildcardHost } from "#config/value-kinds.ts";
import type { Clock } from "#model/clock.ts";
import type { MetricsEndpoint } from "#model/node.ts";
import { Secret } from "#model/secret.ts";
import type { TelemetryRuntime } from "#telemetry/create-telemetry.ts";
import type { MetricsServer, MetricsServerTls } from "#telemetry/http/metrics-server.ts";
import { DISCOVERY_PATH, type KnownNodes } from "#telemetry/http/prometheus-discovery.ts";
import type { Readiness } from "#telemetry/http/readiness.ts";
import { planAdvertisedAddress, readMachineAddresses } from "./advertised-address.ts";
import { reportCertificates } from "./certificate-expirations.ts";
import { readPem } from "./telemetry-options.ts";

type HttpServerConfig = Config["observability"]["metrics"]["httpServer"];

export interface MetricsListenerOptions {
  readonly config: HttpServerConfig;
  readonly telemetry: Pick<TelemetryRuntime, "startMetricsServer" | "logger" | "metrics">;
  readonly clock: Clock;
  readonly readiness: () => Readiness;
  readonly knownNodes: () => KnownNodes | undefined;
  /** Time between two looks at the files; default 10,000. */
  readonly watchIntervalMs?: number;
}

export interface MetricsListener {
  /** URL of the page, for this machine. */
  readonly url: string;
  /** The page as others reach it. */
  readonly advertised: Pick<MetricsEndpoint, "address" | "scheme" | "path">;
  /** Where Prometheus finds the nodes, as others reach it. */
  readonly discoveryUrl: string;
  close(): Promise<void>;
}

interface TlsFiles {
  readonly certificate: string;
  readonly key: string;
  readonly clientAuthorities: string | undefined;
}

const PAGE_PATH = "/metrics";
const DEFAULT_WATCH_INTERVAL_MS = 10_000;

/** @throws BlixardError PORT_TAKEN, CONFIG_INVALID, CONFIG_UNREADABLE */
export async function startMetricsListener(options: MetricsListenerOptions): Promise<MetricsListener> {
  const { config } = options;
  const files = tlsFilesOf(config);
  const before = files === undefined ? "" : await fingerprintOf(files);
  const tls = files === undefined ? undefined : await readTls(files);
  const machine = await readMachineAddresses();
  const server = await options.telemetry.startMetricsServer({
    bind: config.bind,
    readiness: options.readiness,
    knownNodes: options.knownNodes,
    tls,
    basicAuth: basicAuthOf(config),
    bearerToken: config.bearerToken,
    scopeLabels: config.scopeLabels,
    created: config.created,
  });
  if (tls !== undefined) report(options, tls);
  const stopping = new AbortController();
  const watching = files === undefined ? undefined : watch(files, before, server, options, stopping.signal);
  const { scheme, address } = server;
  const listening = { host: config.bind.host, port: address.port };
  const advertised = planAdvertisedAddress(config.advertise, listening, machine);
  return {
    url: `${scheme}://${formatSocketAddress({ host: ownHost(address.host), port: address.port })}${PAGE_PATH}`,
    advertised: { address: advertised, scheme, path: PAGE_PATH },
    discoveryUrl: `${scheme}://${advertised}${DISCOVERY_PATH}`,
    async close() {
      stopping.abort();
      await watching;
      await server.close();
    },
  };
}

function tlsFilesOf({ certificateFile, keyFile, clientCaFile }: HttpServerConfig): TlsFiles | undefined {
  if (certificateFile === undefined || keyFile === undefined) return undefined;
  return { certificate: certificateFile, key: keyFile, clientAuthorities: clientCaFile };
}

function basicAuthOf({ basicAuth }: HttpServerConfig): { username: string; password: Secret } | undefined {
  const { username, password } = basicAuth;
  return username === undefined || password === undefined ? undefined : { username, password };
}

async function readTls(files: TlsFiles): Promise<MetricsServerTls> {
  const [certificate = "", key = "", clientAuthorities] = await Promise.all([
    readPem(files.certificate),
    readPem(files.key),
    readPem(files.clientAuthorities),
  ]);
  return { certificate, key: new Secret(key), clientAuthorities };
}

function report({ telemetry: { metrics } }: MetricsListenerOptions, tls: MetricsServerTls): void {
  reportCertificates(metrics, "metrics_server", [tls.certificate]);
  reportCertificates(metrics, "metrics_client_ca", [tls.clientAuthorities]);
}

/** Takes up new files until the signal; never rejects. */
async function watch(
  files: TlsFiles,
  before: string,
  server: MetricsServer,
  options: MetricsListenerOptions,
  signal: AbortSignal,
): Promise<void> {
  const { clock, telemetry, watchIntervalMs = DEFAULT_WATCH_INTERVAL_MS } = options;
  let known = before;
  let complained: string | undefined;
  while (!signal.aborted) {
    try {
      await clock.delay(watchIntervalMs, signal);
    } catch {
      return;
    }
    try {
      const present = await fingerprintOf(files);
      if (present === known) continue;
      const tls = await readTls(files);
      // Files that change while they are read are looked at again.
      if ((await fingerprintOf(files)) !== present) continue;
      server.renewTls(tls);
      report(options, tls);
      known = present;
      complained = undefined;
      telemetry.logger.info("the metrics listener has taken up its renewed certificate");
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      if (message !== complained) telemetry.logger.warn("the metrics listener keeps its old certificate", {}, error);
      complained = message;
    }
  }
}

/** Changes with any of the files, through links too. */
async function fingerprintOf(files: TlsFiles): Promise<string> {
  const paths = [files.certificate, files.key, files.clientAuthorities].filter((path) => path !== undefined);
  const facts = await Promise.all(paths.map((path) => stat(path).catch(() => undefined)));
  return JSON.stringify(facts.map((fact) => [fact?.ino, fact?.size, fact?.mtimeMs]));
}

/** By which this machine calls itself. */
function ownHost(host: string): string {
  if (!isWildcardHost(host)) return host;
  return host.includes(":") ? "::1" : "127.0.0.1";
}
