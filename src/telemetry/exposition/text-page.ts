/**
 * The page as text: OpenMetrics 1.0, and Prometheus text, whose versions 0.0.4 and 1.0.0
 * differ in nothing that names of the old alphabet could show. Sources: OpenMetrics 1.0
 * "Text format", Prometheus "Exposition formats".
 *
 * Text has no exponential histograms: one without explicit buckets is shown with the bucket
 * `+Inf` alone, so that its rate and mean can still be asked for.
 */
import type { Exemplar, HistogramSeries, MetricFamily, NumberSeries, Series } from "../metrics/snapshot.ts";
import { escapeHelp, escapeQuoted, formatBound, formatValue, toByteString } from "./byte-text.ts";
import { ChunkWriter } from "./chunk-writer.ts";
import { escapeName } from "./escaping.ts";
import { bucketCountsOf, isInside, labelNameIn, mayRepeat, seriesOf } from "./family-series.ts";
import { cachedLabelNames, labelsText } from "./labels.ts";
import { baseName, type PageFamily, TARGET_INFO } from "./page-family.ts";
import type { PageContext } from "./page.ts";
import { prometheusLabelName } from "./prometheus-names.ts";

export function* renderTextPage(families: readonly PageFamily[], context: PageContext): Generator<Buffer, void, void> {
  const writer = new ChunkWriter(context.chunkBytes);
  for (const family of families) {
    const text = new FamilyText(family, context, writer);
    for (const { series, family: part } of seriesOf(family)) {
      text.write(series, part);
      if (writer.hasFull) yield* writer.takeFull();
    }
  }
  writer.text(toByteString(targetInfo(context)));
  if (context.format === "openmetrics") writer.text("# EOF\n");
  yield* writer.takeAll();
}

/** Writes one family: its head before the first sample, then a block for each series. */
class FamilyText {
  readonly #context: PageContext;
  readonly #writer: ChunkWriter;
  readonly #page: PageFamily;
  /** Without `_total` and `_info`. */
  readonly #baseName: string;
  readonly #sampleName: string;
  /** Whether the text kept on the series is the text wanted. */
  readonly #plain: boolean;
  readonly #openMetrics: boolean;
  readonly #created: boolean;
  readonly #labelName: (key: string) => string;
  /** Of series that were written, where two may be alike. */
  readonly #written: Set<string> | undefined;
  #headWritten = false;
  #bounds: Float64Array | undefined = undefined;
  #bucketEnds: string[] = [];

  constructor(page: PageFamily, context: PageContext, writer: ChunkWriter) {
    const { escaping } = context;
    const labelName = labelNameIn(page);
    this.#page = page;
    this.#context = context;
    this.#writer = writer;
    this.#plain = escaping !== "dots";
    this.#labelName = cachedLabelNames((key) => escapeName(labelName(key), escaping));
    this.#sampleName = escapeName(page.name, escaping);
    this.#baseName = baseName(this.#sampleName, page.type);
    this.#openMetrics = context.format === "openmetrics";
    this.#created = context.created && this.#openMetrics && (page.type === "counter" || page.type === "histogram");
    this.#written = mayRepeat(page) ? new Set() : undefined;
  }

  write(series: Series, family: MetricFamily): void {
    let prefix = this.#plain ? series.prefix : undefined;
    if (prefix === undefined) {
      prefix = toByteString(this.#prefixOf(series, family));
      if (this.#plain) series.prefix = prefix;
    }
    if (this.#written !== undefined) {
      if (this.#written.has(prefix)) return;
      this.#written.add(prefix);
    }
    this.#writeHead();
    if (series.kind === "number") this.#writeNumber(series, prefix);
    else this.#writeHistogram(series, prefix);
  }

  /** Of a number all up to its value; of a histogram its labels. */
  #prefixOf(series: Series, family: MetricFamily): string {
    const scope = this.#context.scopeAttributes(family.scope);
    const attributes = scope.length === 0 ? series.attributes : [...series.attributes, ...scope];
    const labels = labelsText(attributes, this.#labelName);
    if (series.kind === "histogram") return labels;
    return `${this.#sampleName}${labels === "" ? "" : `{${labels}}`} `;
  }

  #writeNumber(series: NumberSeries, prefix: string): void {
    this.#writer.text(prefix);
    this.#writeSample(series.value, this.#page.type === "counter" ? series.exemplar : undefined);
    if (this.#created) this.#writeCreated(series, prefix.slice(this.#sampleName.length));
  }

  #writeHistogram(series: HistogramSeries, labels: string): void {
    const writer = this.#writer;
    const { bounds, exemplars } = series;
    const bucketCounts = bucketCountsOf(series);
    const bucketStart = `${this.#baseName}_bucket{${labels === "" ? "" : `${labels},`}`;
    const ends = this.#endsOf(bounds);
    let upTo = 0;
    for (let bucket = 0; bucket <= bounds.length; bucket++) {
      upTo += bucketCounts[bucket] ?? 0;
      const exemplar = exemplars[bucket];
      writer.text(bucketStart);
      writer.text(ends[bucket] ?? "");
      this.#writeSample(upTo, exemplar !== undefined && isInside(exemplar, bounds, bucket) ? exemplar : undefined);
    }
    const rest = labels === "" ? " " : `{${labels}} `;
    // Below zero it could fall, and OpenMetrics has sums that only rise: neither sum nor count then.
    if (series.sum >= 0 || !this.#openMetrics) {
      writer.text(`${this.#baseName}_sum${rest}`);
      writer.valueLine(series.sum);
      writer.text(`${this.#baseName}_count${rest}`);
      // Of the buckets, so that it equals the last one whatever happens between two records.
      writer.valueLine(upTo);
    }
    if (this.#created) this.#writeCreated(series, rest);
  }

  #writeSample(value: number, exemplar: Exemplar | undefined): void {
    if (exemplar === undefined || !this.#openMetrics) {
      this.#writer.valueLine(value);
      return;
    }
    this.#writer.value(value);
    this.#writer.text(exemplarText(exemplar));
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

  #writeHead(): void {
    if (this.#headWritten) return;
    this.#headWritten = true;
    const { type, unit, help } = this.#page;
    const openMetrics = this.#openMetrics;
    const name = openMetrics ? this.#baseName : this.#sampleName;
    let head = `# TYPE ${name} ${openMetrics ? type : textType(type)}\n`;
    // Under `dots` the name ends otherwise than the unit.
    if (openMetrics && unit !== undefined && name.endsWith(`_${unit}`)) head += `# UNIT ${name} ${unit}\n`;
    if (help !== "") head += `# HELP ${name} ${openMetrics ? escapeQuoted(help) : escapeHelp(help)}\n`;
    this.#writer.text(toByteString(head));
  }
}

/** Prometheus text knows neither infos nor statesets. */
function textType(type: PageFamily["type"]): string {
  return type === "info" || type === "stateset" ? "gauge" : type;
}

/** ids only, of 63 code points with their names: 128 are allowed. */
function exemplarText({ traceId, spanId, value, timeMs }: Exemplar): string {
  const labels = traceId === "" ? "" : `trace_id="${traceId}",span_id="${spanId}"`;
  return ` # {${labels}} ${formatValue(value)} ${timeMs / 1000}\n`;
}

function targetInfo({ format, resource, escaping }: PageContext): string {
  const sampleName = escapeName(TARGET_INFO, escaping);
  const openMetrics = format === "openmetrics";
  const name = openMetrics ? baseName(sampleName, "info") : sampleName;
  const head = `# TYPE ${name} ${openMetrics ? "info" : "gauge"}\n# HELP ${name} Target metadata\n`;
  const attributes = Object.entries(resource).map(([key, value]) => [key, String(value)] as const);
  const labels = labelsText(attributes, (key) => escapeName(prometheusLabelName(key), escaping));
  return `${head}${sampleName}${labels === "" ? "" : `{${labels}}`} 1\n`;
}
