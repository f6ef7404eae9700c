/**
 * The argv of a supervised member, for its minor version. Pure.
 *
 * Unix sockets only: no TCP port is opened. Both sockets appear in the working
 * directory under the "host names" below (etcd refuses absolute paths).
 */
import type { EtcdVersion } from "./etcd-version.ts";

export const CLIENT_SOCKET_NAME = "localhost:2379";
export const PEER_SOCKET_NAME = "localhost:2380";

/**
 * How patient members are with a silent leader. `fast`: an election takes about a second; `slow`: for disks
 * whose fdatasync takes longer than a heartbeat may. `alone`: nobody else can be mistaken about the leader, so
 * the only effect is how long a restarted member waits before it leads again: 0.3 s instead of 1 to 2 s.
 */
export type ElectionTimers = "alone" | "fast" | "slow";

const timers: Readonly<Record<ElectionTimers, { readonly heartbeatMs: number; readonly electionMs: number }>> = {
  alone: { heartbeatMs: 20, electionMs: 200 },
  fast: { heartbeatMs: 100, electionMs: 1000 },
  slow: { heartbeatMs: 500, electionMs: 5000 },
};

export interface EtcdArgumentsOptions {
  readonly version: EtcdVersion;
  readonly memberName: string;
  readonly dataDir: string;
  readonly electionTimers: ElectionTimers;
  readonly quotaBytes: number;
  /** History that watchers may fall behind. */
  readonly compactionRetentionMs: number;
  /** OTLP/gRPC receiver on the loopback, `host:port`, for the member's own spans (3.5 and newer). */
  readonly tracing?: { readonly address: string; readonly serviceName: string };
}

export function planEtcdArguments(options: EtcdArgumentsOptions): string[] {
  const { version, memberName, dataDir, quotaBytes, compactionRetentionMs } = options;
  const { heartbeatMs, electionMs } = timers[options.electionTimers];
  const clientUrl = `unix://${CLIENT_SOCKET_NAME}`;
  const peerUrl = `unix://${PEER_SOCKET_NAME}`;
  return [
    `--name=${memberName}`,
    `--data-dir=${dataDir}`,
    `--listen-client-urls=${clientUrl}`,
    `--advertise-client-urls=${clientUrl}`,
    `--listen-peer-urls=${peerUrl}`,
    `--initial-advertise-peer-urls=${peerUrl}`,
    `--initial-cluster=${memberName}=${peerUrl}`,
    "--initial-cluster-state=new",
    `--initial-cluster-token=${memberName}`,
    `--heartbeat-interval=${heartbeatMs}`,
    `--election-timeout=${electionMs}`,
    `--quota-backend-bytes=${quotaBytes}`,
    "--auto-compaction-mode=periodic",
    `--auto-compaction-retention=${Math.ceil(compactionRetentionMs / 1000)}s`,
    // Fewer entries kept in memory than the 100,000 that older versions keep.
    "--snapshot-count=10000",
    // Above the client's own limit of 1.5 MiB, so that the client's error is the one people see.
    "--max-request-bytes=2097152",
    // Lets our clients find a dead connection sooner.
    "--grpc-keepalive-min-time=1s",
    "--log-outputs=stderr",
    "--log-level=info",
    ...versionArguments(version),
    ...tracingArguments(version, options.tracing),
  ];
}

function versionArguments(version: EtcdVersion): string[] {
  // 3.5 made both of these the default; 3.4 would log in its old format and disturb a cluster it rejoins.
  return isAtLeast(version, 5) ? [] : ["--logger=zap", "--pre-vote=true"];
}

function tracingArguments(version: EtcdVersion, tracing: EtcdArgumentsOptions["tracing"]): string[] {
  if (tracing === undefined || !isAtLeast(version, 5)) return [];
  // 3.6 took the prefix away, 3.7 no longer knows it. The rate stays at 0: only calls that are part of a sampled trace.
  const prefix = isAtLeast(version, 6) ? "--" : "--experimental-";
  return [
    `${prefix}enable-distributed-tracing=true`,
    `${prefix}distributed-tracing-address=${tracing.address}`,
    `${prefix}distributed-tracing-service-name=${tracing.serviceName}`,
  ];
}

function isAtLeast(version: EtcdVersion, minor: number): boolean {
  return version.major > 3 || version.minor >= minor;
}

/** 3.4 starts on arm64 only when told that it may. */
export function planEtcdEnvironment(version: EtcdVersion, architecture: string): Record<string, string> {
  return architecture === "arm64" && !isAtLeast(version, 5) ? { ETCD_UNSUPPORTED_ARCH: "arm64" } : {};
}
