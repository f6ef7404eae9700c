/** `config show`: the effective configuration as TOML, with where each value came from. */
import type { ConfigEntry, Origin } from "./config.ts";
import type { PlacedDestination } from "./otel-file/read-otel-file.ts";
import { formatPlace } from "./problem.ts";

/**
 * TOML that loads again, but for secrets, which are redacted; unset keys are left
 * out. Destinations of OTEL_CONFIG_FILE have no keys: they follow as comments.
 */
export function renderConfig(
  entries: readonly ConfigEntry[],
  fileDestinations: readonly PlacedDestination[] = [],
): string {
  const set = entries.flatMap(({ path, shown, origin }) => {
    if (shown === undefined) return [];
    const dot = path.lastIndexOf(".");
    return [{ section: path.slice(0, dot), line: `${path.slice(dot + 1)} = ${shown}`, origin: formatOrigin(origin) }];
  });
  const width = Math.min(48, Math.max(0, ...set.map(({ line }) => line.length)));
  const sections = [...Map.groupBy(set, ({ section }) => section)]
    .map(([section, lines]) => {
      const body = lines.map(({ line, origin }) => `${line.padEnd(width)}  # ${origin}\n`);
      return `[${section}]\n${body.join("")}`;
    })
    .join("\n");
  const comments = fileDestinations.map(
    (placed) =>
      `# ${`${placed.signal} to ${describeDestination(placed)}`.padEnd(width - 2)}  # ${formatPlace(placed.place)}\n`,
  );
  return comments.length === 0 ? sections : `${sections}\n${comments.join("")}`;
}

/** `https://collector:4318/v1/traces (http/protobuf)` */
export function describeDestination({ destination: { endpoint, protocol } }: PlacedDestination): string {
  return protocol === undefined ? endpoint : `${endpoint} (${protocol})`;
}

/** Where a value came from, for people. */
export function formatOrigin(origin: Origin): string {
  switch (origin.kind) {
    case "default":
      return "default";
    case "follows":
      return `as ${origin.path}`;
    default:
      return formatPlace(origin);
  }
}
