import assert from "node:assert/strict";
import { test } from "node:test";
import { fromBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { ExportMetricsServiceRequestSchema } from "#gen/otlp/opentelemetry/proto/collector/metrics/v1/metrics_service_pb.ts";
import { collectPoints, type ReceivedPoint } from "#test/support/otlp-collect.ts";
import { checkMetrics } from "#test/support/otlp-checks.ts";
import type { EndedSeries, MetricFamily, Series } from "../metrics/snapshot.ts";
import type { MetricDescriptor } from "../port.ts";
import { encodeMetrics, type EncodedMetrics } from "./encode-metrics.ts";

const NOW_MS = 1_800_000_000_000;
const text = fc.string({ unit: "grapheme", maxLength: 40 }).filter((value) => value.isWellFormed());
const count = fc.integer({ min: 0, max: 2 ** 52 });
const number = fc
  .oneof(fc.maxSafeInteger(), fc.double({ noNaN: true, noDefaultInfinity: true }))
  .map((value) => value + 0);
const startTimeMs = fc.integer({ min: 1, max: NOW_MS });

interface Case {
  readonly family: MetricFamily;
  readonly ended: readonly EndedSeries[];
}

/** A family of distinct series, of which some have ended. */
function familyOf(index: number): fc.Arbitrary<Case> {
  return fc
    .record({
      instrument: fc.constantFrom("counter", "updowncounter", "gauge", "histogram"),
      valueType: fc.constantFrom("int", "double"),
      bounds: fc.uniqueArray(fc.integer({ min: 0, max: 1_000 }), { maxLength: 6 }),
      members: fc.array(
        fc.record({
          labels: fc.array(fc.oneof(text, fc.boolean(), fc.maxSafeInteger()), { maxLength: 3 }),
          value: number,
          startTimeMs,
          counts: fc.array(count, { minLength: 7, maxLength: 7 }),
          ended: fc.boolean(),
        }),
        { maxLength: 12 },
      ),
    })
    .map(({ instrument, valueType, bounds, members }) => {
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
              }
            : { ...base, kind: "number", value: instrument === "counter" ? Math.abs(member.value) : member.value };
        return { series, ended: member.ended };
      });
      return {
        family: { descriptor, series: all.flatMap(({ series, ended }) => (ended ? [] : [series])) },
        ended: all.flatMap(({ series, ended }) => (ended ? [{ descriptor, series }] : [])),
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
    fc.property(cases, (all) => {
      const requests = encode(all);
      const points = new Map(decode(requests).map((point) => [keyOf(point.name, point.attributes["position"]), point]));
      let expected = 0;
      for (const { family, ended } of all) {
        for (const series of family.series) {
          expected++;
          expectPoint(family.descriptor, series, points.get(keyOf(family.descriptor.name, positionOf(series))));
        }
        for (const { descriptor, series } of ended) {
          expected++;
          const point = points.get(keyOf(descriptor.name, positionOf(series)));
          assert.equal(point?.noRecordedValue, true);
          assert.equal(point.value, 0);
        }
      }
      assert.equal(points.size, expected);
    }),
    { numRuns: 300 },
  );
});

test("however small the requests are, each is a message a strict receiver takes, and all points are in them once", () => {
  fc.assert(
    fc.property(cases, fc.integer({ min: 1, max: 2_000 }), (all, maximumBytes) => {
      const requests = encode(all, maximumBytes);
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

function encode(all: readonly Case[], maximumBytes = 4_000_000): EncodedMetrics[] {
  const families = all.map(({ family }) => family).filter(({ series }) => series.length > 0);
  const ended = all.flatMap((each) => each.ended);
  return [...encodeMetrics(families, ended, { ...options, maximumBytes })].filter((request) => request !== undefined);
}

function decode(requests: readonly EncodedMetrics[]): ReceivedPoint[] {
  return requests.flatMap(({ bytes }) => {
    const request = fromBinary(ExportMetricsServiceRequestSchema, bytes);
    assert.deepEqual(checkMetrics(request), []);
    return collectPoints(request);
  });
}

function expectPoint(descriptor: MetricDescriptor, series: Series, point: ReceivedPoint | undefined): void {
  assert.ok(point !== undefined);
  const kinds = { counter: "sum", updowncounter: "sum", gauge: "gauge", histogram: "histogram" } as const;
  assert.equal(point.kind, kinds[descriptor.instrument]);
  assert.equal(point.monotonic, descriptor.instrument === "counter" || descriptor.instrument === "histogram");
  assert.deepEqual(point.attributes, Object.fromEntries(series.attributes));
  assert.equal(point.noRecordedValue, false);
  // Nanoseconds are written from a double: exact to the 256 ns a double can tell apart today.
  near(point.timeUnixNano, BigInt(NOW_MS) * 1_000_000n);
  if (descriptor.instrument !== "gauge") near(point.startUnixNano, BigInt(series.startTimeMs) * 1_000_000n);
  if (series.kind === "number") {
    assert.equal(point.value, series.value);
    return;
  }
  assert.equal(point.value, series.count);
  assert.equal(point.sum, series.sum);
  assert.deepEqual(point.bucketCounts, [...series.bucketCounts]);
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
