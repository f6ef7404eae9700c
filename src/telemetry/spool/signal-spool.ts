/**
 * The spools of one signal, `<directory>/<key>/`, a folder for each destination.
 *
 * A destination that is no longer configured keeps its folder under its own key: it is
 * replayed only when it comes back, and removed when it is too old or takes more than half
 * of the signal's limit. The configured ones share the rest evenly.
 */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { telemetrySpoolDropped } from "#gen/telemetry/metrics.ts";
import { Secret } from "#model/secret.ts";
import type { Destination, OtlpSignal } from "../otlp/destination.ts";
import type { SpoolUsage } from "../otlp/destination-status.ts";
import type { Logger, Metrics } from "../port.ts";
import { createSpoolFolder, DEFAULT_MAXIMUM_AGE_MS, type SpoolFolder } from "./spool-folder.ts";
import type { SpoolDisk } from "./spool-disk.ts";

export interface SignalSpool {
  placeOf(destination: Destination): SpoolPlace;
  /** Removes folders of former destinations that are too old, empty, or too large together. Never rejects. */
  tidy(): Promise<void>;
}

/** Where a destination keeps its requests. */
export interface SpoolPlace {
  readonly directory: string;
  readonly limitBytes: () => number;
  readonly disk: SpoolDisk;
}

export interface SignalSpoolOptions {
  readonly directory: string;
  readonly signal: OtlpSignal;
  readonly destinations: readonly Destination[];
  /** For all of them together. */
  readonly maximumBytes: number;
  readonly disk: SpoolDisk;
  /** Unix time in ms. */
  readonly now: () => number;
  readonly metrics: Metrics;
  /** Writes to stderr only. */
  readonly stderrLogger: Logger;
}

const MAXIMUM_SLUG_LENGTH = 60;
const KEY = /^[a-z0-9.-]{1,80}-[0-9a-f]{12}$/;

export function createSignalSpool(options: SignalSpoolOptions): SignalSpool {
  const { directory, destinations, maximumBytes, disk } = options;
  let strayBytes = 0;
  const limitBytes = (): number => Math.floor((maximumBytes - strayBytes) / destinations.length);
  return {
    placeOf: (destination) => ({ directory: join(directory, spoolKeyOf(destination)), limitBytes, disk }),
    async tidy() {
      try {
        strayBytes = await tidyStrays(options, new Set(destinations.map(spoolKeyOf)));
      } catch (error) {
        options.stderrLogger.warn(
          `cannot look for what waits for former destinations of ${options.signal}`,
          { "blixard.telemetry.signal": options.signal },
          error,
        );
      }
    },
  };
}

/**
 * Names a destination's folder: the same as long as requests would reach the same receiver in
 * the same form. A secret is no part of it, so that a new token does not part a
 * destination from what waits for it; headers that are no secret (a tenant) are.
 */
export function spoolKeyOf(destination: Destination): string {
  const headers = Object.entries(destination.headers)
    .filter(([, value]) => !(value instanceof Secret))
    .map(([name, value]) => `${name}: ${String(value)}`)
    .toSorted();
  const identity = JSON.stringify([destination.protocol, destination.display, headers]);
  const slug = destination.display
    .toLowerCase()
    .replaceAll(/[^a-z0-9.]+/g, "-")
    .replaceAll(/^-|-$/g, "")
    .slice(0, MAXIMUM_SLUG_LENGTH);
  return `${slug}-${createHash("sha256").update(identity).digest("hex").slice(0, 12)}`;
}

interface Stray {
  readonly path: string;
  readonly folder: SpoolFolder;
  readonly usage: SpoolUsage;
}

/** Returns the bytes of those that stay. */
async function tidyStrays(options: SignalSpoolOptions, configured: ReadonlySet<string>): Promise<number> {
  const { directory, disk, maximumBytes } = options;
  const keys = (await disk.list(directory)).filter((name) => KEY.test(name) && !configured.has(name));
  const strays: Stray[] = [];
  for (const key of keys) strays.push(await openStray(options, key));
  // The newest are kept first.
  strays.sort((left, right) => (right.usage.oldestMs ?? 0) - (left.usage.oldestMs ?? 0));
  let keptBytes = 0;
  for (const { path, folder, usage } of strays) {
    const isOld = (usage.oldestMs ?? 0) < options.now() - DEFAULT_MAXIMUM_AGE_MS;
    if (!isOld && keptBytes + usage.bytes <= maximumBytes / 2) keptBytes += usage.bytes;
    else {
      await folder.discard(isOld ? "expired" : "spool_full");
      await disk.removeDirectory(path);
    }
  }
  return keptBytes;
}

async function openStray(options: SignalSpoolOptions, key: string): Promise<Stray> {
  const { signal, disk, now, metrics } = options;
  const path = join(options.directory, key);
  const where = { "blixard.telemetry.destination": key, "blixard.telemetry.signal": signal } as const;
  const folder = createSpoolFolder({
    directory: path,
    limitBytes: () => options.maximumBytes,
    disk,
    now,
    onLost: (items, reason) => metrics.bind(telemetrySpoolDropped, { ...where, "error.type": reason }).add(items),
    onProblem: (error) => options.stderrLogger.warn(`cannot look at what waits in ${path}`, where, error),
  });
  await folder.open();
  return { path, folder, usage: folder.usage() };
}
