import assert from "node:assert/strict";
import { test } from "node:test";
import { fromBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { ExportMetricsServiceRequestSchema } from "#gen/otlp/opentelemetry/proto/collector/metrics/v1/metrics_service_pb.ts";
import { collectPoints, type ReceivedPoint } from "#test/support/otlp-collect.ts";
import { checkMetrics } from "#test/support/otlp-checks.ts";
import type { EndedSeries, Exemplar, ExponentialBuckets, MetricFamily, Series } from "../metrics/snapshot.ts";
import type { MetricDescriptor } from "../port.ts";
import type { HistogramAggregation } from "../telemetry-options.ts";
import { encodeMetrics, type EncodedMetrics } from "./encode-metrics.ts";

const NOW_MS = 1_800_000_000_000;
const text = fc.string({ unit: "grapheme", maxLength: 40 }).filter((value) => value.isWellFormed());
const count = fc.integer({ min: 0, max: 2 ** 52 });
const number = fc
  .oneof(fc.maxSafeInteger(), fc.double({ noNaN: true, noDefaultInfinity: true }))
  .map((value) => value + 0);
const startTimeMs = fc.integer({ min: 1, max: NOW_MS });

const exemplar: fc.Arbitrary<Exemplar> = fc.record(
  {
    value: fc.double({ min: 0, max: 1e9, noNaN: true }),
    timeMs: fc.integer({ min: 1, max: NOW_MS }),
    traceId: fc.constant("0af7651916cd43dd8448eb211c80319c"),
    spanId: fc.constant("b7ad6b7169203331"),
  },
  { noNullPrototype: true },
);
const aggregation = fc.constantFrom("explicit_bucket_histogram", "base2_exponential_bucket_histogram");
const scopes = [undefined, { name: "other", version: "1", schemaUrl: "https://example.test/1" }, { name: "third" }];

/** As an engine would have put the same counts into exponential buckets. */
function exponentialOf(counts: readonly number[], scale: number, offset: number): ExponentialBuckets {
  const [zeroCount = 0, ...positiveCounts] = counts;
  const isEmpty = counts.every((each) => each === 0);
  const extremes = isEmpty ? { minimum: Number.NaN, maximum: Number.NaN } : { minimum: 0.25, maximum: 8 };
  return { scale, zeroCount, positiveOffset: offset, positiveCounts, ...extremes };
}

interface Case {
  readonly family: MetricFamily;
  readonly ended: readonly EndedSeries[];
}

/** A family of distinct series, of which some have ended. */
function familyOf(index: number): fc.Arbitrary<Case> {
  return fc
    .record({
      instrument: fc.constantFrom("counter", "updowncounter", "gauge", "histogram", "info", "stateset"),
      scope: fc.constantFrom(...scopes),
      valueType: fc.constantFrom("int", "double"),
      bounds: fc.uniqueArray(fc.integer({ min: 0, max: 1_000 }), { maxLength: 6 }),
      members: fc.array(
        fc.record({
          labels: fc.array(fc.oneof(text, fc.boolean(), fc.maxSafeInteger()), { maxLength: 3 }),
          value: number,
          startTimeMs,
          counts: fc.array(count, { minLength: 7, maxLength: 7 }),
          ended: fc.boolean(),
          exemplars: fc.array(fc.option(exemplar, { nil: undefined }), { maxLength: 3 }),
          exponential: fc.option(
            fc.record({ scale: fc.integer({ min: -10, max: 20 }), offset: fc.integer({ min: -500, max: 500 }) }),
            { nil: undefined },
          ),
        }),
        { maxLength: 12 },
      ),
    })
    .map(({ instrument, scope, valueType, bounds, members }) => {
      const descriptor: MetricDescriptor = {
        name: `blixard.test.metric${index}`,
        prometheusName: "",
        instrument,
        valueType,
        unit: "{thing}",
        brief: "A thing.",
        attributes: {},
      };
      const all = members.map((member, position) => {
        const base = {
          attributes: [["position", position], ...member.labels.map((label, at) => [`label.${at}`, label] as const)],
          startTimeMs: member.startTimeMs,
          removed: false,
          encodedAttributes: undefined,
          prefix: undefined,
        } as const;
        const bucketCounts = Float64Array.from(member.counts.slice(0, bounds.length + 1), (each) =>
          Math.floor(each / 8),
        );
        const series: Series =
          instrument === "histogram"
            ? {
                ...base,
                kind: "histogram",
                bounds: Float64Array.from(bounds.toSorted((left, right) => left - right)),
                bucketCounts,
                count: bucketCounts.reduce((sum, each) => sum + each, 0),
                sum: member.value,
                exemplars: member.exemplars.slice(0, bucketCounts.length),
                exponential:
                  member.exponential === undefined
                    ? undefined
                    : exponentialOf([...bucketCounts], member.exponential.scale, member.exponential.offset),
              }
            : {
                ...base,
                kind: "number",
                value: instrument === "counter" ? Math.abs(member.value) : member.value,
                exemplar: instrument === "counter" ? member.exemplars[0] : undefined,
              };
        return { series, ended: member.ended };
      });
      return {
        family: { descriptor, scope, series: all.flatMap(({ series, ended }) => (ended ? [] : [series])) },
        ended: all.flatMap(({ series, ended }) => (ended ? [{ descriptor, scope, series }] : [])),
      };
    });
}

const cases = fc.tuple(familyOf(0), familyOf(1), familyOf(2), familyOf(3));
const options = {
  resource: { attributes: { "service.name": "blixard" } },
  scope: { name: "blixard", version: "0.1.0" },
  now: () => NOW_MS,
} as const;

test("every point that is sent decodes to the series' value, type, start and attributes; ended ones have no value", () => {
  fc.assert(
    fc.property(cases, aggregation, (all, histogramAggregation) => {
      const requests = encode(all, 4_000_000, histogramAggregation);
      const points = new Map(decode(requests).map((point) => [keyOf(point.name, point.attributes["position"]), point]));
      let expected = 0;
      for (const { family, ended } of all) {
        for (const series of family.series) {
          expected++;
          const point = points.get(keyOf(family.descriptor.name, positionOf(series)));
          expectPoint(family.descriptor, series, point, histogramAggregation);
          assert.equal(point?.scopeName, family.scope?.name ?? "blixard");
        }
        for (const { descriptor, series } of ended) {
          expected++;
          const point = points.get(keyOf(descriptor.name, positionOf(series)));
          assert.equal(point?.noRecordedValue, true);
          assert.equal(point.value, 0);
          assert.equal(point.scopeName, family.scope?.name ?? "blixard");
        }
      }
      assert.equal(points.size, expected);
    }),
    { numRuns: 300 },
  );
});

test("however small the requests are, each is a message a strict receiver takes, and all points are in them once", () => {
  fc.assert(
    fc.property(cases, fc.integer({ min: 1, max: 2_000 }), (all, targetBytes) => {
      const requests = encode(all, targetBytes);
      const sent = all.reduce((sum, { family, ended }) => sum + family.series.length + ended.length, 0);
      const keys = decode(requests).map((point) => keyOf(point.name, point.attributes["position"]));
      assert.equal(keys.length, sent);
      assert.equal(new Set(keys).size, sent);
      assert.equal(
        requests.reduce((sum, { items }) => sum + items, 0),
        sent,
      );
      assert.deepEqual(
        requests.flatMap(({ ended }) => ended).length,
        all.reduce((sum, { ended }) => sum + ended.length, 0),
      );
    }),
    { numRuns: 200 },
  );
});

test("attributes are encoded once for the life of a series", () => {
  const series: Series = {
    kind: "number",
    value: 1,
    attributes: [["key", "value"]],
    startTimeMs: 1,
    removed: false,
    encodedAttributes: undefined,
    prefix: undefined,
    exemplar: undefined,
  };
  const descriptor = {
    name: "a.b",
    prometheusName: "",
    instrument: "counter",
    unit: "1",
    brief: "x",
    attributes: {},
  } as const;
  const all = [{ family: { descriptor, series: [series] }, ended: [] }];
  encode(all);
  const { encodedAttributes } = series;
  encode(all);
  assert.ok(encodedAttributes !== undefined);
  assert.equal(series.encodedAttributes, encodedAttributes);
});

test("a point too large for any request is left out and counted, the others go", () => {
  const base = { kind: "number", value: 1, startTimeMs: 1, removed: false, prefix: undefined } as const;
  const series = ["x", "y".repeat(100_000), "z"].map((value): Series => ({
    ...base,
    attributes: [["key", value]],
    encodedAttributes: undefined,
    exemplar: undefined,
  }));
  const descriptor = {
    name: "a.b",
    prometheusName: "",
    instrument: "gauge",
    unit: "1",
    brief: "x",
    attributes: {},
  } as const;
  let oversized = 0;
  const limits = { maximumBytes: 65_536, onOversized: (points: number) => void (oversized += points) };
  const requests = [
    ...encodeMetrics([{ descriptor, series }], { series: [], deltas: [] }, { ...options, ...limits }),
  ].filter((request) => request !== undefined);
  assert.deepEqual(
    decode(requests).map((point) => point.attributes["key"]),
    ["x", "z"],
  );
  assert.equal(oversized, 1);
});

function encode(
  all: readonly Case[],
  targetBytes = 4_000_000,
  histogramAggregation: HistogramAggregation = "explicit_bucket_histogram",
): EncodedMetrics[] {
  const families = all.map(({ family }) => family).filter(({ series }) => series.length > 0);
  const series = all.flatMap((each) => each.ended);
  const requests = encodeMetrics(
    families,
    { series, deltas: [] },
    { ...options, targetBytes, maximumBytes: 8_000_000, histogramAggregation },
  );
  return [...requests].filter((request) => request !== undefined);
}

function decode(requests: readonly EncodedMetrics[]): ReceivedPoint[] {
  return requests.flatMap(({ bytes }) => {
    const request = fromBinary(ExportMetricsServiceRequestSchema, bytes);
    assert.deepEqual(checkMetrics(request), []);
    return collectPoints(request);
  });
}

function expectPoint(
  descriptor: MetricDescriptor,
  series: Series,
  point: ReceivedPoint | undefined,
  histogramAggregation: HistogramAggregation,
): void {
  assert.ok(point !== undefined);
  const asExponential =
    series.kind === "histogram" &&
    series.exponential !== undefined &&
    histogramAggregation === "base2_exponential_bucket_histogram";
  const histogram = asExponential ? "exponentialHistogram" : "histogram";
  const kinds = {
    counter: "sum",
    updowncounter: "sum",
    info: "sum",
    stateset: "sum",
    gauge: "gauge",
    histogram,
  } as const;
  assert.equal(point.kind, kinds[descriptor.instrument]);
  if (descriptor.instrument !== "gauge") assert.equal(point.temporality, "cumulative");
  assert.equal(point.monotonic, descriptor.instrument === "counter" || descriptor.instrument === "histogram");
  assert.deepEqual(point.attributes, Object.fromEntries(series.attributes));
  assert.equal(point.noRecordedValue, false);
  // Nanoseconds are written from a double: exact to the 256 ns a double can tell apart today.
  near(point.timeUnixNano, BigInt(NOW_MS) * 1_000_000n);
  if (descriptor.instrument !== "gauge") near(point.startUnixNano, BigInt(series.startTimeMs) * 1_000_000n);
  if (series.kind === "number") {
    assert.equal(point.value, series.value);
    assert.deepEqual(point.exemplars.map(valueOf), [series.exemplar].filter(isPresent).map(valueOf));
    return;
  }
  const { exponential } = series;
  assert.deepEqual(point.exemplars.map(valueOf), series.exemplars.filter(isPresent).map(valueOf));
  const hasExtremes = exponential !== undefined && !Number.isNaN(exponential.minimum);
  assert.deepEqual([point.minimum, point.maximum], hasExtremes ? [0.25, 8] : [undefined, undefined]);
  assert.equal(point.value, series.count);
  assert.equal(point.sum, series.sum);
  if (!asExponential || exponential === undefined) {
    assert.deepEqual(point.bucketCounts, [...series.bucketCounts]);
    return;
  }
  assert.deepEqual(point.bucketCounts, exponential.positiveCounts);
  const { scale, zeroCount, positiveOffset, positiveCounts } = exponential;
  const offset = positiveCounts.length === 0 ? 0 : positiveOffset;
  assert.deepEqual(point.exponential, { scale, offset, zeroCount });
}

function valueOf({ value }: { readonly value: number }): number {
  return value;
}

function isPresent<T>(value: T | undefined): value is T {
  return value !== undefined;
}

function near(actual: bigint, expected: bigint): void {
  const difference = actual > expected ? actual - expected : expected - actual;
  assert.ok(difference <= 256n, `${actual} is not ${expected}`);
}

function positionOf(series: Series): unknown {
  return series.attributes.find(([key]) => key === "position")?.[1];
}

function keyOf(name: string, position: unknown): string {
  return `${name}/${String(position)}`;
}
