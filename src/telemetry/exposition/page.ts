/**
 * The metrics page: all series as OpenMetrics 1.0, Prometheus text or Prometheus
 * protobuf, in chunks.
 *
 * A pure walk over live series: it makes no copy of the values, keeps the text of
 * name and labels on the series (`prefix`), and can stop after any chunk. Names are
 * translated first; an escaping scheme is then applied to the translated name, so
 * that a scraper that takes UTF-8 still gets `blixard_vm_…`. Which families there are
 * is planned before (page-family.ts); text-page.ts and protobuf-page.ts write them.
 */
import type { SpanAttributes, SpanScope } from "#model/recorded-span.ts";
import type { MetricFamily, SeriesAttribute } from "../metrics/snapshot.ts";
import type { EscapingScheme } from "./escaping.ts";
import { type FamilyConflict, type PageFamily, planPage } from "./page-family.ts";
import { renderProtobufPage } from "./protobuf-page.ts";
import { renderTextPage } from "./text-page.ts";

export type PageFormat = "openmetrics" | "prometheus_text" | "prometheus_protobuf";

export interface PageOptions {
  readonly format: PageFormat;
  readonly escaping?: EscapingScheme | undefined;
  /** Shown once, as `target_info`. */
  readonly resource: SpanAttributes;
  /** Of our own families; shown as labels of every series when given, theirs for third parties. Fixed for the life of the engine. */
  readonly scopeLabels?: SpanScope | undefined;
  /**
   * `_created` samples (OpenMetrics only): one more series for each counter and histogram. Default false.
   * Protobuf has the time inside the series, where it costs none: it is always there.
   */
  readonly created?: boolean | undefined;
  /** Default 64 KiB. */
  readonly chunkBytes?: number | undefined;
  readonly onConflict?: ((conflict: FamilyConflict) => void) | undefined;
}

/** What the writers of the formats need besides the families. */
export interface PageContext {
  readonly format: PageFormat;
  readonly escaping: EscapingScheme | undefined;
  readonly resource: SpanAttributes;
  readonly created: boolean;
  readonly chunkBytes: number;
  /** Labels that a family's scope adds to its series. */
  readonly scopeAttributes: (scope: SpanScope | undefined) => readonly SeriesAttribute[];
}

const DEFAULT_CHUNK_BYTES = 65_536;
const none: readonly SeriesAttribute[] = [];

/**
 * Chunks of at most about `chunkBytes`, the last one smaller; concatenated they are the page.
 * Empty ones are places to pause at.
 */
export function renderPage(families: readonly MetricFamily[], options: PageOptions): Generator<Buffer, void, void> {
  const { families: planned, conflicts } = planPage(families);
  for (const conflict of conflicts) options.onConflict?.(conflict);
  const { scopeLabels } = options;
  const context: PageContext = {
    format: options.format,
    escaping: options.escaping,
    resource: options.resource,
    created: options.created ?? false,
    chunkBytes: options.chunkBytes ?? DEFAULT_CHUNK_BYTES,
    scopeAttributes: (scope) => (scopeLabels === undefined ? none : scopeAttributesOf(scope ?? scopeLabels)),
  };
  return renderFormat(planned, context);
}

function renderFormat(families: readonly PageFamily[], context: PageContext): Generator<Buffer, void, void> {
  return context.format === "prometheus_protobuf"
    ? renderProtobufPage(families, context)
    : renderTextPage(families, context);
}

/** Source: OpenTelemetry "Prometheus and OpenMetrics Compatibility", "Instrumentation Scope". */
function scopeAttributesOf({ name, version, schemaUrl }: SpanScope): SeriesAttribute[] {
  const attributes: SeriesAttribute[] = [["otel_scope_name", name]];
  if (version !== undefined) attributes.push(["otel_scope_version", version]);
  if (schemaUrl !== undefined) attributes.push(["otel_scope_schema_url", schemaUrl]);
  return attributes;
}
