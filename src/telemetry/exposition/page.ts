/**
 * The metrics page: all series as OpenMetrics 1.0 or Prometheus text 0.0.4, in chunks.
 *
 * A pure walk over live series: it makes no copy of the values, keeps the text of
 * name and labels on the series (`prefix`), and can stop after any chunk. Names are
 * translated first; an escaping scheme is then applied to the translated name, so
 * that a scraper that takes UTF-8 still gets `blixard_vm_…`.
 */
import type { SpanAttributes } from "#model/recorded-span.ts";
import type { HistogramSeries, MetricFamily, NumberSeries, Series } from "../metrics/snapshot.ts";
import { escapeHelp, escapeQuoted, formatBound, toByteString } from "./byte-text.ts";
import { ChunkWriter } from "./chunk-writer.ts";
import { cachedLabelNames, labelsText } from "./labels.ts";
import { prometheusLabelName, prometheusUnit } from "./prometheus-names.ts";

export type PageFormat = "openmetrics" | "prometheus_text";

/** How names that the old alphabet lacks are written; ours never need it, but `dots` doubles underscores. */
export type EscapingScheme = "allow-utf-8" | "underscores" | "dots" | "values";

export interface PageOptions {
  readonly format: PageFormat;
  readonly escaping?: EscapingScheme | undefined;
  /** Shown once, as `target_info`. */
  readonly resource: SpanAttributes;
  /** Labels on every series, e.g. the scope's; fixed for the life of the engine. */
  readonly commonLabels?: readonly (readonly [key: string, value: string])[];
  /** `_created` samples (OpenMetrics only): one more series for each counter and histogram. Default false. */
  readonly created?: boolean;
  /** Default 64 KiB. */
  readonly chunkBytes?: number;
}

const DEFAULT_CHUNK_BYTES = 65_536;

/** Chunks of at most about `chunkBytes`, the last one smaller; concatenated they are the page. */
export function* renderPage(families: readonly MetricFamily[], options: PageOptions): Generator<Buffer, void, void> {
  const writer = new ChunkWriter(options.chunkBytes ?? DEFAULT_CHUNK_BYTES);
  for (const family of families) {
    const text = new FamilyText(family, options, writer);
    // Series come and go while the page waits for its reader: walk those that are there now.
    for (const series of family.series.slice()) {
      if (series.removed) continue;
      text.write(series);
      if (writer.hasFull) yield* writer.takeFull();
    }
  }
  writer.text(toByteString(targetInfo(options)));
  if (options.format === "openmetrics") writer.text("# EOF\n");
  yield* writer.takeAll();
}

/** Writes one family: its head before the first sample, then a block for each series. */
class FamilyText {
  readonly #options: PageOptions;
  readonly #writer: ChunkWriter;
  readonly #family: MetricFamily;
  /** Without `_total`. */
  readonly #baseName: string;
  readonly #sampleName: string;
  /** Whether the text kept on the series is the text wanted. */
  readonly #plain: boolean;
  readonly #createdSeconds: boolean;
  readonly #labelName: (key: string) => string;
  #headWritten = false;
  #bounds: Float64Array | undefined = undefined;
  #bucketEnds: string[] = [];

  constructor(family: MetricFamily, options: PageOptions, writer: ChunkWriter) {
    const { prometheusName, instrument } = family.descriptor;
    const counter = instrument === "counter";
    this.#family = family;
    this.#options = options;
    this.#writer = writer;
    this.#plain = options.escaping !== "dots";
    this.#labelName = cachedLabelNames((key) => this.#escapeName(prometheusLabelName(key)));
    const base = counter ? prometheusName.replace(/_total$/, "") : prometheusName;
    this.#baseName = this.#escapeName(base);
    this.#sampleName = counter ? `${this.#baseName}_total` : this.#baseName;
    this.#createdSeconds =
      options.created === true && options.format === "openmetrics" && (counter || instrument === "histogram");
  }

  write(series: Series): void {
    if (series.kind === "number") {
      if (Number.isNaN(series.value)) return;
      this.#writeHead();
      this.#writeNumber(series);
    } else {
      this.#writeHead();
      this.#writeHistogram(series);
    }
  }

  #writeNumber(series: NumberSeries): void {
    let prefix = this.#plain ? series.prefix : undefined;
    if (prefix === undefined) {
      const labels = this.#labels(series);
      prefix = toByteString(`${this.#sampleName}${labels === "" ? "" : `{${labels}}`} `);
      if (this.#plain) series.prefix = prefix;
    }
    this.#writer.text(prefix);
    this.#writer.valueLine(series.value);
    if (this.#createdSeconds) this.#writeCreated(series, prefix.slice(this.#sampleName.length));
  }

  #writeHistogram(series: HistogramSeries): void {
    const writer = this.#writer;
    let labels = this.#plain ? series.prefix : undefined;
    if (labels === undefined) {
      labels = toByteString(this.#labels(series));
      if (this.#plain) series.prefix = labels;
    }
    const bucketStart = `${this.#baseName}_bucket{${labels === "" ? "" : `${labels},`}`;
    const ends = this.#endsOf(series.bounds);
    let upTo = 0;
    for (let bucket = 0; bucket < series.bucketCounts.length; bucket++) {
      upTo += series.bucketCounts[bucket] ?? 0;
      writer.text(bucketStart);
      writer.text(ends[bucket] ?? "");
      writer.valueLine(upTo);
    }
    const rest = labels === "" ? " " : `{${labels}} `;
    writer.text(`${this.#baseName}_sum${rest}`);
    writer.valueLine(series.sum);
    writer.text(`${this.#baseName}_count${rest}`);
    // Of the buckets, so that it equals the last one whatever happens between two records.
    writer.valueLine(upTo);
    if (this.#createdSeconds) this.#writeCreated(series, rest);
  }

  #writeCreated(series: Series, rest: string): void {
    this.#writer.text(`${this.#baseName}_created${rest}`);
    this.#writer.valueLine(series.startTimeMs / 1000);
  }

  #endsOf(bounds: Float64Array): readonly string[] {
    if (this.#bounds !== bounds) {
      this.#bounds = bounds;
      this.#bucketEnds = [...bounds, Infinity].map((bound) => `le="${formatBound(bound)}"} `);
    }
    return this.#bucketEnds;
  }

  #labels(series: Series): string {
    const { commonLabels } = this.#options;
    const attributes = commonLabels === undefined ? series.attributes : [...series.attributes, ...commonLabels];
    return labelsText(attributes, this.#labelName);
  }

  #escapeName(name: string): string {
    return this.#options.escaping === "dots" ? name.replaceAll("_", "__") : name;
  }

  #writeHead(): void {
    if (this.#headWritten) return;
    this.#headWritten = true;
    const { descriptor } = this.#family;
    const type = descriptor.instrument === "updowncounter" ? "gauge" : descriptor.instrument;
    const unit = prometheusUnit(descriptor);
    const openMetrics = this.#options.format === "openmetrics";
    const name = openMetrics ? this.#baseName : this.#sampleName;
    let head = `# TYPE ${name} ${type}\n`;
    if (openMetrics && unit !== undefined && name.endsWith(`_${unit}`)) head += `# UNIT ${name} ${unit}\n`;
    head += `# HELP ${name} ${openMetrics ? escapeQuoted(descriptor.brief) : escapeHelp(descriptor.brief)}\n`;
    this.#writer.text(toByteString(head));
  }
}

function targetInfo({ format, resource, escaping }: PageOptions): string {
  const name = escaping === "dots" ? "target__info" : "target_info";
  const head =
    format === "openmetrics"
      ? "# TYPE target info\n# HELP target Target metadata\n"
      : `# TYPE ${name} gauge\n# HELP ${name} Target metadata\n`;
  const attributes = Object.entries(resource).map(([key, value]) => [key, String(value)] as const);
  const labelName = (key: string): string =>
    escaping === "dots" ? prometheusLabelName(key).replaceAll("_", "__") : prometheusLabelName(key);
  return `${head}${format === "openmetrics" ? "target_info" : name}{${labelsText(attributes, labelName)}} 1\n`;
}
