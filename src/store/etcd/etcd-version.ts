/** Which etcd this is, and whether it may open a data directory. */
import { BlixardError } from "#model/errors.ts";
import { runCommand } from "#process/run.ts";

export interface EtcdVersion {
  readonly major: number;
  readonly minor: number;
  readonly patch: number;
}

export const MINIMUM_ETCD_VERSION: EtcdVersion = { major: 3, minor: 4, patch: 0 };
const VERSION_TIMEOUT_MS = 10_000;

/** Of `etcd --version`, of a Status answer, or of a member file; undefined when it is none. */
export function parseEtcdVersion(text: string): EtcdVersion | undefined {
  const match = /(?:^|[^\d.])(\d{1,3})\.(\d{1,3})\.(\d{1,4})/.exec(text);
  if (match === null) return undefined;
  const [major = 0, minor = 0, patch = 0] = match.slice(1).map(Number);
  return { major, minor, patch };
}

export function formatEtcdVersion({ major, minor, patch }: EtcdVersion): string {
  return `${major}.${minor}.${patch}`;
}

/** By major and minor alone: a data directory can be opened by every patch release of its minor version. */
export function isOlderMinor(version: EtcdVersion, than: EtcdVersion): boolean {
  return version.major < than.major || (version.major === than.major && version.minor < than.minor);
}

/** Asks the binary. @throws BlixardError TOOL_MISSING, TOOL_TOO_OLD */
export async function readEtcdVersion(etcdPath: string, signal?: AbortSignal): Promise<EtcdVersion> {
  const result = await runCommand({
    command: etcdPath,
    args: ["--version"],
    timeoutMs: VERSION_TIMEOUT_MS,
    ...(signal === undefined ? {} : { signal }),
  });
  const version = parseEtcdVersion(result.stdout);
  if (result.code !== 0 || version === undefined) {
    throw new BlixardError("TOOL_MISSING", `${etcdPath} does not say its version, so it is not an etcd`, {
      hint: "Install the Debian package etcd-server, or run `npm run setup`.",
    });
  }
  if (isOlderMinor(version, MINIMUM_ETCD_VERSION)) {
    throw new BlixardError("TOOL_TOO_OLD", `${etcdPath} is etcd ${formatEtcdVersion(version)}`, {
      hint: "Use etcd 3.4 or newer.",
    });
  }
  return version;
}
