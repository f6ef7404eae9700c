import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { exemplarOf, familyOf, histogramOf, numberOf } from "#test/support/page-families.ts";
import { readPage } from "#test/support/openmetrics-validator.ts";
import type { MetricFamily } from "../metrics/snapshot.ts";
import { type PageOptions, renderPage } from "./page.ts";

type TextFormat = "openmetrics" | "prometheus_text";

/** The page without target_info; checked by the strict reader. */
function linesOf(
  families: readonly MetricFamily[],
  format: TextFormat = "openmetrics",
  options: Partial<PageOptions> = {},
): string[] {
  const page = Buffer.concat([...renderPage(families, { resource: {}, ...options, format })]).toString();
  readPage(page, format);
  return page.split("\n").filter((line) => line !== "" && line !== "# EOF" && !/target_*(info)?\b/.test(line));
}

const IDS = 'trace_id="0af7651916cd43dd8448eb211c80319c",span_id="b7ad6b7169203331"';

describe("exemplars", () => {
  const counter = familyOf({ name: "calls", instrument: "counter" }, [numberOf(3, [["a", "x"]], exemplarOf(1))]);
  const histogram = familyOf({ name: "latency", instrument: "histogram", unit: "s" }, [
    histogramOf([0.1, 1], [1, 2, 1], { sum: 4, exemplars: [undefined, exemplarOf(0.5), exemplarOf(2)] }),
  ]);

  test("stand on a counter's total and on the buckets they fell into", () => {
    assert.deepEqual(linesOf([counter, histogram]), [
      "# TYPE calls counter",
      "# HELP calls What it says.",
      `calls_total{a="x"} 3 # {${IDS}} 1 1700000000.5`,
      "# TYPE latency_seconds histogram",
      "# UNIT latency_seconds seconds",
      "# HELP latency_seconds What it says.",
      'latency_seconds_bucket{le="0.1"} 1',
      `latency_seconds_bucket{le="1.0"} 3 # {${IDS}} 0.5 1700000000.5`,
      `latency_seconds_bucket{le="+Inf"} 4 # {${IDS}} 2 1700000000.5`,
      "latency_seconds_sum 4",
      "latency_seconds_count 4",
    ]);
  });

  test("are not in Prometheus text, which has none", () => {
    assert.ok(!linesOf([counter, histogram], "prometheus_text").join("\n").includes(" # "));
  });

  test("outside of their bucket are left out", () => {
    const wrong = familyOf({ name: "latency", instrument: "histogram" }, [
      histogramOf([1], [1, 1], { sum: 2, exemplars: [exemplarOf(5), exemplarOf(1)] }),
    ]);
    assert.ok(!linesOf([wrong]).join("\n").includes(" # "));
  });

  test("without a span have no labels", () => {
    const bare = { ...exemplarOf(1), traceId: "", spanId: "" };
    assert.equal(
      linesOf([familyOf({ name: "calls", instrument: "counter" }, [numberOf(3, [], bare)])]).at(-1),
      "calls_total 3 # {} 1 1700000000.5",
    );
  });
});

describe("infos and statesets", () => {
  const info = familyOf({ name: "node.build", instrument: "info" }, [numberOf(1, [["service.version", "1.2"]])]);
  const states = familyOf({ name: "node.state", instrument: "stateset" }, [
    numberOf(1, [
      ["peer", "a"],
      ["node.state", "up"],
    ]),
    numberOf(0, [
      ["peer", "b"],
      ["node.state", "up"],
    ]),
    numberOf(0, [
      ["peer", "a"],
      ["node.state", "down"],
    ]),
    numberOf(1, [
      ["peer", "b"],
      ["node.state", "down"],
    ]),
  ]);

  test("are of their own types in OpenMetrics, the states of one thing together", () => {
    assert.deepEqual(linesOf([info, states]), [
      "# TYPE node_build info",
      "# HELP node_build What it says.",
      'node_build_info{service_version="1.2"} 1',
      "# TYPE node_state stateset",
      "# HELP node_state What it says.",
      'node_state{peer="a",node_state="up"} 1',
      'node_state{peer="a",node_state="down"} 0',
      'node_state{peer="b",node_state="up"} 0',
      'node_state{peer="b",node_state="down"} 1',
    ]);
  });

  test("are gauges in Prometheus text", () => {
    const lines = linesOf([info, states], "prometheus_text");
    assert.ok(lines.includes("# TYPE node_build_info gauge"));
    assert.ok(lines.includes("# TYPE node_state gauge"));
  });
});

describe("third parties", () => {
  const library = { name: "lib", version: "1", schemaUrl: "https://example.org/1" };
  const gauges = (): MetricFamily[] => [
    familyOf({ name: "pool.size", instrument: "gauge" }, [numberOf(1)], library),
    familyOf({ name: "pool.size", instrument: "gauge" }, [numberOf(2)], { name: "other" }),
  ];

  test("are told apart by their scope when its labels are wanted", () => {
    assert.deepEqual(linesOf(gauges(), "openmetrics", { scopeLabels: { name: "blixard" } }).slice(2), [
      'pool_size{otel_scope_name="lib",otel_scope_version="1",otel_scope_schema_url="https://example.org/1"} 1',
      'pool_size{otel_scope_name="other"} 2',
    ]);
  });

  test("without those labels the first of equal series is shown", () => {
    assert.deepEqual(linesOf(gauges()).slice(2), ["pool_size 1"]);
  });

  test("attributes that fall together do not make a series appear twice", () => {
    const family = familyOf(
      { name: "a", instrument: "gauge" },
      [numberOf(1, [["x.y", "1"]]), numberOf(2, [["x_y", "1"]]), numberOf(3, [["x-y", "2"]])],
      library,
    );
    assert.deepEqual(linesOf([family]).slice(2), ['a{x_y="1"} 1', 'a{x_y="2"} 3']);
  });

  test("an attribute le does not pass for a bucket's bound", () => {
    const family = familyOf(
      { name: "a", instrument: "histogram" },
      [histogramOf([1], [1, 0], { sum: 1, attributes: [["le", "x"]] })],
      library,
    );
    assert.ok(linesOf([family]).includes('a_bucket{exported_le="x",le="1.0"} 1'));
  });

  test("exponential histograms without explicit buckets are shown with one bucket", () => {
    const exponential = {
      scale: 2,
      zeroCount: 1,
      positiveOffset: 0,
      positiveCounts: [1, 2],
      minimum: 0,
      maximum: 1.4,
    };
    for (const format of ["openmetrics", "prometheus_text"] as const) {
      const family = familyOf(
        { name: "a", instrument: "histogram" },
        [{ ...histogramOf([], [], { sum: 3.5, exponential }), count: 4 }],
        library,
      );
      assert.deepEqual(linesOf([family], format).slice(2), ['a_bucket{le="+Inf"} 4', "a_sum 3.5", "a_count 4"]);
    }
  });

  test("a sum below zero is left out of OpenMetrics, which allows none", () => {
    const family = familyOf({ name: "a", instrument: "histogram" }, [histogramOf([1], [1, 0], { sum: -1 })], library);
    assert.deepEqual(linesOf([family]).slice(2), ['a_bucket{le="1.0"} 1', 'a_bucket{le="+Inf"} 1']);
    assert.ok(linesOf([family], "prometheus_text").includes("a_sum -1"));
  });

  test("without a description have no HELP", () => {
    const family = familyOf({ name: "a", instrument: "gauge", brief: "" }, [numberOf(1)], library);
    assert.deepEqual(linesOf([family]), ["# TYPE a gauge", "a 1"]);
  });
});

test("`dots` doubles the underscores of names, suffixes that belong to the name too", () => {
  const families = [
    familyOf({ name: "a.calls", instrument: "counter" }, [numberOf(1, [["x.y", "1"]])]),
    familyOf({ name: "a.build", instrument: "info" }, [numberOf(1)]),
    familyOf({ name: "a.time", instrument: "histogram", unit: "s" }, [histogramOf([], [1])]),
  ];
  const lines = linesOf(families, "openmetrics", { escaping: "dots" });
  for (const line of ['a__calls__total{x__y="1"} 1', "a__build__info 1", "a__time__seconds_count 1"]) {
    assert.ok(lines.includes(line), `${line} in ${lines.join("\n")}`);
  }
  // The text kept for the next page is the plain one's.
  assert.ok(linesOf(families).includes('a_calls_total{x_y="1"} 1'));
});
