/**
 * The agent: the VMs of this node. It learns from the control plane (a port, never
 * the store) what is assigned, drives the runtime toward it, and reports what it sees.
 * The composition root starts it after the runtime and before the API; the API asks it
 * for logs and consoles of guests that run here.
 *
 *   start: recover machines ─► register ─► watch ─► first snapshot ─► ready
 *   then:  assignments ─► one supervisor per VM ─► runtime; statuses ─► reporter ─► control plane
 *   stop:  let go of everything; guests run on, the lease runs out by itself
 *
 * Machines that are found without an assignment are ended only on the word of a full
 * snapshot: an agent that cannot reach the control plane touches nothing.
 */
import { nodeStartRecover } from "#gen/telemetry/spans.ts";
import type { Clock } from "#model/clock.ts";
import { BlixardError } from "#model/errors.ts";
import type { NodeRegistration } from "#model/node.ts";
import type { VmAssignment, VmStatus } from "#model/vm.ts";
import type {
  LogChunk,
  Machine,
  MachineConsole,
  ReadLogOptions,
  RecoveredMachine,
  Runtime,
  RuntimeCapabilities,
} from "#runtime/runtime.ts";
import type { Telemetry } from "#telemetry/port.ts";
import type { AssignmentEvent, ControlPlane, Heartbeat } from "./control-plane.ts";
import { createHeartbeats } from "./heartbeat.ts";
import type { ImageSource } from "./image-source.ts";
import { type FoundOnHost, restoreObservation } from "./restore-observation.ts";
import { createSlots } from "./slots.ts";
import { createStatusReporter } from "./status-reporter.ts";
import type { SupervisorEnvironment } from "./vm-context.ts";
import { newObservation } from "./vm-observation.ts";
import { createVmSupervisor, type VmSupervisor } from "./vm-supervisor.ts";
import { createVmTelemetry } from "./vm-telemetry.ts";

export interface AgentOptions {
  readonly registration: NodeRegistration;
  /** What `runtime.start()` found; the runtime must have been started. */
  readonly capabilities: RuntimeCapabilities;
  readonly runtime: Runtime;
  readonly images: ImageSource;
  readonly controlPlane: ControlPlane;
  readonly clock: Clock;
  /** Between 0 (inclusive) and 1. */
  readonly random: () => number;
  /** A fresh name for a run of a guest. */
  readonly newInstanceId: () => string;
  readonly telemetry: Telemetry;
  /** Launches under way at a time, from image to hypervisor. Default 4. */
  readonly maximumConcurrentLaunches?: number;
}

export interface Agent {
  /**
   * Resolves when machines of an earlier daemon are taken over and the first assignments are acted on.
   * @throws BlixardError when the runtime or the control plane cannot be used; the reason of `signal`
   */
  start(signal?: AbortSignal): Promise<void>;
  /** Stores pending statuses for at most `timeoutMs`, then lets go of everything. Guests run on. */
  stop(options: { readonly timeoutMs: number }): Promise<void>;
  /** VMs of this node, with what they were given. */
  readonly vms: readonly AgentVm[];
  readonly lastHeartbeat: Heartbeat | undefined;
  /** The serial log. @throws BlixardError VM_NOT_ON_NODE */
  readLog(vmId: string, options: ReadLogOptions, signal: AbortSignal): AsyncIterable<LogChunk>;
  /** @throws BlixardError VM_NOT_ON_NODE, VM_STATE_CONFLICT when no guest runs, GUEST_CHANNEL_UNAVAILABLE */
  openConsole(vmId: string, signal: AbortSignal): Promise<MachineConsole>;
}

export interface AgentVm {
  readonly vmId: string;
  readonly vmName: string;
  readonly status: VmStatus;
  readonly assignment: VmAssignment | undefined;
  readonly machine: Machine | undefined;
}

const DEFAULT_CONCURRENT_LAUNCHES = 4;
const WATCH_RETRY = { initialDelayMs: 200, maximumDelayMs: 5000 };

export function createAgent(options: AgentOptions): Agent {
  const { runtime, controlPlane, clock, telemetry, registration, capabilities } = options;
  const stopped = new AbortController();
  const supervisors = new Map<string, VmSupervisor>();
  /** Assigned again while the supervisor of an earlier life winds up. */
  const successors = new Map<string, VmAssignment>();
  /** Found on the host, not yet claimed by a snapshot. */
  const found = new Map<string, RecoveredMachine>();
  const heartbeats = createHeartbeats({ controlPlane, registration, clock, telemetry });
  const reporter = createStatusReporter({
    reportStatus: (status, signal) => controlPlane.reportStatus(status, signal),
    clock,
    telemetry,
  });
  const environment: SupervisorEnvironment = {
    identity: { nodeId: registration.id, driver: capabilities.driver, accelerator: capabilities.accelerator },
    capabilities,
    runtime,
    images: options.images,
    resolveImage: (name) => controlPlane.resolveImage(name),
    reporter,
    clock,
    newInstanceId: options.newInstanceId,
    launches: createSlots(options.maximumConcurrentLaunches ?? DEFAULT_CONCURRENT_LAUNCHES),
    vmTelemetry: createVmTelemetry(telemetry, registration.id),
  };
  const firstSnapshot = Promise.withResolvers<void>();
  let watching: Promise<void> | undefined;

  async function recoverMachines(): Promise<void> {
    await telemetry.tracing.span(
      nodeStartRecover,
      { attributes: { "blixard.node.id": registration.id } },
      async (span) => {
        for (const machine of await runtime.recover()) found.set(machine.vmId, machine);
        const running = [...found.values()].filter((machine) => machine.kind === "running").length;
        span.setAttributes({
          "blixard.node.adopted_count": running,
          "blixard.node.exited_count": found.size - running,
        });
      },
    );
  }

  // --- Assignments -------------------------------------------------------------

  async function watchAssignments(): Promise<void> {
    for (let failures = 0; !stopped.signal.aborted; failures++) {
      try {
        for await (const event of controlPlane.watchAssignments(stopped.signal)) {
          failures = 0;
          follow(event);
        }
      } catch (error) {
        if (stopped.signal.aborted) return;
        telemetry.logger.warn("the watch of assignments broke off, trying again", {}, error);
      }
      const ceilingMs = Math.min(WATCH_RETRY.maximumDelayMs, WATCH_RETRY.initialDelayMs * 2 ** Math.min(failures, 10));
      await clock.delay(ceilingMs * (0.5 + options.random() / 2), stopped.signal).catch(() => undefined);
    }
  }

  function follow(event: AssignmentEvent): void {
    switch (event.kind) {
      case "snapshot":
        followSnapshot(event.assignments, event.statuses);
        return;
      case "assigned":
        assign(event.assignment, undefined);
        return;
      case "withdrawn":
        successors.delete(event.vmId);
        supervisors.get(event.vmId)?.withdraw();
    }
  }

  function followSnapshot(assignments: readonly VmAssignment[], statuses: readonly VmStatus[]): void {
    const statusByVm = new Map(statuses.map((status) => [status.vmId, status]));
    const assigned = new Set(assignments.map(({ vmId }) => vmId));
    for (const [vmId, supervisor] of supervisors) {
      if (assigned.has(vmId)) continue;
      successors.delete(vmId);
      supervisor.withdraw();
    }
    for (const assignment of assignments) assign(assignment, statusByVm.get(assignment.vmId));
    for (const [vmId, machine] of found) endUnassigned(vmId, machine);
    found.clear();
    firstSnapshot.resolve();
  }

  function assign(assignment: VmAssignment, status: VmStatus | undefined): void {
    const { vmId } = assignment;
    const supervisor = supervisors.get(vmId);
    if (supervisor === undefined) {
      adopt(assignment, status);
    } else if (supervisor.accepts(assignment)) {
      supervisor.assign(assignment);
    } else {
      successors.set(vmId, assignment);
      supervisor.withdraw();
    }
  }

  function adopt(assignment: VmAssignment, status: VmStatus | undefined): void {
    const { vmId } = assignment;
    const recovered = found.get(vmId);
    found.delete(vmId);
    const observation = restoreObservation(assignment, status, foundOnHost(recovered), clock.now());
    supervise({
      environment,
      vmId,
      goal: { kind: "assigned", assignment },
      observation,
      ...(recovered?.kind === "running" ? { machine: recovered.machine } : {}),
      ...(recovered?.kind === "exited" && status?.lastExit?.timeMs !== recovered.exit.timeMs
        ? { exit: recovered }
        : {}),
      ...(status === undefined ? {} : { reported: status }),
    });
  }

  /** Nobody wants this machine: it is ended, and what is left of it removed. */
  function endUnassigned(vmId: string, recovered: RecoveredMachine): void {
    telemetry.logger.warn("a machine without an assignment is removed", { "blixard.vm.id": vmId });
    const observation = newObservation(clock.now());
    if (recovered.kind === "exited") {
      supervise({ environment, vmId, goal: { kind: "withdrawn" }, observation });
      return;
    }
    const { machine } = recovered;
    supervise({
      environment,
      vmId,
      goal: { kind: "withdrawn" },
      observation: {
        ...observation,
        state: "running",
        machine: {
          instanceId: machine.instanceId,
          phase: "ready",
          startTimeMs: machine.startTimeMs,
          readyTimeMs: undefined,
          bootDeadlineMs: Number.POSITIVE_INFINITY,
          readiness: undefined,
          publishedPorts: machine.publishedPorts,
        },
      },
      machine,
    });
  }

  function supervise(supervisorOptions: Omit<Parameters<typeof createVmSupervisor>[0], "onGone">): void {
    const { vmId } = supervisorOptions;
    supervisors.set(
      vmId,
      createVmSupervisor({
        ...supervisorOptions,
        onGone() {
          supervisors.delete(vmId);
          const successor = successors.get(vmId);
          successors.delete(vmId);
          if (successor !== undefined) adopt(successor, undefined);
        },
      }),
    );
  }

  // --- What the API asks -------------------------------------------------------

  function requireVm(vmId: string): VmSupervisor {
    const supervisor = supervisors.get(vmId);
    if (supervisor !== undefined) return supervisor;
    throw new BlixardError("VM_NOT_ON_NODE", `VM ${vmId} is not on node ${registration.id}`, {
      hint: "Ask the node that `blixard vm get` shows.",
    });
  }

  return {
    async start(signal) {
      await recoverMachines();
      signal?.throwIfAborted();
      await heartbeats.start();
      watching = telemetry.tracing.run(undefined, watchAssignments);
      await raceAbort(firstSnapshot.promise, signal);
    },
    async stop({ timeoutMs }) {
      stopped.abort(new BlixardError("SHUTTING_DOWN", "the node is stopping"));
      await Promise.all([
        watching,
        heartbeats.stop(),
        ...[...supervisors.values()].map((supervisor) => supervisor.stop()),
      ]);
      const deadline = new AbortController();
      const timer = new AbortController();
      clock.delay(timeoutMs, timer.signal).then(
        () => deadline.abort(),
        () => undefined,
      );
      await reporter.flush(deadline.signal);
      timer.abort();
      await reporter.stop();
    },
    get vms() {
      return [...supervisors.values()];
    },
    get lastHeartbeat() {
      return heartbeats.last;
    },
    readLog(vmId, logOptions, signal) {
      requireVm(vmId);
      return runtime.readLog(vmId, logOptions, signal);
    },
    async openConsole(vmId, signal) {
      const { machine, status, vmName } = requireVm(vmId);
      if (machine !== undefined) return machine.console(signal);
      throw new BlixardError("VM_STATE_CONFLICT", `VM ${vmName} is ${status.state}: it has no console now`, {
        hint: `Start it first: blixard vm start ${vmName}`,
      });
    },
  };
}

function foundOnHost(recovered: RecoveredMachine | undefined): FoundOnHost {
  if (recovered === undefined) return { kind: "nothing" };
  return recovered.kind === "running"
    ? { kind: "machine", machine: recovered.machine }
    : { kind: "exit", exit: recovered.exit };
}

async function raceAbort(work: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
  if (signal === undefined) return work;
  signal.throwIfAborted();
  const { promise, reject } = Promise.withResolvers<never>();
  const abort = (): void => reject(signal.reason as Error);
  signal.addEventListener("abort", abort, { once: true });
  try {
    await Promise.race([work, promise]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
