/** Recording on a bound cell: nanoseconds a call, the loop around it included. */
import { vmOperationDuration, vmRestarts } from "#gen/telemetry/metrics.ts";
import { createMetricsEngine } from "#telemetry/metrics/metrics-engine.ts";
import { createSystemClock } from "#telemetry/system-clock.ts";
import type { BenchmarkRow } from "./report.ts";
import { bootstrap, median } from "./statistics.ts";

const CALLS = 2_000_000;
const BLOCKS = 30;
/** Blocks that run before the optimizing compiler has seen the loops. */
const WARM_UP_BLOCKS = 3;

export function benchRecordCell(): BenchmarkRow[] {
  const engine = createMetricsEngine({ clock: createSystemClock() });
  // As a node does it: exponential buckets are kept, and exemplars are looked for.
  engine.keepExemplars({ filter: "trace_based", active: () => undefined, isPromoted: () => false });
  const counter = engine.bind(vmRestarts, { "blixard.vm.exit_cause": "crash" });
  const histogram = engine.bind(vmOperationDuration, { "blixard.vm.operation": "create" });
  // Values for every bucket, decided beforehand so that the loop only reads them.
  const values = Float64Array.from({ length: 1024 }, (_, index) => 10 ** ((index % 64) / 12 - 3));
  const counterNs: number[] = [];
  const histogramNs: number[] = [];
  for (let block = -WARM_UP_BLOCKS; block < BLOCKS; block++) {
    const forCounter = timeCalls(() => {
      for (let call = 0; call < CALLS; call++) counter.add(1);
    });
    const forHistogram = timeCalls(() => {
      for (let call = 0; call < CALLS; call++) histogram.record(values[call & 1023] ?? 0);
    });
    if (block >= 0) {
      counterNs.push(forCounter);
      histogramNs.push(forHistogram);
    }
  }
  engine.stop();
  return [
    {
      what: "record on a bound cell: counter",
      unit: "ns",
      interval: bootstrap(counterNs, median),
      budget: { atMost: 10 },
      observations: BLOCKS,
    },
    {
      what: "record on a bound cell: histogram",
      unit: "ns",
      interval: bootstrap(histogramNs, median),
      budget: { atMost: 30 },
      observations: BLOCKS,
    },
  ];
}

function timeCalls(loop: () => void): number {
  const start = process.hrtime.bigint();
  loop();
  return Number(process.hrtime.bigint() - start) / CALLS;
}
