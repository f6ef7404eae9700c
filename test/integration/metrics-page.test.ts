import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { homedir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import * as metrics from "#gen/telemetry/metrics.ts";
import type { TraceContext } from "#model/trace-context.ts";
import { type PageFormat, renderPage } from "#telemetry/exposition/page.ts";
import { createMetricsEngine } from "#telemetry/metrics/metrics-engine.ts";
import type { AttributesOf, AttributeValue, MetricDescriptor } from "#telemetry/port.ts";
import { createManualClock } from "#test/support/manual-clock.ts";
import { readPage } from "#test/support/openmetrics-validator.ts";
import { readProtobufPage } from "#test/support/prometheus-protobuf.ts";

const { env } = process;
const cacheDir =
  env["BLIXARD_CACHE_DIR"] ?? join(env["XDG_CACHE_HOME"] ?? join(env["HOME"] ?? homedir(), ".cache"), "blixard");
const packages = join(cacheDir, "root/usr");

/** What promtool says of a gauge whose name ends as the semantic conventions ask. */
const ALLOWED_FINDING = /^\S+_count non-histogram and non-summary metrics should not have "_count" suffix$/;

/** A span that is exported: its measurements may stand as examples. */
const span: TraceContext = {
  traceId: "0af7651916cd43dd8448eb211c80319c",
  spanId: "b7ad6b7169203331",
  sampled: true,
};

type AnyCell = Partial<Record<"add" | "set" | "record", (value: number | string, exemplar?: TraceContext) => void>>;

/** Every metric of the registry, with a series for each value of its closed sets and hostile text elsewhere. */
function pageOfEverything(format: PageFormat): Buffer {
  const engine = createMetricsEngine({ clock: createManualClock() });
  engine.keepExemplars({ filter: "trace_based", active: () => span, isPromoted: () => true });
  for (const descriptor of Object.values<MetricDescriptor>(metrics)) {
    for (let variant = 0; variant < 3; variant++) {
      const attributes: Record<string, AttributeValue> = {};
      for (const [key, { type, values }] of Object.entries(descriptor.attributes)) {
        const text = values?.[variant % values.length] ?? `va"l\\u\ne é ${variant}`;
        attributes[key] = type === "string" ? text : type === "boolean" ? variant === 0 : variant;
      }
      const cell = engine.bind(descriptor, attributes as AttributesOf<MetricDescriptor>) as AnyCell;
      const states = descriptor.attributes[descriptor.name]?.values ?? [];
      const values = descriptor.instrument === "stateset" ? states : [0.5, 3, 70];
      for (const value of values) (cell.add ?? cell.set ?? cell.record)?.call(cell, value, span);
    }
  }
  const resource = { "service.name": "blixard", "host.name": 'ho"st' };
  return Buffer.concat([...renderPage(engine.families(), { format, resource })]);
}

interface Result {
  readonly code: number;
  readonly output: string;
}

function runWithInput(command: string, args: readonly string[], input: string, environment = {}): Promise<Result> {
  const { promise, resolve, reject } = Promise.withResolvers<Result>();
  const child = execFile(command, [...args], { env: { ...env, ...environment } }, (error, stdout, stderr) => {
    if (error !== null && typeof error.code !== "number") reject(error);
    else resolve({ code: Number(error?.code ?? 0), output: `${stdout}${stderr}` });
  });
  child.stdin?.on("error", () => {});
  child.stdin?.end(input);
  return promise;
}

describe("a page with every metric of the registry", () => {
  const descriptors = Object.values<MetricDescriptor>(metrics);
  // All of them, and target_info. The engine adds nothing that the registry has not.
  const names = [...new Set([...descriptors.map(({ prometheusName }) => prometheusName), "target_info"])].toSorted();

  test("is valid by our own strict readers, and has every metric, in all formats", () => {
    const text = readPage(pageOfEverything("prometheus_text").toString(), "prometheus_text");
    assert.deepEqual(text.map(({ name }) => name).toSorted(), names);
    const protobuf = readProtobufPage(pageOfEverything("prometheus_protobuf"));
    assert.deepEqual(protobuf.map(({ name }) => name).toSorted(), names);
    const openMetrics = readPage(pageOfEverything("openmetrics").toString(), "openmetrics");
    assert.equal(openMetrics.length, names.length);
    assert.ok(["info", "stateset"].every((type) => openMetrics.some((family) => family.type === type)));
  });

  test("has exemplars on every counter and histogram, and native buckets in every histogram", () => {
    const open = readPage(pageOfEverything("openmetrics").toString(), "openmetrics");
    for (const { name, type, samples } of open) {
      if (type !== "counter" && type !== "histogram") continue;
      // What the engine counts of itself belongs to no span.
      if (name.startsWith("blixard_telemetry_")) continue;
      assert.ok(
        samples.some(({ exemplar }) => exemplar?.labels.get("trace_id") === span.traceId),
        `${name} has no exemplar`,
      );
    }
    for (const { name, metrics: series } of readProtobufPage(pageOfEverything("prometheus_protobuf"))) {
      assert.ok(
        series.every(({ histogram }) => histogram === undefined || histogram.native !== undefined),
        `${name} has no native buckets`,
      );
    }
  });

  test("passes the strict OpenMetrics parser of the Prometheus client for Python", async () => {
    const script = `
import sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families
families = list(text_string_to_metric_families(sys.stdin.read()))
print(len(families), sum(len(family.samples) for family in families))
`;
    const page = pageOfEverything("openmetrics").toString();
    const { code, output } = await runWithInput("python3", ["-c", script], page, {
      PATH: `${env["PATH"] ?? ""}:${join(packages, "bin")}`, // set-up unpacks a Python for machines without one
      PYTHONPATH: join(packages, "lib/python3/dist-packages"),
      PYTHONIOENCODING: "utf-8",
    });
    assert.equal(code, 0, output);
    const [families, samples] = output.trim().split(" ").map(Number);
    assert.equal(families, readPage(page, "openmetrics").length);
    assert.equal(samples, page.split("\n").filter((line) => line !== "" && !line.startsWith("#")).length);
  });

  test("gets nothing but the allowed finding from promtool", async () => {
    const { output } = await runWithInput(
      join(packages, "bin/promtool"),
      ["check", "metrics"],
      pageOfEverything("prometheus_text").toString(),
    );
    const findings = output.split("\n").filter((line) => line !== "");
    assert.ok(findings.length > 0, "promtool has always something to say of _count");
    assert.deepEqual(
      findings.filter((line) => !ALLOWED_FINDING.test(line)),
      [],
    );
  });
});
