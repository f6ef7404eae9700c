/**
 * A group's metrics that are not of the registry: what third-party instrumentation
 * has counted, with whatever names and attributes it likes.
 */
import type { SpanScope } from "#model/recorded-span.ts";
import type { MetricDescriptor } from "../port.ts";
import type { Family } from "./family.ts";
import type { CollectionTask } from "./observable-group.ts";
import { type ForeignHistogram, setForeignHistogram, setObservedValue } from "./observed-values.ts";
import { BucketSeries, type DropReason } from "./series.ts";
import type { ExponentialBuckets, SeriesAttribute } from "./snapshot.ts";

export interface ForeignMetric {
  readonly descriptor: MetricDescriptor;
  readonly scope: SpanScope;
}

export interface ForeignPoint {
  /** In an order that is always the same for the same ones. */
  readonly attributes: readonly SeriesAttribute[];
  /** Unix ms. */
  readonly startTimeMs: number;
  /** A gauge's value, a running total, or all that a histogram has counted. */
  readonly value: number | (ForeignHistogram & { readonly exponential?: ExponentialBuckets | undefined });
}

export interface ForeignObserver {
  /** Series that one collection does not observe end. */
  observe(metric: ForeignMetric, point: ForeignPoint): void;
}

export interface ForeignGroupOptions {
  /** For logs and for the group's age metric. */
  readonly name: string;
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly collect: (observer: ForeignObserver, signal: AbortSignal) => Promise<void>;
}

export interface ForeignMetricsContext {
  readonly nowMs: () => number;
  /** The family; undefined when its name belongs to another one. */
  readonly familyOf: (metric: ForeignMetric) => Family | undefined;
  readonly countDropped: (reason: DropReason) => void;
}

export function observeForeignMetrics(options: ForeignGroupOptions, context: ForeignMetricsContext): CollectionTask {
  const families = new Set<Family>();
  return {
    name: options.name,
    intervalMs: options.intervalMs,
    timeoutMs: options.timeoutMs,
    families: () => families,
    collect: (collection, signal) =>
      options.collect(
        {
          observe(metric, { attributes, startTimeMs, value }) {
            if (collection.isOver) return;
            const family = context.familyOf(metric);
            if (family === undefined) return context.countDropped("type");
            families.add(family);
            const series = family.ensureForeign(attributes);
            const merged = collection.observe(series);
            if (typeof value === "number") {
              setObservedValue(series, value, { ...context, merged });
            } else {
              setForeignHistogram(series, value, context);
              if (series instanceof BucketSeries) series.foreignExponential = value.exponential;
            }
            series.startTimeMs = startTimeMs;
          },
        },
        signal,
      ),
  };
}
