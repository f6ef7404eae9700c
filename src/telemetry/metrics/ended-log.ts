/**
 * Series that have ended, until every reader has been told: one bounded list with a
 * cursor for each reader. Without readers nothing is kept.
 */
import type { Family } from "./family.ts";
import type { AnySeries } from "./series.ts";
import type { EndedSeries, MetricFamily, MetricsReader } from "./snapshot.ts";

export interface EndedLogOptions {
  readonly maximum: number;
  /** The newest series' number. */
  readonly sequence: () => number;
  /** An end was forgotten before all readers had been told. */
  readonly onDropped: () => void;
}

export interface EndedLog {
  push(family: Family, series: AnySeries): void;
  createReader(families: () => readonly MetricFamily[]): MetricsReader;
}

interface Entry {
  readonly family: Family;
  readonly series: AnySeries;
}

interface Cursor {
  /** Number of the first entry the reader has not been told of. */
  next: number;
  /** Series with a greater number are unknown to the reader. */
  readSequence: number;
}

export function createEndedLog(options: EndedLogOptions): EndedLog {
  const cursors = new Set<Cursor>();
  let entries: Entry[] = [];
  /** Number of `entries[0]`. */
  let first = 0;

  function trim(): void {
    let oldest = first + entries.length;
    for (const cursor of cursors) oldest = Math.min(oldest, cursor.next);
    if (oldest > first) entries = entries.slice(oldest - first);
    first = Math.max(first, oldest);
  }

  function take(cursor: Cursor): EndedSeries[] {
    const told: EndedSeries[] = [];
    for (const { family, series } of entries.slice(Math.max(0, cursor.next - first))) {
      const known = series.sequence <= cursor.readSequence;
      // When the same attributes live again, the new start time says it all.
      if (known && hasValue(series) && family.successorOf(series) === undefined) {
        told.push({ descriptor: family.descriptor, scope: family.scope, series });
      }
    }
    cursor.next = first + entries.length;
    cursor.readSequence = options.sequence();
    trim();
    return told;
  }

  return {
    push(family, series) {
      if (cursors.size === 0) return;
      if (entries.length >= options.maximum) {
        // Halving keeps the cost of dropping constant for each entry.
        const lost = Math.ceil(entries.length / 2);
        for (let index = 0; index < lost; index++) options.onDropped();
        entries = entries.slice(lost);
        first += lost;
      }
      entries.push({ family, series });
    },
    createReader(families) {
      const cursor: Cursor = { next: first + entries.length, readSequence: 0 };
      cursors.add(cursor);
      return {
        read() {
          // First: looking at the families ends what is about things that are gone.
          const present = families();
          return { ended: take(cursor), families: present };
        },
        [Symbol.dispose]() {
          cursors.delete(cursor);
          trim();
        },
      };
    },
  };
}

function hasValue(series: AnySeries): boolean {
  return series.kind === "histogram" || !Number.isNaN(series.value);
}
