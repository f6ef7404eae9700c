/** Recording: a bound cell against `prom-client` and the SDK, all with three attributes, in alternating blocks. */
import { MeterProvider, MetricReader } from "@opentelemetry/sdk-metrics";
import { Counter, Histogram, Registry } from "prom-client";
import { rpcServerCallDuration, vmStateTransitions } from "#gen/telemetry/metrics.ts";
import { createMetricsEngine } from "#telemetry/metrics/metrics-engine.ts";
import { createSystemClock } from "#telemetry/system-clock.ts";
import type { BenchmarkRow } from "./report.ts";
import { bootstrap, median } from "./statistics.ts";

const CALLS = 100_000;
const BLOCKS = 30;
const WARM_UP_BLOCKS = 3;

type Records = Readonly<Record<"counter" | "histogram", (value: number) => void>>;
type Kind = keyof Records;

export function benchRecordingPeers(): BenchmarkRow[] {
  const engine = createMetricsEngine({ clock: createSystemClock() });
  const ours: Records = {
    counter: bindCounter(engine),
    histogram: bindHistogram(engine),
  };
  const peers = { "prom-client": promClient(), "the SDK": sdk() };
  const rows = (["counter", "histogram"] as const).flatMap((kind) => compare(kind, ours[kind], peers));
  engine.stop();
  return rows;
}

function compare(kind: Kind, ours: (value: number) => void, peers: Readonly<Record<string, Records>>): BenchmarkRow[] {
  // Values for every bucket, decided beforehand so that the loop only reads them.
  const values = Float64Array.from({ length: 1_024 }, (_, index) => 10 ** ((index % 64) / 16 - 3));
  const oursNs: number[] = [];
  const theirNs = new Map(Object.keys(peers).map((peer) => [peer, [] as number[]]));
  for (let block = -WARM_UP_BLOCKS; block < BLOCKS; block++) {
    const own = timeCalls(ours, values);
    if (block >= 0) oursNs.push(own);
    for (const [peer, records] of Object.entries(peers)) {
      const theirs = timeCalls(records[kind], values);
      if (block >= 0) theirNs.get(peer)?.push(theirs);
    }
  }
  return [...theirNs].map(([peer, nanoseconds]) => ({
    what: `record: ${kind} over ${peer}'s (${median(oursNs).toFixed(1)} / ${median(nanoseconds).toFixed(0)} ns)`,
    unit: "",
    interval: bootstrap(
      oursNs.map((own, block) => own / (nanoseconds[block] ?? Number.NaN)),
      median,
    ),
    budget: { atMost: 0.2 },
    observations: BLOCKS,
  }));
}

function timeCalls(record: (value: number) => void, values: Float64Array): number {
  const start = process.hrtime.bigint();
  for (let call = 0; call < CALLS; call++) record(values[call & 1_023] ?? 0);
  return Number(process.hrtime.bigint() - start) / CALLS;
}

type Engine = ReturnType<typeof createMetricsEngine>;

function bindCounter(engine: Engine): (value: number) => void {
  const cell = engine.bind(vmStateTransitions, {
    "blixard.vm.previous_state": "starting",
    "blixard.vm.state": "running",
    "blixard.vm.state_reason": "guest_ready",
  });
  return (value) => cell.add(value);
}

const method = {
  "rpc.system.name": "grpc",
  "rpc.method": "blixard.v1.VmService/GetVm",
  "rpc.status_code": "OK",
} as const;

function bindHistogram(engine: Engine): (value: number) => void {
  const cell = engine.bind(rpcServerCallDuration, method);
  return (value) => cell.record(value);
}

const transition = { previous_state: "starting", state: "running", reason: "guest_ready" };

function promClient(): Records {
  const registers = [new Registry()];
  const labelNames = Object.keys(transition);
  const counter = new Counter({ name: "transitions_total", help: "Bench.", labelNames, registers });
  const histogram = new Histogram({
    name: "duration_seconds",
    help: "Bench.",
    labelNames: ["system", "method", "status"],
    buckets: [...rpcServerCallDuration.buckets],
    registers,
  });
  const labels = { system: "grpc", method: "blixard.v1.VmService/GetVm", status: "OK" };
  return {
    counter: (value) => counter.inc({ ...transition }, value),
    histogram: (value) => histogram.observe({ ...labels }, value),
  };
}

function sdk(): Records {
  const meter = new MeterProvider({ readers: [new SilentReader()] }).getMeter("bench");
  const counter = meter.createCounter("transitions");
  const histogram = meter.createHistogram("duration", {
    advice: { explicitBucketBoundaries: [...rpcServerCallDuration.buckets] },
  });
  return {
    counter: (value) => counter.add(value, { ...transition }),
    histogram: (value) => histogram.record(value, { ...method }),
  };
}

class SilentReader extends MetricReader {
  protected override onForceFlush(): Promise<void> {
    return Promise.resolve();
  }

  protected override onShutdown(): Promise<void> {
    return Promise.resolve();
  }
}
