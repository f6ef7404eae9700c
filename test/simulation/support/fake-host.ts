/**
 * A host whose machines outlive the daemon that launched them, as under a guardian:
 * the world that an agent meets when it comes back. It keeps the books that the
 * invariants read: which machine runs, what is left on disk, whether a VM ever had
 * two machines.
 */
import type { Clock } from "#model/clock.ts";
import { BlixardError } from "#model/errors.ts";
import type { VmExit, VmExitCause } from "#model/vm.ts";
import { createMachineEvents } from "#runtime/machine-events.ts";
import type {
  LaunchRequest,
  Machine,
  MachineEvent,
  MachineUsage,
  RecoveredMachine,
  Runtime,
} from "#runtime/runtime.ts";
import type { Life } from "./life.ts";
import type { SeededRandom } from "#test/support/seeded-random.ts";

export interface HostFaults {
  /** Of a launch that it fails. */
  launchFailure: number;
  /** Of a guest that it never becomes ready. */
  hangingBoot: number;
  /** Of a graceful stop that the guest ignores. */
  ignoredStop: number;
  /** Of a request to the hypervisor that it fails. */
  deafHypervisor: number;
}

export interface FakeHost {
  readonly violations: readonly string[];
  readonly runningVmIds: ReadonlySet<string>;
  isPaused(vmId: string): boolean;
  /** VMs of which something is kept on disk. */
  readonly keptVmIds: ReadonlySet<string>;
  readonly launches: number;
  /** The guest of one VM ends by itself. */
  endGuest(vmId: string, cause: VmExitCause): void;
  /** The guardian dies and all guests with it. */
  loseGuardian(): void;
  /** The runtime as one daemon has it. */
  runtimeFor(life: Life): Runtime;
}

interface World {
  readonly clock: Clock;
  readonly random: SeededRandom;
  readonly faults: HostFaults;
}

export function createFakeHost(world: World): FakeHost {
  const machines = new Map<string, HostMachine>();
  const ended = new Map<string, { readonly instanceId: string; readonly exit: VmExit }>();
  const kept = new Set<string>();
  const violations: string[] = [];
  let launches = 0;

  function spawn(request: LaunchRequest): HostMachine {
    launches++;
    if (machines.has(request.vmId)) violations.push(`VM ${request.vmName} got a second machine`);
    const machine = createHostMachine(request, world, (exit) => {
      machines.delete(request.vmId);
      ended.set(request.vmId, { instanceId: request.instanceId, exit });
    });
    machines.set(request.vmId, machine);
    ended.delete(request.vmId);
    return machine;
  }

  return {
    violations,
    get runningVmIds() {
      return new Set(machines.keys());
    },
    isPaused: (vmId) => machines.get(vmId)?.paused === true,
    keptVmIds: kept,
    get launches() {
      return launches;
    },
    endGuest: (vmId, cause) => machines.get(vmId)?.end(cause),
    loseGuardian() {
      for (const machine of machines.values()) machine.end("guardian_lost");
    },
    runtimeFor(life) {
      const clock = life.clock(world.clock);
      return {
        driver: "simulated",
        start: async () => {
          throw new Error("not asked for here");
        },
        recover: async () => {
          await clock.delay(1);
          const running = [...machines.values()].map((machine): RecoveredMachine => ({
            kind: "running",
            vmId: machine.vmId,
            machine: machine.handleFor(life),
          }));
          return [...running, ...[...ended].map(([vmId, end]) => ({ kind: "exited", vmId, ...end }) as const)];
        },
        async launch(request, signal) {
          kept.add(request.vmId);
          await clock.delay(world.random.between(0, 50), signal);
          if (world.random.chance(world.faults.launchFailure)) {
            throw new BlixardError("HYPERVISOR_FAILED", "the hypervisor did not start");
          }
          const machine = spawn(request);
          try {
            await clock.delay(world.random.between(0, 50), signal);
          } catch (error) {
            machine.end("killed");
            ended.delete(request.vmId);
            throw error;
          }
          return machine.handleFor(life);
        },
        async remove(vmId) {
          await clock.delay(world.random.between(0, 20));
          if (machines.has(vmId)) violations.push(`VM ${vmId} was removed while its machine ran`);
          kept.delete(vmId);
          ended.delete(vmId);
          await clock.delay(world.random.between(0, 20));
        },
        async *readLog() {},
        stop: async () => {},
      };
    },
  };
}

interface HostMachine {
  readonly vmId: string;
  readonly paused: boolean;
  end(cause: VmExitCause): void;
  handleFor(life: Life): Machine;
}

function createHostMachine(request: LaunchRequest, world: World, onEnd: (exit: VmExit) => void): HostMachine {
  const { clock, random, faults } = world;
  const startTimeMs = clock.now();
  const listeners = new Set<(event: MachineEvent) => void>();
  const over = new AbortController();
  const gone = Promise.withResolvers<void>();
  let ready = false;
  let paused = false;

  if (!random.chance(faults.hangingBoot)) {
    clock.delay(random.between(50, 3000), over.signal).then(becomeReady, () => undefined);
  }

  function becomeReady(): void {
    ready = true;
    tell(readyEvent());
  }

  function readyEvent(): MachineEvent {
    return { kind: "ready", source: "guest", boot: undefined, timeMs: clock.now() };
  }

  function tell(event: MachineEvent): void {
    for (const listener of listeners) listener(event);
  }

  function end(cause: VmExitCause): void {
    if (over.signal.aborted) return;
    over.abort();
    const exit: VmExit = { cause, exitCode: undefined, signal: undefined, timeMs: clock.now(), detail: "" };
    onEnd(exit);
    tell({ kind: "exited", exit });
    gone.resolve();
  }

  function setPaused(next: boolean): void {
    if (over.signal.aborted) throw new BlixardError("HYPERVISOR_UNRESPONSIVE", "the hypervisor is gone");
    if (random.chance(faults.deafHypervisor)) {
      throw new BlixardError("HYPERVISOR_UNRESPONSIVE", "the hypervisor does not answer");
    }
    paused = next;
    tell({ kind: next ? "paused" : "resumed", timeMs: clock.now() });
  }

  /** Asked once, the guest powers off in its own time, whether or not the daemon still lives. */
  function askToStop(): void {
    if (random.chance(faults.ignoredStop)) return;
    clock.delay(random.between(0, 2000), over.signal).then(
      () => end("shutdown"),
      () => undefined,
    );
  }

  function handleFor(life: Life): Machine {
    const stream = createMachineEvents();
    const daemonClock = life.clock(clock);
    listeners.add((event) => stream.push(event));
    if (ready) stream.push(readyEvent());
    if (paused) stream.push({ kind: "paused", timeMs: clock.now() });
    const usage: MachineUsage = {
      uptimeSeconds: 1,
      cpuSeconds: { user: 1, system: 1 },
      memoryResidentBytes: 1,
      guestMemory: undefined,
      disks: [],
    };
    return {
      vmId: request.vmId,
      instanceId: request.instanceId,
      startTimeMs,
      pid: undefined,
      publishedPorts: [],
      events: life.items(stream.events),
      pause: async () => {
        await daemonClock.delay(random.between(0, 10));
        setPaused(true);
        await daemonClock.delay(random.between(0, 10));
      },
      resume: async () => {
        await daemonClock.delay(random.between(0, 10));
        setPaused(false);
        await daemonClock.delay(random.between(0, 10));
      },
      async shutdown({ timeoutMs, force }) {
        await daemonClock.delay(random.between(0, 10));
        if (random.chance(faults.deafHypervisor)) {
          throw new BlixardError("GUARDIAN_UNAVAILABLE", "the guardian does not answer");
        }
        if (!force) askToStop();
        await life.settle(Promise.race([gone.promise, daemonClock.delay(force ? 0 : timeoutMs)]));
        const forced = !over.signal.aborted;
        end("killed");
        return { forced };
      },
      usage: async () => usage,
      console: async () => {
        throw new Error("not asked for here");
      },
    };
  }

  return {
    vmId: request.vmId,
    get paused() {
      return paused;
    },
    end,
    handleFor,
  };
}
