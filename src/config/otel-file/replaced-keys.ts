/** What a declarative configuration takes the place of. */
import type { Destinations } from "../destinations.ts";
import type { OtelFile } from "./read-otel-file.ts";

/** Exporters, processors, samplers, limits, propagators; `service_name` and the resource only where the file has them. */
const REPLACED: readonly RegExp[] = [
  /^observability\.(tracing|metrics|logging)\.(otlp_|protocol$|headers$|basic_auth\.|timeout$|compression$|insecure$|ca_file$|client_)/,
  /^observability\.(tracing|logging)\.(batch|limits)\./,
  /^observability\.tracing\.(enabled|sampling_ratio)$/,
  /^observability\.metrics\.(export_interval|export_timeout|temporality|histogram_aggregation|exemplars)$/,
  /^observability\.context\.propagators$/,
];

export function isReplacedByOtelFile(path: string): boolean {
  return REPLACED.some((pattern) => pattern.test(path));
}

export function destinationsOfFile({ destinations }: OtelFile): Destinations {
  const of = (wanted: string) =>
    destinations.filter(({ signal }) => signal === wanted).map(({ destination }) => destination);
  return { traces: of("traces"), metrics: of("metrics"), logs: of("logs") };
}
