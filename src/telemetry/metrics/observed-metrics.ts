/** A group's metrics of the registry: what the port's `Observer` sets. */
import type { Attributes, MetricDescriptor, ObservableGroupOptions } from "../port.ts";
import type { Family } from "./family.ts";
import type { Collection, CollectionTask } from "./observable-group.ts";
import { setForeignHistogram, setObservedValue } from "./observed-values.ts";
import type { AnySeries, DropReason } from "./series.ts";

export interface ObservedMetricsContext {
  readonly nowMs: () => number;
  readonly familyOf: (descriptor: MetricDescriptor) => Family;
  readonly countDropped: (reason: DropReason) => void;
}

export function observeMetrics(options: ObservableGroupOptions, context: ObservedMetricsContext): CollectionTask {
  const names = new Set(options.metrics.map(({ name }) => name));

  function seriesOf(
    collection: Collection,
    descriptor: MetricDescriptor,
    attributes: Attributes,
  ): AnySeries | undefined {
    if (collection.isOver) return undefined;
    if (names.has(descriptor.name)) return context.familyOf(descriptor).ensure(attributes);
    context.countDropped("type");
    return undefined;
  }

  return {
    name: options.name,
    intervalMs: options.intervalMs,
    timeoutMs: options.timeoutMs,
    families: () => options.metrics.map((descriptor) => context.familyOf(descriptor)),
    subjects: options.subjects,
    collect: (collection, signal) =>
      options.collect(
        {
          observe: (descriptor, value, attributes) => {
            const series = seriesOf(collection, descriptor, attributes);
            if (series === undefined) return;
            const merged = collection.observe(series);
            setObservedValue(series, value, { ...context, merged });
          },
          observeHistogram: (descriptor, value, attributes) => {
            const series = seriesOf(collection, descriptor, attributes);
            if (series === undefined) return;
            collection.observe(series);
            setForeignHistogram(series, value, context);
          },
        },
        signal,
      ),
  };
}
