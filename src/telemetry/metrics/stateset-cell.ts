/** A stateset's cell: one series for each state, of which one is 1. */
import type { StatesetCell } from "../port.ts";
import type { DropReason, GaugeSeries } from "./series.ts";

export class StatesetSeries implements StatesetCell {
  readonly #states: ReadonlyMap<string, GaugeSeries>;
  readonly #countDropped: (reason: DropReason) => void;

  constructor(states: ReadonlyMap<string, GaugeSeries>, countDropped: (reason: DropReason) => void) {
    this.#states = states;
    this.#countDropped = countDropped;
  }

  set(state: string): void {
    const holds = this.#states.get(state);
    if (holds === undefined) return this.#countDropped("type");
    for (const series of this.#states.values()) series.set(0);
    holds.set(1);
  }

  remove(): void {
    for (const series of this.#states.values()) series.remove();
  }
}
