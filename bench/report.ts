/** How a benchmark's result is told: the interval, the budget, and on which machine under which load. */
import { cpus, loadavg, release } from "node:os";
import { isBeyond, type Budget, type Interval } from "./statistics.ts";

export interface BenchmarkRow {
  readonly what: string;
  readonly unit: string;
  readonly interval: Interval;
  readonly budget: Budget;
  readonly observations: number;
}

/** Prints the rows; true when no budget is certainly missed. */
export function report(rows: readonly BenchmarkRow[], print: (line: string) => void): boolean {
  for (const row of rows) {
    const { estimate, low, high } = row.interval;
    const limit = "atMost" in row.budget ? `≤ ${row.budget.atMost}` : `≥ ${row.budget.atLeast}`;
    const verdict = isBeyond(row.interval, row.budget) ? "MISSED" : "ok";
    const figures = `${round(estimate)} [${round(low)}, ${round(high)}] ${row.unit}`;
    print(
      `${verdict.padEnd(7)}${row.what.padEnd(64)}${figures.padEnd(34)}budget ${limit} ${row.unit}  (n=${row.observations})`,
    );
  }
  return rows.every((row) => !isBeyond(row.interval, row.budget));
}

export function describeMachine(): string {
  const processors = cpus();
  const load = loadavg().map((value) => value.toFixed(2));
  return `${processors.length} × ${processors[0]?.model.trim() ?? "unknown CPU"}, Linux ${release()}, Node ${process.version}, load ${load.join(" ")}`;
}

function round(value: number): string {
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 3;
  return value.toFixed(digits);
}
