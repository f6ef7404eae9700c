/**
 * Pending VMs get a node, or the reasons why none takes them. One plan for all that
 * wait, written in few transactions; a VM whose basis changed meanwhile is left for the
 * next pass. The decision is a span of the operation's trace, and the assignment
 * carries its context to the node.
 */
import {
  schedulerQueueAge,
  schedulerQueueSize,
  vmCount,
  vmPhaseDuration,
  vmPlacementAttempts,
  vmPlacementDuration,
} from "#gen/telemetry/metrics.ts";
import { vmPlace } from "#gen/telemetry/spans.ts";
import type { Clock } from "#model/clock.ts";
import type { PlacementRefusal, VmIntent, VmPlacement } from "#model/vm.ts";
import type { PlacementRepository, PlacementWrite } from "#store/placement-repository.ts";
import type { Versioned } from "#store/records/record-codec.ts";
import type { StoreView } from "#store/store-view.ts";
import type { ManualSpan, Telemetry } from "#telemetry/port.ts";
import { newestOperation, planAssignment } from "./plan-assignment.ts";
import type { Reconciler } from "./reconciler.ts";
import {
  type PendingVm,
  type PlacementDecision,
  planPlacements,
  type SchedulableNode,
} from "./scheduler/plan-placements.ts";

export interface PlacementReconcilerOptions {
  readonly placements: PlacementRepository;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  /** Default 1,000. */
  readonly maximumVmsPerNode?: number;
}

const DEFAULT_MAXIMUM_VMS_PER_NODE = 1000;
/** More wait for the next pass, which follows at once. */
const MAXIMUM_VMS_PER_PASS = 2000;

interface Candidate {
  readonly vm: Versioned<VmIntent>;
  readonly previous: Versioned<VmPlacement> | undefined;
}

export function createPlacementReconciler(options: PlacementReconcilerOptions): Reconciler {
  const { placements, clock, telemetry } = options;
  const maximumVmsPerNode = options.maximumVmsPerNode ?? DEFAULT_MAXIMUM_VMS_PER_NODE;
  const queue = createQueueMetrics(telemetry, clock);

  return {
    name: "placement",
    termEnded: () => queue.clear(),
    async reconcile({ term, view }) {
      const startTimeMs = clock.now();
      const candidates = candidatesOf(view());
      queue.show(view(), candidates);
      if (candidates.size === 0) return undefined;
      const decisions = planPlacements({
        nodes: nodesOf(view()),
        pending: [...candidates.values()].map(({ vm }) => pendingOf(vm.value)),
        maximumVmsPerNode,
      });
      const news = decisions.flatMap((decision) => toDecided(decision, candidates.get(decision.vmId)));
      if (news.length === 0) return undefined;
      const attempts = news.map((decided) => beginAttempt(telemetry, decided, startTimeMs));
      try {
        const outcome = await runUnder(telemetry, attempts, () =>
          placements.apply(
            term,
            attempts.map((attempt) => attempt.write),
            { signal: term.signal },
          ),
        );
        const stale = new Set(outcome.stale);
        for (const attempt of attempts)
          endAttempt(telemetry, attempt, stale.has(attempt.decided.decision.vmId), clock.now());
        queue.show(view(), candidatesOf(view()));
        return outcome.revision;
      } catch (error) {
        for (const { span } of attempts) {
          span.setError(error);
          span.end();
        }
        throw error;
      }
    },
  };
}

// --- From the view ---------------------------------------------------------------

function candidatesOf(view: StoreView): ReadonlyMap<string, Candidate> {
  const candidates = new Map<string, Candidate>();
  for (const vmId of view.unplacedVmIds) {
    const vm = view.intents.get(vmId);
    if (vm === undefined || vm.value.desiredState === "deleted") continue;
    candidates.set(vmId, { vm, previous: view.placements.get(vmId) });
    if (candidates.size === MAXIMUM_VMS_PER_PASS) break;
  }
  return candidates;
}

function nodesOf(view: StoreView): readonly SchedulableNode[] {
  return view.nodes().map(({ id, capacity, alive, cordoned }) => {
    const { vmCount: count, vcpus, memoryBytes, diskBytes } = view.allocation(id);
    return { id, capacity, alive, cordoned, vmCount: count, allocated: { vcpus, memoryBytes, diskBytes } };
  });
}

function pendingOf({ id, spec, createTimeMs }: VmIntent): PendingVm {
  const diskBytes = spec.disks.reduce((sum, disk) => sum + disk.sizeBytes, 0);
  return { vmId: id, vcpus: spec.vcpus, memoryBytes: spec.memoryBytes, diskBytes, createTimeMs };
}

interface Decided extends Candidate {
  readonly decision: PlacementDecision;
}

/** A refusal for the reasons that are written already is no news. */
function toDecided(decision: PlacementDecision, candidate: Candidate | undefined): readonly Decided[] {
  if (candidate === undefined) return [];
  const { previous } = candidate;
  const known =
    decision.nodeId === undefined && previous !== undefined && sameRefusals(previous.value.refusals, decision.refusals);
  return known ? [] : [{ ...candidate, decision }];
}

function sameRefusals(left: readonly PlacementRefusal[], right: readonly PlacementRefusal[]): boolean {
  return (
    left.length === right.length &&
    left.every((refusal, index) => {
      const other = right[index];
      return other !== undefined && refusal.nodeId === other.nodeId && refusal.message === other.message;
    })
  );
}

// --- One VM's attempt ---------------------------------------------------------------

interface Attempt {
  readonly decided: Decided;
  readonly span: ManualSpan;
  readonly write: PlacementWrite;
}

function beginAttempt(telemetry: Telemetry, decided: Decided, startTimeMs: number): Attempt {
  const { decision, vm, previous } = decided;
  const intent = vm.value;
  const operation = newestOperation(intent);
  const attempt = (previous?.value.attempts ?? 0) + 1;
  const span = telemetry.tracing.startSpan(vmPlace, {
    attributes: {
      "blixard.vm.id": intent.id,
      "blixard.vm.name": intent.name,
      "blixard.operation.id": operation.operationId,
      "blixard.node.id": decision.nodeId,
      "blixard.scheduler.candidate_count": decision.candidateCount,
      "blixard.scheduler.attempt": attempt,
      "blixard.scheduler.refusal": decision.refusals[0]?.reason,
      "blixard.vm.vcpu_count": intent.spec.vcpus,
      "blixard.vm.memory_size": intent.spec.memoryBytes,
    },
    parent: operation.trace ?? null,
    startTimeMs,
  });
  const { nodeId, refusals } = decision;
  return {
    decided,
    span,
    write: {
      vm,
      previous,
      placement: { vmId: intent.id, nodeId, refusals, timeMs: startTimeMs, attempts: attempt },
      assignment: nodeId === undefined ? undefined : planAssignment(intent, span.context),
    },
  };
}

/** The transaction belongs to the decision it stores, when it stores only one. */
function runUnder<T>(telemetry: Telemetry, attempts: readonly Attempt[], work: () => Promise<T>): Promise<T> {
  const only = attempts.length === 1 ? attempts[0]?.span.context : undefined;
  return telemetry.tracing.run(only, work);
}

function endAttempt(telemetry: Telemetry, { decided, span }: Attempt, stale: boolean, nowMs: number): void {
  const { decision, vm } = decided;
  const { metrics } = telemetry;
  const placed = decision.nodeId !== undefined;
  span.setAttributes({ "blixard.scheduler.outcome": stale ? "conflict" : placed ? "placed" : "pending" });
  span.end(nowMs);
  if (stale) return;
  const reason = decision.refusals[0]?.reason;
  metrics
    .bind(vmPlacementAttempts, placed || reason === undefined ? {} : { "error.type": reason })
    .add(1, span.context);
  if (!placed) return;
  const seconds = Math.max(0, nowMs - vm.value.createTimeMs) / 1000;
  metrics.bind(vmPlacementDuration, {}).record(seconds, span.context);
  metrics.bind(vmPhaseDuration, { "blixard.vm.phase": "placement" }).record(seconds, span.context);
}

// --- The queue's metrics ---------------------------------------------------------------

/** VMs without a node are nobody's but the leader's to count. */
function createQueueMetrics(telemetry: Telemetry, clock: Clock) {
  const size = telemetry.metrics.bind(schedulerQueueSize, {});
  const pending = telemetry.metrics.bind(vmCount, { "blixard.vm.state": "pending" });
  const age = telemetry.metrics.bind(schedulerQueueAge, {});
  let shownSize = 0;
  let shownPending = 0;

  function set(nextSize: number, nextPending: number, oldestTimeMs: number): void {
    size.add(nextSize - shownSize);
    pending.add(nextPending - shownPending);
    age.set(Math.max(0, clock.now() - oldestTimeMs) / 1000);
    shownSize = nextSize;
    shownPending = nextPending;
  }

  return {
    show(view: StoreView, candidates: ReadonlyMap<string, Candidate>): void {
      let oldestTimeMs = clock.now();
      for (const { vm } of candidates.values()) oldestTimeMs = Math.min(oldestTimeMs, vm.value.createTimeMs);
      set(candidates.size, view.unplacedVmIds.size, oldestTimeMs);
    },
    clear(): void {
      set(0, 0, clock.now());
    },
  };
}
