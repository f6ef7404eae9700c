import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { acceptsGzip, negotiateFormat } from "./negotiation.ts";

const OPEN_METRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const TEXT = "text/plain; version=0.0.4; charset=utf-8";

/** Prometheus 3's own header. */
const PROMETHEUS_3 =
  "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5," +
  "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
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
  const cases: readonly [header: string | undefined, wanted: boolean][] = [
    [undefined, false],
    ["", false],
    ["gzip", true],
    ["gzip, deflate, br", true],
    ["gzip;q=0", false],
    ["gzip;q=0.000", false],
    ["*", true],
    ["*;q=0", false],
    ["identity, gzip;q=0.5", false],
    ["identity;q=0.5, gzip", true],
    ["br", false],
    ["x-gzip", true],
    ["GZIP", true],
  ];
  for (const [header, wanted] of cases) {
    test(`${header}: ${wanted ? "gzip" : "none"}`, () => assert.equal(acceptsGzip(header), wanted));
  }
});
