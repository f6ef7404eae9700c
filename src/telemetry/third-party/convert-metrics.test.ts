import assert from "node:assert/strict";
import { test } from "node:test";
import { AggregationTemporality, DataPointType, type MetricData } from "@opentelemetry/sdk-metrics";
import { ValueType } from "@opentelemetry/api";
import { toForeignMetric, toForeignPoints } from "./convert-metrics.ts";

test("an exponential histogram keeps its buckets and has one explicit bucket", () => {
  const data: MetricData = {
    descriptor: { name: "cache.wait", unit: "s", description: "", valueType: ValueType.DOUBLE },
    dataPointType: DataPointType.EXPONENTIAL_HISTOGRAM,
    aggregationTemporality: AggregationTemporality.CUMULATIVE,
    dataPoints: [
      {
        startTime: [1_700_000_000, 500_000_000],
        endTime: [1_700_000_001, 0],
        attributes: { z: 1, a: "x" },
        value: {
          count: 3,
          sum: 7,
          scale: 0,
          zeroCount: 1,
          positive: { offset: 0, bucketCounts: [1, 1] },
          negative: { offset: 0, bucketCounts: [] },
          min: 0,
          max: 4,
        },
      },
    ],
  };
  const { descriptor } = toForeignMetric(data, { name: "a-library" });
  assert.equal(descriptor.instrument, "histogram");
  assert.deepEqual(toForeignPoints(data), [
    {
      attributes: [
        ["a", "x"],
        ["z", 1],
      ],
      startTimeMs: 1_700_000_000_500,
      value: {
        sum: 7,
        count: 3,
        bounds: [],
        cumulativeCounts: [3],
        exponential: { scale: 0, zeroCount: 1, positiveOffset: 0, positiveCounts: [1, 1], minimum: 0, maximum: 4 },
      },
    },
  ]);
});
