/** A control loop's work: bring one thing about, idempotent, from the view alone. */
import type { LeaderTerm } from "#store/leader-term.ts";
import type { StoreView } from "#store/store-view.ts";

export interface Reconciler {
  /** Lower-case, for metrics and logs. */
  readonly name: string;
  /**
   * One pass. Looks, decides, writes under the term; never tries again by itself.
   * Resolves with the revision of its last write: the next pass waits for it.
   * @throws BlixardError NOT_LEADER: the term is over; STORE_*: the loop comes again
   */
  reconcile(pass: ReconcilePass): Promise<bigint | undefined>;
  /** What only a leader may say is said no more. */
  termEnded?(): void;
}

export interface ReconcilePass {
  readonly term: LeaderTerm;
  /** As of now: take it again after every `await`. */
  readonly view: () => StoreView;
  /** The VMs to look at; undefined for all. */
  readonly vmIds: ReadonlySet<string> | undefined;
}

/** The VMs a pass is about. */
export function vmIdsOf(pass: ReconcilePass): Iterable<string> {
  return pass.vmIds ?? pass.view().intents.keys();
}
