/**
 * The life of a VM as observed states, and which step may follow which.
 *
 *   pending ─► scheduled ─► preparing ─► starting ─► running ⇄ paused
 *      ▲           │            ▲  ▲         │          │
 *      │           │            │  └─retry───┤          ├─► stopping ─► stopped ─► preparing
 *      └─ lost ◄───┴── any state on a node ──┴──────────┴─► failed ─► preparing
 *
 * `failed` and `stopped` start again through `preparing`; `lost` (its node is
 * gone) either returns to what it was when the node returns, or is placed anew.
 * `migrating` is entered from `running` or `paused` and left to one of them.
 */
import { BlixardError } from "./errors.ts";
import type { VmState } from "./vm.ts";

/** From each state, the states that may follow. Staying in a state is not a transition. */
export const vmTransitions = {
  pending: ["scheduled", "failed", "stopped"],
  scheduled: ["pending", "preparing", "stopped", "failed", "lost"],
  preparing: ["starting", "stopping", "stopped", "failed", "lost"],
  starting: ["running", "preparing", "paused", "stopping", "stopped", "failed", "lost"],
  running: ["paused", "migrating", "stopping", "stopped", "preparing", "failed", "lost"],
  stopping: ["stopped", "preparing", "failed", "lost"],
  stopped: ["pending", "scheduled", "preparing", "stopping", "lost"],
  paused: ["running", "migrating", "stopping", "stopped", "preparing", "failed", "lost"],
  migrating: ["running", "paused", "stopping", "stopped", "failed", "lost"],
  failed: ["pending", "scheduled", "preparing", "stopping", "stopped", "lost"],
  lost: ["pending", "scheduled", "preparing", "starting", "running", "stopping", "stopped", "paused", "failed"],
} as const satisfies Record<VmState, readonly VmState[]>;

export function canTransition(from: VmState, to: VmState): boolean {
  const followers: readonly VmState[] = vmTransitions[from];
  return followers.includes(to);
}

/**
 * The state after the step: `to`, which may equal `from`.
 * @throws BlixardError VM_TRANSITION_ILLEGAL
 */
export function transition(from: VmState, to: VmState): VmState {
  if (from === to || canTransition(from, to)) return to;
  throw new BlixardError("VM_TRANSITION_ILLEGAL", `a VM that is ${from} cannot become ${to}`, {
    hint: `From ${from} it can become ${vmTransitions[from].join(", ")}.`,
  });
}

/** Whether a machine exists, or may exist, in this state. */
export function mayHaveMachine(state: VmState): boolean {
  switch (state) {
    case "starting":
    case "running":
    case "stopping":
    case "paused":
    case "migrating":
    case "lost":
      return true;
    case "pending":
    case "scheduled":
    case "preparing":
    case "stopped":
    case "failed":
      return false;
  }
}
