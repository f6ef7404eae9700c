/** How often a group is collected, and how long one collection may take. */
export interface Schedule {
  readonly intervalMs: number;
  readonly timeoutMs: number;
}
