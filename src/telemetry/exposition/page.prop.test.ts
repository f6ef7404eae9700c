import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { exemplarOf, familyOf, histogramOf, numberOf } from "#test/support/page-families.ts";
import { type PageFamily, readPage } from "#test/support/openmetrics-validator.ts";
import { type ProtobufFamily, readProtobufPage } from "#test/support/prometheus-protobuf.ts";
import type { HistogramSeries, MetricFamily, NumberSeries, Series, SeriesAttribute } from "../metrics/snapshot.ts";
import type { MetricDescriptor } from "../port.ts";
import { baseName, planPage } from "./page-family.ts";
import { renderPage } from "./page.ts";
import { prometheusLabelName } from "./prometheus-names.ts";

/** Any text, with what must be escaped made likely. */
const anyText = fc
  .oneof(
    fc.string({ unit: "binary" }),
    fc.string({ unit: fc.constantFrom("\\", '"', "\n", "n", "{", "}", ",", "=", " # ", "é", "\u{1F600}", "\u0000") }),
  )
  // A carriage return is a character like any other inside a label; the reader refuses it to find CR LF.
  .map((text) => text.replaceAll("\r", "\u2424"));
const anyKey = fc.string({ unit: fc.constantFrom("a", "b", ".", "_", "-", "é", "1", ":"), minLength: 1, maxLength: 4 });
const attributes = fc
  .uniqueArray(fc.tuple(anyKey, anyText), { selector: ([key]) => prometheusLabelName(key), maxLength: 3 })
  .map((pairs): SeriesAttribute[] => pairs);
const count = fc.nat({ max: 2 ** 40 });
const timeMs = fc.integer({ min: 1, max: 4_000_000_000_000 });

const histogram = fc
  .record({
    attributes,
    bounds: fc.uniqueArray(fc.double({ min: 1e-9, max: 1e9, noNaN: true }), { maxLength: 6 }),
    counts: fc.array(count, { minLength: 7, maxLength: 7 }),
    sum: fc.double({ min: 0, max: 1e300, noNaN: true }),
    exemplars: fc.array(fc.boolean(), { minLength: 7, maxLength: 7 }),
    timeMs,
    scale: fc.option(fc.integer({ min: -4, max: 20 }), { nil: undefined }),
  })
  .map((drawn): HistogramSeries => {
    const bounds = drawn.bounds.toSorted((left, right) => left - right);
    const counts = drawn.counts.slice(0, bounds.length + 1);
    const total = counts.reduce((sum, one) => sum + one, 0);
    const exponential =
      drawn.scale === undefined
        ? undefined
        : { scale: drawn.scale, zeroCount: 0, positiveOffset: 7, positiveCounts: [total], minimum: 1, maximum: 1 };
    return histogramOf(bounds, counts, {
      sum: drawn.sum,
      attributes: drawn.attributes,
      exemplars: counts.map((_, bucket) => {
        const value = bounds[bucket] ?? (bounds.at(-1) ?? 0) + 1;
        return drawn.exemplars[bucket] === true ? exemplarOf(value, drawn.timeMs) : undefined;
      }),
      ...(exponential === undefined ? {} : { exponential }),
    });
  });

const anyNumber = fc.double({ noNaN: true }).map((value) => (value === 0 ? 0 : value));
const number = (value: fc.Arbitrary<number>): fc.Arbitrary<NumberSeries> =>
  fc
    .record({ attributes, value, exemplar: fc.option(timeMs, { nil: undefined }) })
    .map((drawn) =>
      numberOf(
        drawn.value,
        drawn.attributes,
        drawn.exemplar === undefined ? undefined : exemplarOf(drawn.value, drawn.exemplar),
      ),
    );

/** Series whose labels differ, as the engine and the registry see to. */
const seriesOf = <S extends Series>(series: fc.Arbitrary<S>): fc.Arbitrary<S[]> =>
  fc.uniqueArray(series, {
    selector: (one) =>
      JSON.stringify(
        one.attributes
          .map(([key, value]) => [prometheusLabelName(key), String(value).toWellFormed()])
          .toSorted(([a = ""], [b = ""]) => (a < b ? -1 : 1)),
      ),
    minLength: 1,
    maxLength: 5,
  });

/** Statesets have a test of their own: their series are no free choice. */
type Instrument = Exclude<MetricDescriptor["instrument"], "stateset">;

const seriesByInstrument: Readonly<Record<Instrument, fc.Arbitrary<Series[]>>> = {
  counter: seriesOf(number(fc.double({ min: 0, max: 1e300, noNaN: true }))),
  updowncounter: seriesOf(number(anyNumber)),
  gauge: seriesOf(number(anyNumber)),
  histogram: seriesOf(histogram),
  info: seriesOf(number(fc.constant(1))),
};

const family: fc.Arbitrary<MetricFamily> = fc
  .record({
    instrument: fc.constantFrom<Instrument>("counter", "updowncounter", "gauge", "histogram", "info"),
    name: fc.string({ unit: fc.constantFrom("a", "b", ".", "_", "9"), minLength: 1, maxLength: 5 }),
    unit: fc.constantFrom("s", "By", "1", "{x}", "By/s", "ms"),
    brief: anyText,
  })
  .chain((metric) => seriesByInstrument[metric.instrument].map((series) => familyOf(metric, series)));
const families = fc.uniqueArray(family, { selector: ({ descriptor }) => descriptor.name, maxLength: 6 });

function pageOf(set: readonly MetricFamily[], format: "openmetrics" | "prometheus_text" | "prometheus_protobuf") {
  return Buffer.concat([...renderPage(set, { format, resource: { x: "y" }, chunkBytes: 256 })]);
}

/** What any format should say, as plain data. */
interface Said {
  readonly name: string;
  readonly help: string;
  readonly series: unknown[];
}

function labelsSaid(labels: Iterable<readonly [string, unknown]>): unknown {
  return [...labels]
    .map(([key, value]) => [key, String(value).toWellFormed()])
    .toSorted(([a = ""], [b = ""]) => (a < b ? -1 : 1));
}

function labelsOf({ attributes }: Series): unknown {
  return labelsSaid(attributes.map(([key, value]) => [prometheusLabelName(key), value] as const));
}

function wanted(set: readonly MetricFamily[], exemplars: boolean): Said[] {
  return planPage(set).families.map(({ name, help, type, parts }) => ({
    name,
    help: help.toWellFormed(),
    // Of series that come out alike, as those of two names that fall together may, the first is shown.
    series: [
      ...Map.groupBy(
        parts.flatMap((part) => part.series),
        (one) => JSON.stringify(labelsOf(one)),
      ).values(),
    ]
      .flatMap(([first]) => (first === undefined ? [] : [first]))
      .map((one) => {
        const labels = labelsOf(one);
        if (one.kind === "number") {
          const exemplar = type === "counter" && exemplars ? one.exemplar?.timeMs : undefined;
          return { labels, value: one.value, exemplar };
        }
        const upTo: number[] = [];
        for (const bucket of one.bucketCounts) upTo.push((upTo.at(-1) ?? 0) + bucket);
        return {
          labels,
          sum: one.sum,
          buckets: upTo.map((value, bucket) => [
            one.bounds[bucket] ?? Infinity,
            value,
            exemplars ? one.exemplars[bucket]?.timeMs : undefined,
          ]),
        };
      }),
  }));
}

function saidByText(read: readonly PageFamily[], set: readonly MetricFamily[]): Said[] {
  const byName = new Map(read.map((one) => [one.name, one]));
  return planPage(set).families.map(({ name, type }) => {
    const found = byName.get(name) ?? byName.get(baseName(name, type)) ?? assert.fail(`no ${name}`);
    const { help = "", samples } = found;
    const timeOf = (seconds: number | undefined): number | undefined =>
      seconds === undefined ? undefined : Math.round(seconds * 1000);
    if (type !== "histogram") {
      const series = samples.map(({ labels, value, exemplar }) => ({
        labels: labelsSaid(labels),
        value,
        exemplar: timeOf(exemplar?.timestampSeconds),
      }));
      return { name, help, series };
    }
    const groups = Map.groupBy(samples, ({ labels }) =>
      JSON.stringify(labelsSaid([...labels].filter(([label]) => label !== "le"))),
    );
    const series = [...groups].map(([key, group]) => ({
      labels: JSON.parse(key) as unknown,
      sum: group.find((sample) => sample.name.endsWith("_sum"))?.value,
      buckets: group
        .filter((sample) => sample.name.endsWith("_bucket"))
        .map(({ labels, value, exemplar }) => {
          const le = labels.get("le");
          return [le === "+Inf" ? Infinity : Number(le), value, timeOf(exemplar?.timestampSeconds)];
        }),
    }));
    return { name, help, series };
  });
}

function saidByProtobuf(read: readonly ProtobufFamily[]): Said[] {
  return read
    .filter(({ name }) => name !== "target_info")
    .map(({ name, help, metrics }) => ({
      name,
      help,
      series: metrics.map(({ labels, value, exemplar, histogram }) =>
        histogram === undefined
          ? { labels: labelsSaid(labels), value, exemplar: exemplar?.timeMs }
          : {
              labels: labelsSaid(labels),
              sum: histogram.sum,
              buckets: histogram.buckets.map(({ bound, cumulativeCount, exemplar: one }) => [
                bound,
                cumulativeCount,
                one?.timeMs,
              ]),
            },
      ),
    }));
}

for (const format of ["openmetrics", "prometheus_text"] as const) {
  test(`any set of families is read back from a page of ${format} as it was`, () => {
    fc.assert(
      fc.property(families, (set) => {
        const read = readPage(pageOf(set, format).toString(), format);
        assert.deepEqual(saidByText(read, set), wanted(set, format === "openmetrics"));
      }),
      { numRuns: 200 },
    );
  });
}

test("any set of families is read back from a page of protobuf as it was", () => {
  fc.assert(
    fc.property(families, (set) => {
      // A native histogram without explicit bounds has no classic bucket.
      const classic = set.map((one) => ({
        ...one,
        series: one.series.filter(
          (each) => each.kind === "number" || each.bounds.length > 0 || each.exponential === undefined,
        ),
      }));
      const shown = classic.filter(({ series }) => series.length > 0);
      assert.deepEqual(saidByProtobuf(readProtobufPage(pageOf(shown, "prometheus_protobuf"))), wanted(shown, true));
    }),
    { numRuns: 200 },
  );
});
