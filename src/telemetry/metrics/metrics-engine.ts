/**
 * Our metrics engine: bound cells with explicit removal, a limit on the series of
 * each metric, and groups that are collected in the background.
 *
 * Domain code records through the port (`Metrics`); the page and the OTLP exporter
 * read through `MetricsSource` (snapshot.ts). It holds no I/O and never throws into
 * a caller: what cannot be recorded is counted. Time is a parameter.
 *
 *   bind ─► series (a cell) ─► remove ─► told once to every reader, then forgotten
 *   observeGroup ─► collect, every interval ─► series that were not observed end
 */
import { AsyncLocalStorage } from "node:async_hooks";
import {
  telemetryExemplars,
  telemetryMeasurementsDropped,
  telemetrySeriesCount,
  telemetrySeriesLimit,
  telemetrySeriesOverflows,
  telemetryTombstonesDropped,
} from "#gen/telemetry/metrics.ts";
import type { Clock } from "#model/clock.ts";
import type { SpanScope } from "#model/recorded-span.ts";
import type { AttributesOf, CellsByInstrument, MetricDescriptor, Metrics } from "../port.ts";
import { type CardinalityReport, reportCardinality } from "./cardinality.ts";
import { createEndedLog } from "./ended-log.ts";
import { EPOCH_MS, ExemplarKeeper, type ExemplarSource } from "./exemplars.ts";
import { ExponentialIndex } from "./exponential-histogram.ts";
import { Family, type FamilyContext } from "./family.ts";
import { type ForeignGroupOptions, type ForeignMetric, observeForeignMetrics } from "./foreign-metrics.ts";
import { inertCell } from "./inert-metrics.ts";
import { type CollectionTask, ObservableGroup } from "./observable-group.ts";
import { observeMetrics } from "./observed-metrics.ts";
import type { CounterSeries, DropReason, SeriesByInstrument, UpDownCounterSeries } from "./series.ts";
import type { MetricFamily, MetricsSource } from "./snapshot.ts";

export interface MetricsEngineOptions {
  readonly clock: Clock;
  /** Most series of one metric. Default what its descriptor says, and else 2,000. */
  readonly seriesLimit?: number;
  /** The same for single metrics, by name. */
  readonly seriesLimits?: Readonly<Record<string, number>>;
  /** Histograms are kept in exponential buckets too. Default true. */
  readonly exponentialHistograms?: boolean;
  /** Ends of series kept for readers that have not asked yet; default 250,000. */
  readonly maximumEnded?: number;
  /** A group's collection failed or took too long; `group` is its name. */
  readonly onCollectionError?: (group: string, error: unknown) => void;
}

export interface MetricsEngine extends Metrics, MetricsSource {
  /** From now on measurements are kept with the spans they were made in; once. */
  keepExemplars(source: ExemplarSource): void;
  /** Collects what others have counted in the background, as `observeGroup` does. */
  observeForeign(options: ForeignGroupOptions): Disposable;
  /** Who costs how many series, now. */
  cardinality(): CardinalityReport;
  /** Ends all groups; cells stay as they are, for a last export. */
  stop(): void;
}

const DEFAULT_SERIES_LIMIT = 2_000;
const DEFAULT_MAXIMUM_ENDED = 250_000;
/** These would count themselves. */
const uncounted = new Set<string>([telemetrySeriesCount.name, telemetrySeriesLimit.name]);
/** One series a metric: a limit on all metrics must not hide which of them reach it. */
const accounts = new Set<string>([...uncounted, telemetrySeriesOverflows.name]);

export function createMetricsEngine(options: MetricsEngineOptions): MetricsEngine {
  const { clock } = options;
  const byName = new Map<string, Family>();
  const counts = new Map<Family, UpDownCounterSeries>();
  const groups = new Set<ObservableGroup>();
  const dropped = new Map<DropReason, CounterSeries>();
  let sorted: Family[] | undefined;
  let sequence = 0;

  const ended = createEndedLog({
    maximum: options.maximumEnded ?? DEFAULT_MAXIMUM_ENDED,
    sequence: () => sequence,
    onDropped: () => cell(telemetryTombstonesDropped, {}).add(1),
  });

  const keeper = new ExemplarKeeper(
    () => clock.now(),
    // Not by `add`: the count of exemplars has none of its own.
    () => cell(telemetryExemplars, {}).value++,
  );
  const stopped = new AbortController();
  /** Collections are nobody's span's, whoever starts them. */
  const outside = AsyncLocalStorage.snapshot();

  const context: FamilyContext = {
    tools: {
      keeper,
      exponentialIndex: options.exponentialHistograms === false ? undefined : new ExponentialIndex(),
    },
    nowMs: () => clock.now(),
    nextSequence: () => ++sequence,
    onAdded: (family) => counts.get(family)?.add(1),
    onRemoved(family, series) {
      counts.get(family)?.add(-1);
      ended.push(family, series);
    },
    onOverflow(family) {
      const { name } = family.descriptor;
      // The counter of overflows must not count its own.
      if (name !== telemetrySeriesOverflows.name)
        cell(telemetrySeriesOverflows, { "blixard.telemetry.metric": name }).add(1);
    },
    onDropped(reason) {
      const counter = dropped.getOrInsertComputed(reason, () =>
        cell(telemetryMeasurementsDropped, { "blixard.telemetry.drop_reason": reason }),
      );
      counter.add(1);
    },
  };

  function familyOf(descriptor: MetricDescriptor, scope?: SpanScope): Family {
    const present = byName.get(descriptor.name);
    if (present !== undefined) return present;
    const { name } = descriptor;
    const limitOfAll = accounts.has(name) ? undefined : options.seriesLimit;
    const limit = options.seriesLimits?.[name] ?? limitOfAll ?? descriptor.seriesLimit ?? DEFAULT_SERIES_LIMIT;
    const family = new Family(descriptor, limit, context, scope);
    byName.set(name, family);
    sorted = undefined;
    if (!uncounted.has(name)) {
      const attributes = { "blixard.telemetry.metric": name };
      counts.set(family, cell(telemetrySeriesCount, attributes));
      cell(telemetrySeriesLimit, attributes).add(limit);
    }
    return family;
  }

  function foreignFamilyOf({ descriptor, scope }: ForeignMetric): Family | undefined {
    const family = familyOf(descriptor, scope);
    const isTheirs = family.scope?.name === scope.name && family.descriptor.instrument === descriptor.instrument;
    return isTheirs ? family : undefined;
  }

  function cell<D extends MetricDescriptor>(
    descriptor: D,
    attributes: AttributesOf<D>,
  ): SeriesByInstrument[D["instrument"]] {
    // The family's instrument decides the class of its series; TypeScript cannot follow that.
    return familyOf(descriptor).ensure(attributes) as SeriesByInstrument[D["instrument"]];
  }

  async function countEpochs(): Promise<void> {
    for (;;) {
      try {
        await clock.delay(EPOCH_MS, stopped.signal);
      } catch {
        return;
      }
      keeper.epoch++;
    }
  }

  function startGroup(task: CollectionTask): Disposable {
    const group = new ObservableGroup(task, {
      clock,
      bind: cell,
      onError: options.onCollectionError ?? (() => {}),
    });
    groups.add(group);
    outside(() => group.start());
    return {
      [Symbol.dispose]() {
        groups.delete(group);
        group.dispose();
      },
    };
  }

  function families(): readonly MetricFamily[] {
    keeper.confirm();
    for (const group of groups) group.refresh();
    sorted ??= [...byName.values()].toSorted((left, right) => (left.descriptor.name < right.descriptor.name ? -1 : 1));
    return sorted.filter((family) => family.series.length > 0);
  }

  return {
    bind(descriptor, attributes) {
      const family = familyOf(descriptor);
      if (family.descriptor.instrument !== descriptor.instrument) {
        context.onDropped("type");
        return inertCell;
      }
      const bound: CellsByInstrument[keyof CellsByInstrument] =
        descriptor.instrument === "stateset" ? family.ensureStateset(attributes) : family.ensure(attributes);
      return bound as CellsByInstrument[(typeof descriptor)["instrument"]];
    },
    observeGroup: (groupOptions) =>
      startGroup(observeMetrics(groupOptions, { nowMs: context.nowMs, familyOf, countDropped: context.onDropped })),
    observeForeign: (groupOptions) =>
      startGroup(
        observeForeignMetrics(groupOptions, {
          nowMs: context.nowMs,
          familyOf: foreignFamilyOf,
          countDropped: context.onDropped,
        }),
      ),
    keepExemplars(source) {
      keeper.start(source);
      if (keeper.epoch > 0) void countEpochs();
    },
    cardinality: () => reportCardinality(byName.values()),
    families,
    createReader: () => ended.createReader(families),
    stop() {
      stopped.abort();
      for (const group of groups) group.stop();
    },
  };
}
