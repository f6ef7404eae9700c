import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { exemplarOf, familyOf, histogramOf, numberOf, START_TIME_MS } from "#test/support/page-families.ts";
import { type ProtobufFamily, readProtobufPage } from "#test/support/prometheus-protobuf.ts";
import type { ExponentialBuckets, MetricFamily } from "../metrics/snapshot.ts";
import { type PageOptions, renderPage } from "./page.ts";

function pageOf(families: readonly MetricFamily[], options: Partial<PageOptions> = {}): ProtobufFamily[] {
  const chunks = renderPage(families, { resource: { "service.name": "x" }, ...options, format: "prometheus_protobuf" });
  return readProtobufPage(Buffer.concat([...chunks]));
}

const exponential: ExponentialBuckets = {
  scale: 0,
  zeroCount: 1,
  positiveOffset: -1,
  positiveCounts: [1, 0, 2],
  minimum: 0,
  maximum: 3,
};
const IDS = new Map([
  ["trace_id", "0af7651916cd43dd8448eb211c80319c"],
  ["span_id", "b7ad6b7169203331"],
]);

describe("the protobuf page", () => {
  test("names counters with _total, gives their start and their exemplar", () => {
    const [family] = pageOf([
      familyOf({ name: "io", instrument: "counter", unit: "By" }, [numberOf(3, [["a", "é"]], exemplarOf(1))]),
    ]);
    assert.deepEqual(family, {
      name: "io_bytes_total",
      help: "What it says.",
      type: "COUNTER",
      unit: "bytes",
      metrics: [
        {
          labels: new Map([["a", "é"]]),
          value: 3,
          exemplar: { labels: IDS, value: 1, timeMs: START_TIME_MS },
          createdMs: START_TIME_MS,
          histogram: undefined,
        },
      ],
    });
  });

  test("has a histogram's explicit and native buckets in one message", () => {
    const [family] = pageOf([
      familyOf({ name: "time", instrument: "histogram", unit: "s" }, [
        histogramOf([1, 2.5], [2, 1, 1], { sum: 6, exponential, exemplars: [undefined, exemplarOf(2)] }),
      ]),
    ]);
    const histogram = family?.metrics[0]?.histogram;
    assert.deepEqual(
      histogram?.buckets.map(({ bound, cumulativeCount, exemplar }) => [bound, cumulativeCount, exemplar?.value]),
      [
        [1, 2, undefined],
        [2.5, 3, 2],
        [Infinity, 4, undefined],
      ],
    );
    assert.deepEqual(histogram.native, {
      schema: 0,
      zeroThreshold: 1e-128,
      zeroCount: 1,
      // By upper bound: (0.5, 1] and (2, 4].
      counts: new Map([
        [1, 1],
        [4, 2],
      ]),
    });
  });

  test("gives a histogram without explicit buckets as a native one alone", () => {
    const series = { ...histogramOf([], [], { sum: 6, exponential, exemplars: [exemplarOf(2)] }), count: 4 };
    const [family] = pageOf([familyOf({ name: "time", instrument: "histogram" }, [series], { name: "library" })]);
    const histogram = family?.metrics[0]?.histogram;
    assert.deepEqual(histogram?.buckets, []);
    assert.equal(histogram.native?.counts.size, 2);
    assert.deepEqual(histogram.exemplars, [{ labels: IDS, value: 2, timeMs: START_TIME_MS }]);
  });

  test("an empty native histogram is told from a classic one", () => {
    const empty = { ...exponential, zeroCount: 0, positiveCounts: [] };
    const [family] = pageOf([
      familyOf({ name: "time", instrument: "histogram" }, [histogramOf([1], [0, 0], { exponential: empty })]),
    ]);
    assert.equal(family?.metrics[0]?.histogram?.native?.zeroThreshold, 1e-128);
  });

  test("has infos, statesets and up-down counters as gauges, and the resource", () => {
    const families = pageOf([
      familyOf({ name: "build", instrument: "info" }, [numberOf(1)]),
      familyOf({ name: "state", instrument: "stateset" }, [numberOf(1, [["state", "up"]])]),
      familyOf({ name: "level", instrument: "updowncounter" }, [numberOf(-2)]),
    ]);
    assert.deepEqual(
      families.map(({ name, type, metrics }) => [name, type, metrics[0]?.value]),
      [
        ["build_info", "GAUGE", 1],
        ["state", "GAUGE", 1],
        ["level", "GAUGE", -2],
        ["target_info", "GAUGE", 1],
      ],
    );
    assert.deepEqual(families.at(-1)?.metrics[0]?.labels, new Map([["service_name", "x"]]));
  });

  test("leaves out what has no value, and series that come twice", () => {
    const families = pageOf([
      familyOf({ name: "unset", instrument: "gauge" }, [numberOf(Number.NaN)]),
      familyOf({ name: "twice", instrument: "gauge" }, [numberOf(1, [["x.y", "1"]]), numberOf(2, [["x_y", "1"]])], {
        name: "library",
      }),
    ]);
    assert.deepEqual(
      families.map(({ name, metrics }) => [name, metrics.length]),
      [
        ["twice", 1],
        ["target_info", 1],
      ],
    );
  });

  test("has scope labels when asked, and escaped names", () => {
    const families = pageOf([familyOf({ name: "a.b", instrument: "gauge" }, [numberOf(1)])], {
      scopeLabels: { name: "blixard", version: "1" },
      escaping: "dots",
    });
    assert.equal(families[0]?.name, "a__b");
    assert.deepEqual(
      families[0].metrics[0]?.labels,
      new Map([
        ["otel__scope__name", "blixard"],
        ["otel__scope__version", "1"],
      ]),
    );
  });

  test("comes in pieces, with a pause after each, however large a family is", () => {
    const series = Array.from({ length: 3_000 }, (_, index) => numberOf(index, [["id", `vm-${index}`]]));
    const chunks = [
      ...renderPage([familyOf({ name: "many", instrument: "gauge" }, series)], {
        format: "prometheus_protobuf",
        resource: {},
        chunkBytes: 4_096,
      }),
    ];
    assert.ok(chunks.filter(({ length }) => length === 0).length > 10);
    assert.ok(chunks.every(({ length }) => length < 5_000));
    assert.equal(readProtobufPage(Buffer.concat(chunks))[0]?.metrics.length, 3_000);
  });
});
