/**
 * Read, decide, write if nothing changed meanwhile; repeated until it is settled.
 *
 * An attempt whose answer was lost (STORE_OUTCOME_UNKNOWN) is repeated too: that is
 * safe because an attempt finds its own earlier write (by operation id or by key)
 * and because every write compares what was read, so of two copies of one write
 * at most one takes effect.
 */
import { BlixardError } from "#model/errors.ts";

const MAXIMUM_CONFLICTS = 32;
const MAXIMUM_UNKNOWN_OUTCOMES = 3;

export interface Attempt {
  /** The outcome of an earlier attempt of this call is unknown: its effect may be seen now. */
  readonly afterUnknownOutcome: boolean;
}

/**
 * The first value that `attempt` settles on; it returns undefined when a comparison failed.
 * @throws BlixardError STORE_CONFLICT after 32 conflicts; what `attempt` throws
 */
export async function settle<T>(
  what: string,
  attempt: (attempt: Attempt) => Promise<{ readonly value: T } | undefined>,
): Promise<T> {
  let conflicts = 0;
  let unknownOutcomes = 0;
  while (conflicts < MAXIMUM_CONFLICTS) {
    try {
      const settled = await attempt({ afterUnknownOutcome: unknownOutcomes > 0 });
      if (settled !== undefined) return settled.value;
      conflicts++;
    } catch (error) {
      if (!isUnknownOutcome(error) || ++unknownOutcomes >= MAXIMUM_UNKNOWN_OUTCOMES) throw error;
    }
  }
  throw new BlixardError("STORE_CONFLICT", `cannot ${what}: others changed it ${conflicts} times meanwhile`, {
    hint: "Try again.",
  });
}

function isUnknownOutcome(error: unknown): boolean {
  return error instanceof BlixardError && error.code === "STORE_OUTCOME_UNKNOWN";
}
