import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { negotiateCoding, negotiateFormat } from "./negotiation.ts";

const OPEN_METRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const TEXT = "text/plain; version=0.0.4; charset=utf-8";
const TEXT_1 = "text/plain; version=1.0.0; charset=utf-8";
const PROTOBUF = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";

/** What Prometheus sends, to the letter: 3 (by default, and with native histograms), 2.42 (likewise). */
const PROMETHEUS_3 =
  "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5," +
  "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
const PROMETHEUS_3_NATIVE =
  "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6," +
  "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4," +
  "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1";
/** 3.0 named the scheme with every format. */
const PROMETHEUS_3_0_NATIVE =
  "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;escaping=allow-utf-8;q=0.6," +
  "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;version=0.0.4;escaping=allow-utf-8;q=0.2,*/*;q=0.1";
const PROMETHEUS_2_NATIVE =
  "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited," +
  "application/openmetrics-text;version=1.0.0;q=0.8,application/openmetrics-text;version=0.0.1;q=0.75," +
  "text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
const PROMETHEUS_2 =
  "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";

describe("the format of a page", () => {
  const cases: readonly [who: string, accept: string | undefined, contentType: string][] = [
    ["no header", undefined, TEXT],
    ["an empty header", "", TEXT],
    ["curl", "*/*", TEXT],
    ["a browser", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", TEXT],
    ["Prometheus 2", PROMETHEUS_2, OPEN_METRICS],
    ["Prometheus 3", PROMETHEUS_3, `${OPEN_METRICS}; escaping=allow-utf-8`],
    ["Prometheus 2 with native histograms", PROMETHEUS_2_NATIVE, PROTOBUF],
    ["Prometheus 3 with native histograms", PROMETHEUS_3_NATIVE, PROTOBUF],
    ["Prometheus 3.0 with native histograms", PROMETHEUS_3_0_NATIVE, `${PROTOBUF}; escaping=allow-utf-8`],
    ["protobuf of nobody knows what", "application/vnd.google.protobuf", TEXT],
    [
      "protobuf in its text form",
      "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=text",
      TEXT,
    ],
    ["any application", "application/*", TEXT],
    ["text 1.0.0", "text/plain;version=1.0.0", TEXT_1],
    ["text 1.0.0 with its scheme", "text/plain;version=1.0.0;escaping=underscores", `${TEXT_1}; escaping=underscores`],
    ["text 1.0.0 before 0.0.4", "text/plain;version=1.0.0;q=0.9,text/plain;version=0.0.4;q=0.8", TEXT_1],
    ["text of any version", "text/plain", TEXT],
    ["a comma inside quotes", 'text/plain;x="a,application/openmetrics-text"', TEXT],
    ["OpenMetrics without a version", "application/openmetrics-text", OPEN_METRICS],
    ["OpenMetrics of a version we lack", "application/openmetrics-text;version=2.0.0", TEXT],
    ["a preference for text", "application/openmetrics-text;q=0.3,text/plain;q=0.9", TEXT],
    ["equal wishes", "text/plain,application/openmetrics-text", OPEN_METRICS],
    ["a refusal of OpenMetrics", "application/openmetrics-text;q=0,*/*", TEXT],
    ["nothing we have", "application/json", TEXT],
    ["a refusal of everything", "*/*;q=0", TEXT],
    ["upper case and spaces", "Application/OpenMetrics-Text ; Version=1.0.0 ; Q=1", OPEN_METRICS],
    ["quoted parameters", 'application/openmetrics-text; version="1.0.0"; charset="utf-8"', OPEN_METRICS],
    ["another charset", "application/openmetrics-text; charset=latin1", TEXT],
    ["a malformed quality", "application/openmetrics-text;q=high", TEXT],
    ["nonsense", ";;,,=/=,/,a/b/c,\u0000", TEXT],
    ["a header without end", `${"a/b,".repeat(5_000)}application/openmetrics-text`, TEXT],
    ["the most specific range", "text/*;q=0.9,text/plain;q=0.1,application/openmetrics-text;q=0.5", OPEN_METRICS],
    [
      "the older spelling of a scheme",
      "application/openmetrics-text;escaping=allow-utf8",
      `${OPEN_METRICS}; escaping=allow-utf-8`,
    ],
    ["an unknown scheme", "application/openmetrics-text;escaping=rot13", OPEN_METRICS],
    ["underscores for text", "text/plain;version=0.0.4;escaping=underscores", `${TEXT}; escaping=underscores`],
  ];
  for (const [who, accept, contentType] of cases) {
    test(`${who}: ${contentType}`, () => assert.equal(negotiateFormat(accept).contentType, contentType));
  }
});

describe("compression", () => {
  const cases: readonly [header: string | undefined, coding: "gzip" | "identity"][] = [
    [undefined, "identity"],
    ["", "identity"],
    ["gzip", "gzip"],
    ["gzip, deflate, br", "gzip"],
    ["gzip;q=0", "identity"],
    ["gzip;q=0.000", "identity"],
    ["*", "gzip"],
    ["*;q=0", "identity"],
    ["gzip;q=0.001", "gzip"],
    ["identity, gzip;q=0.5", "identity"],
    ["identity;q=0.5, gzip", "gzip"],
    ["identity;q=0, gzip;q=0.1", "gzip"],
    ["gzip;q=0.1, *;q=0", "gzip"],
    ["identity;q=0", "identity"],
    ["br", "identity"],
    ["x-gzip", "gzip"],
    ["GZIP", "gzip"],
  ];
  for (const [header, coding] of cases) {
    test(`${header}: ${coding}`, () => assert.equal(negotiateCoding(header), coding));
  }
});
