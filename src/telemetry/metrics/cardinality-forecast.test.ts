import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { forecastCardinality } from "./cardinality-forecast.ts";
import type { CardinalityReport, MetricCardinality } from "./cardinality.ts";

const metric: MetricCardinality = {
  name: "blixard.vm.uptime",
  prometheusName: "blixard_vm_uptime_seconds",
  instrument: "gauge",
  series: 30,
  samples: 30,
  limit: 101,
  overflows: 0,
  attributes: [],
  perVm: true,
};
const common: MetricCardinality = { ...metric, name: "blixard.vm.restarts", series: 7, samples: 7, perVm: false };

function report(...metrics: readonly MetricCardinality[]): CardinalityReport {
  return {
    metrics,
    series: metrics.reduce((sum, one) => sum + one.series, 0),
    samples: metrics.reduce((sum, one) => sum + one.samples, 0),
  };
}

describe("the forecast", () => {
  const options = { additionalVms: 10, additionalAttributeValues: 4, vms: 15 };

  test("more VMs cost as much each as those that are there", () => {
    const { metrics, total } = forecastCardinality(report(metric, common), options);
    assert.equal(metrics.get(metric.name)?.seriesWithAdditionalVms, 50);
    assert.equal(metrics.get(common.name)?.seriesWithAdditionalVms, 7);
    assert.equal(total.seriesWithAdditionalVms, 57);
  });

  test("one more attribute multiplies every series", () => {
    const { total } = forecastCardinality(report(metric, common), options);
    assert.equal(total.seriesWithAdditionalAttribute, 148);
  });

  test("says how many VMs fit before the first limit, keeping a place for the merged rest", () => {
    const tighter = { ...metric, name: "blixard.vm.disk.io", limit: 51 };
    const { metrics, total } = forecastCardinality(report(metric, tighter, common), options);
    assert.equal(metrics.get(metric.name)?.vmsUntilLimit, 35);
    assert.equal(metrics.get(tighter.name)?.vmsUntilLimit, 10);
    assert.equal(metrics.get(common.name)?.vmsUntilLimit, undefined);
    assert.equal(total.vmsUntilLimit, 10);
  });

  test("without VMs each costs at least one series; over the limit none fit", () => {
    const none = forecastCardinality(report({ ...metric, series: 0 }), { ...options, vms: 0 });
    assert.equal(none.total.seriesWithAdditionalVms, 10);
    assert.equal(none.total.vmsUntilLimit, 100);
    const full = forecastCardinality(report({ ...metric, series: 101 }), options);
    assert.equal(full.total.vmsUntilLimit, 0);
  });

  test("a node without metrics that VMs have has no end", () => {
    assert.equal(forecastCardinality(report(), options).total.vmsUntilLimit, undefined);
  });
});
