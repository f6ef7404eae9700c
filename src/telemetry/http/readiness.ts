/** Whether a node serves, and if not, what it waits for. */

export interface ReadinessCheck {
  /** Lower-case, e.g. `store`. */
  readonly name: string;
  readonly ready: boolean;
  /** For people: what it waits for. */
  readonly message?: string;
}

export interface Readiness {
  readonly ready: boolean;
  readonly checks: readonly ReadinessCheck[];
}

/** Ready when every check is. */
export function readinessOf(checks: readonly ReadinessCheck[]): Readiness {
  return { ready: checks.every((check) => check.ready), checks };
}
