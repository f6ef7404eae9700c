/** Times for reading. */

/** A short duration in seconds or larger: `340ms`, `2.31s`, `4m10s`, `3h5m`, `12d`. */
export function shortDuration(durationMs: number): string {
  if (!(durationMs > 0)) return "0ms";
  if (durationMs < 1) return `${Math.max(1, Math.round(durationMs * 1000))}µs`;
  if (durationMs < 999.5) return `${durationMs < 10 ? Number(durationMs.toFixed(1)) : Math.round(durationMs)}ms`;
  const seconds = durationMs / 1000;
  if (seconds < 59.95) return `${seconds < 9.995 ? seconds.toFixed(2) : seconds.toFixed(1)}s`;
  const wholeSeconds = Math.round(seconds);
  const [days, hours, minutes] = [
    Math.floor(wholeSeconds / 86_400),
    Math.floor(wholeSeconds / 3600) % 24,
    Math.floor(wholeSeconds / 60) % 60,
  ];
  if (days > 9) return `${days}d`;
  if (days > 0) return `${days}d${hours > 0 ? `${hours}h` : ""}`;
  if (hours > 0) return `${hours}h${minutes > 0 ? `${minutes}m` : ""}`;
  return `${minutes}m${wholeSeconds % 60 > 0 ? `${wholeSeconds % 60}s` : ""}`;
}

/** `2026-11-22T20:53:01.123Z`; empty for no time. */
export function timestampText(timestamp: { readonly seconds: bigint; readonly nanos: number } | undefined): string {
  const timeMs = timestampMs(timestamp);
  if (timeMs === undefined || Math.abs(timeMs) > 8.64e15) return "";
  return new Date(timeMs).toISOString();
}

export function timestampMs(
  timestamp: { readonly seconds: bigint; readonly nanos: number } | undefined,
): number | undefined {
  return timestamp === undefined ? undefined : Number(timestamp.seconds) * 1000 + timestamp.nanos / 1e6;
}

/** How long ago, for a table; empty for no time. */
export function ageText(
  timestamp: { readonly seconds: bigint; readonly nanos: number } | undefined,
  nowMs: number,
): string {
  const timeMs = timestampMs(timestamp);
  if (timeMs === undefined) return "";
  const age = shortDuration(Math.max(0, nowMs - timeMs));
  return /ms|µs/.test(age) ? "0s" : age.replace(/\.\d+s$/, "s");
}
