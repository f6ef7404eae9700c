/**
 * Time as a parameter. Rules and control loops see this port instead of
 * `Date.now` and timers; the composition root makes the real one, simulations a
 * clock that they turn by hand.
 */
export interface Clock {
  /** Unix time in ms. */
  now(): number;
  /** A clock that never jumps, in ms; only differences mean something. */
  monotonicMs(): number;
  /**
   * Resolves after `delayMs` (at once when it is not positive).
   * @throws the reason of `signal` as soon as it is aborted.
   */
  delay(delayMs: number, signal?: AbortSignal): Promise<void>;
}
