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
import {
  telemetryMeasurementsDropped,
  telemetrySeriesCount,
  telemetrySeriesLimit,
  telemetrySeriesOverflows,
  telemetryTombstonesDropped,
} from "#gen/telemetry/metrics.ts";
import type { Clock } from "#model/clock.ts";
import type { AttributesOf, CellsByInstrument, MetricDescriptor, Metrics } from "../port.ts";
import { createEndedLog } from "./ended-log.ts";
import { Family, type FamilyContext } from "./family.ts";
import { inertCell } from "./inert-metrics.ts";
import { ObservableGroup } from "./observable-group.ts";
import type { CounterSeries, DropReason, SeriesByInstrument, UpDownCounterSeries } from "./series.ts";
import type { MetricFamily, MetricsSource } from "./snapshot.ts";

export interface MetricsEngineOptions {
  readonly clock: Clock;
  /** For metrics whose descriptor names no limit; default 2,000. */
  readonly defaultSeriesLimit?: number;
  /** Ends of series kept for readers that have not asked yet; default 250,000. */
  readonly maximumEnded?: number;
  /** A group's collection failed or took too long; `group` is its name. */
  readonly onCollectionError?: (group: string, error: unknown) => void;
}

export interface MetricsEngine extends Metrics, MetricsSource {
  /** Ends all groups; cells stay as they are, for a last export. */
  stop(): void;
}

const DEFAULT_SERIES_LIMIT = 2_000;
const DEFAULT_MAXIMUM_ENDED = 250_000;
/** These would count themselves. */
const uncounted = new Set<string>([telemetrySeriesCount.name, telemetrySeriesLimit.name]);

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

  const context: FamilyContext = {
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

  function familyOf(descriptor: MetricDescriptor): Family {
    const present = byName.get(descriptor.name);
    if (present !== undefined) return present;
    const limit = descriptor.seriesLimit ?? options.defaultSeriesLimit ?? DEFAULT_SERIES_LIMIT;
    const family = new Family(descriptor, limit, context);
    byName.set(descriptor.name, family);
    sorted = undefined;
    if (!uncounted.has(descriptor.name)) {
      const attributes = { "blixard.telemetry.metric": descriptor.name };
      counts.set(family, cell(telemetrySeriesCount, attributes));
      cell(telemetrySeriesLimit, attributes).add(limit);
    }
    return family;
  }

  function cell<D extends MetricDescriptor>(
    descriptor: D,
    attributes: AttributesOf<D>,
  ): SeriesByInstrument[D["instrument"]] {
    // The family's instrument decides the class of its series; TypeScript cannot follow that.
    return familyOf(descriptor).ensure(attributes) as SeriesByInstrument[D["instrument"]];
  }

  function families(): readonly MetricFamily[] {
    for (const group of groups) group.refreshAge();
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
      const series: CellsByInstrument[keyof CellsByInstrument] = family.ensure(attributes);
      return series as CellsByInstrument[(typeof descriptor)["instrument"]];
    },
    observeGroup(groupOptions) {
      const group = new ObservableGroup(groupOptions, {
        clock,
        familyOf,
        bind: cell,
        countDropped: (reason) => context.onDropped(reason),
        onError: options.onCollectionError ?? (() => {}),
      });
      groups.add(group);
      group.start();
      return {
        [Symbol.dispose]() {
          groups.delete(group);
          group.dispose();
        },
      };
    },
    families,
    createReader: () => ended.createReader(families),
    stop() {
      for (const group of groups) group.stop();
    },
  };
}
