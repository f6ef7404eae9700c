/** `nodejs.*` and `v8js.*`: the event loop, the heap and its collector. */
import {
  constants,
  type EventLoopUtilization,
  monitorEventLoopDelay,
  performance,
  PerformanceObserver,
} from "node:perf_hooks";
import { getHeapSpaceStatistics } from "node:v8";
import {
  nodejsEventloopDelayMax,
  nodejsEventloopDelayMean,
  nodejsEventloopDelayMin,
  nodejsEventloopDelayP50,
  nodejsEventloopDelayP90,
  nodejsEventloopDelayP99,
  nodejsEventloopDelayStddev,
  nodejsEventloopTime,
  nodejsEventloopUtilization,
  v8jsGcDuration,
  v8jsMemoryHeapSpaceAvailableSize,
  v8jsMemoryHeapSpacePhysicalSize,
  v8jsMemoryHeapSpaceSize,
  v8jsMemoryHeapUsed,
} from "#gen/telemetry/metrics.ts";
import type { Metrics, Observer } from "../port.ts";
import type { Schedule } from "./schedule.ts";

const DELAY_RESOLUTION_MS = 10;
const NANOSECONDS_PER_SECOND = 1e9;

const collectionTypes = {
  [constants.NODE_PERFORMANCE_GC_MAJOR]: "major",
  [constants.NODE_PERFORMANCE_GC_MINOR]: "minor",
  [constants.NODE_PERFORMANCE_GC_INCREMENTAL]: "incremental",
  [constants.NODE_PERFORMANCE_GC_WEAKCB]: "weakcb",
} as const;
type CollectionType = (typeof collectionTypes)[keyof typeof collectionTypes];

export function observeNodeRuntime(metrics: Metrics, schedule: Schedule): Disposable {
  const delay = monitorEventLoopDelay({ resolution: DELAY_RESOLUTION_MS });
  delay.enable();
  const collector = observeCollections(metrics);
  let lastUtilization: EventLoopUtilization | undefined;

  function observeDelay(observer: Observer): void {
    if (delay.count === 0) return;
    const seconds = (nanoseconds: number): number => nanoseconds / NANOSECONDS_PER_SECOND;
    observer.observe(nodejsEventloopDelayMin, seconds(delay.min), {});
    observer.observe(nodejsEventloopDelayMax, seconds(delay.max), {});
    observer.observe(nodejsEventloopDelayMean, seconds(delay.mean), {});
    observer.observe(nodejsEventloopDelayStddev, seconds(delay.stddev), {});
    observer.observe(nodejsEventloopDelayP50, seconds(delay.percentile(50)), {});
    observer.observe(nodejsEventloopDelayP90, seconds(delay.percentile(90)), {});
    observer.observe(nodejsEventloopDelayP99, seconds(delay.percentile(99)), {});
    delay.reset();
  }

  function observeUtilization(observer: Observer): void {
    const now = performance.eventLoopUtilization();
    observer.observe(nodejsEventloopTime, now.active / 1000, { "nodejs.eventloop.state": "active" });
    observer.observe(nodejsEventloopTime, now.idle / 1000, { "nodejs.eventloop.state": "idle" });
    const { utilization } =
      lastUtilization === undefined ? now : performance.eventLoopUtilization(now, lastUtilization);
    observer.observe(nodejsEventloopUtilization, utilization, {});
    lastUtilization = now;
  }

  const group = metrics.observeGroup({
    name: "node_runtime",
    metrics: [
      nodejsEventloopDelayMin,
      nodejsEventloopDelayMax,
      nodejsEventloopDelayMean,
      nodejsEventloopDelayStddev,
      nodejsEventloopDelayP50,
      nodejsEventloopDelayP90,
      nodejsEventloopDelayP99,
      nodejsEventloopTime,
      nodejsEventloopUtilization,
      v8jsMemoryHeapUsed,
      v8jsMemoryHeapSpaceSize,
      v8jsMemoryHeapSpaceAvailableSize,
      v8jsMemoryHeapSpacePhysicalSize,
    ],
    ...schedule,
    async collect(observer) {
      observeDelay(observer);
      observeUtilization(observer);
      observeHeap(observer);
    },
  });
  return {
    [Symbol.dispose]() {
      group[Symbol.dispose]();
      collector[Symbol.dispose]();
      delay.disable();
    },
  };
}

function observeHeap(observer: Observer): void {
  for (const space of getHeapSpaceStatistics()) {
    const attributes = { "v8js.heap.space.name": space.space_name };
    observer.observe(v8jsMemoryHeapUsed, space.space_used_size, attributes);
    observer.observe(v8jsMemoryHeapSpaceSize, space.space_size, attributes);
    observer.observe(v8jsMemoryHeapSpaceAvailableSize, space.space_available_size, attributes);
    observer.observe(v8jsMemoryHeapSpacePhysicalSize, space.physical_space_size, attributes);
  }
}

/** Records every garbage collection as it ends. */
function observeCollections(metrics: Metrics): Disposable {
  const cells = new Map(
    Object.values(collectionTypes).map((type) => [type, metrics.bind(v8jsGcDuration, { "v8js.gc.type": type })]),
  );
  const observer = new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
      const type = collectionTypeOf("detail" in entry ? entry.detail : undefined);
      if (type !== undefined) cells.get(type)?.record(entry.duration / 1000);
    }
  });
  observer.observe({ entryTypes: ["gc"] });
  return {
    [Symbol.dispose]() {
      observer.disconnect();
      for (const cell of cells.values()) cell.remove();
    },
  };
}

function collectionTypeOf(detail: unknown): CollectionType | undefined {
  if (typeof detail !== "object" || detail === null || !("kind" in detail)) return undefined;
  const { kind } = detail;
  return typeof kind === "number" ? collectionTypes[kind] : undefined;
}
