/**
 * A runtime that runs nothing: machines are timers in this process. It stands
 * beside the real driver behind the same port, for tests of scale and for unit
 * tests of what is above it, and says what it is: `driver: "simulated"`,
 * accelerator `none`, and a serial log that says so.
 *
 * Machines live in memory alone. They end with the daemon, so `recover` finds
 * none, and a restarted daemon launches its VMs anew by their restart policy.
 */
import type { Clock } from "#model/clock.ts";
import { BlixardError } from "#model/errors.ts";
import { formatTraceparent } from "#model/trace-context.ts";
import type { VmExitCause } from "#model/vm.ts";
import { createMachineEvents } from "../machine-events.ts";
import type { LaunchRequest, LogChunk, Machine, MachineUsage, Runtime } from "../runtime.ts";

export interface SimulatedRuntimeOptions {
  readonly clock: Clock;
  /** From the launch to a hypervisor that answers. Default 0. */
  readonly launchDelayMs?: number;
  /** From there to a guest that says it is ready. Default 0. */
  readonly bootDelayMs?: number;
  /** How long a guest takes to obey a graceful stop. Default 0. */
  readonly stopDelayMs?: number;
}

export interface SimulatedRuntime extends Runtime {
  /** For tests: the guest of a VM ends by itself. False when none runs. */
  endGuest(vmId: string, cause: VmExitCause): boolean;
}

/** Chosen ports count up from here, so that they are told apart from real ones. */
const FIRST_PORT = 49_152;

export function createSimulatedRuntime(options: SimulatedRuntimeOptions): SimulatedRuntime {
  const { clock, launchDelayMs = 0, bootDelayMs = 0, stopDelayMs = 0 } = options;
  const machines = new Map<string, SimulatedMachine>();
  let launches = 0;

  return {
    driver: "simulated",
    async start() {
      return {
        driver: "simulated",
        accelerator: "none",
        acceleratorReason: "simulated machines run nothing",
        kvmUsable: undefined,
        hypervisorVersion: "simulated",
        machineType: "none",
      };
    },
    recover: async () => [],
    async launch(request, signal) {
      if (machines.has(request.vmId)) {
        throw new BlixardError("HYPERVISOR_FAILED", `a simulated machine of ${request.vmName} runs already`);
      }
      const machine = new SimulatedMachine(request, { clock, stopDelayMs, port: FIRST_PORT + (launches++ % 16_000) });
      // Taken before the wait: a second launch meanwhile must be refused.
      machines.set(request.vmId, machine);
      void machine.exited.then(() => machines.delete(request.vmId));
      try {
        await clock.delay(launchDelayMs, signal);
      } catch (error) {
        machine.end("killed");
        throw error;
      }
      machine.boot(bootDelayMs);
      return machine;
    },
    async remove(vmId) {
      if (machines.has(vmId)) throw new BlixardError("INTERNAL", "a machine that runs cannot be removed");
    },
    async *readLog(vmId): AsyncGenerator<LogChunk> {
      const state = machines.has(vmId) ? "runs" : "does not run";
      yield { data: Buffer.from(`simulated: this machine ${state}, and no guest writes here\n`), skippedBytes: 0 };
    },
    async stop() {
      for (const machine of machines.values()) machine.letGo();
    },
    endGuest(vmId, cause) {
      const machine = machines.get(vmId);
      machine?.end(cause);
      return machine !== undefined;
    },
  };
}

interface SimulatedMachineOptions {
  readonly clock: Clock;
  readonly stopDelayMs: number;
  readonly port: number;
}

class SimulatedMachine implements Machine {
  readonly vmId: string;
  readonly instanceId: string;
  readonly startTimeMs: number;
  readonly pid = undefined;
  readonly publishedPorts: Machine["publishedPorts"];
  readonly exited: Promise<void>;
  readonly #clock: Clock;
  readonly #stopDelayMs: number;
  readonly #request: LaunchRequest;
  readonly #stream = createMachineEvents();
  readonly #ended = new AbortController();
  #markExited: () => void = () => {};
  #paused = false;

  constructor(request: LaunchRequest, { clock, stopDelayMs, port }: SimulatedMachineOptions) {
    this.vmId = request.vmId;
    this.instanceId = request.instanceId;
    this.startTimeMs = clock.now();
    this.#clock = clock;
    this.#stopDelayMs = stopDelayMs;
    this.#request = request;
    const { network } = request.spec;
    this.publishedPorts =
      network.kind === "user"
        ? network.ports.map((published) => ({
            ...published,
            hostPort: published.hostPort === 0 ? port : published.hostPort,
          }))
        : [];
    this.exited = new Promise((resolve) => (this.#markExited = resolve));
  }

  get events(): Machine["events"] {
    return this.#stream.events;
  }

  /** Says "ready" after the delay unless it has ended. */
  boot(delayMs: number): void {
    this.#clock.delay(delayMs, this.#ended.signal).then(
      () => this.#sayReady(delayMs),
      () => undefined,
    );
  }

  #sayReady(bootMs: number): void {
    const timeMs = this.#clock.now();
    const { trace } = this.#request;
    const uptimeSeconds = bootMs / 1000;
    this.#stream.push({
      kind: "ready",
      source: "guest",
      timeMs,
      boot: {
        bootId: this.instanceId,
        uptimeSeconds,
        marks: { init: uptimeSeconds / 2, agent: uptimeSeconds },
        traceparent: trace === undefined ? undefined : formatTraceparent(trace),
        baggage: trace?.baggage,
        hypervisorStartTimeMs: timeMs - bootMs,
        receivedTimeMs: timeMs,
      },
    });
  }

  async pause(): Promise<void> {
    this.#refuseWhenGone();
    if (this.#paused) return;
    this.#paused = true;
    this.#stream.push({ kind: "paused", timeMs: this.#clock.now() });
  }

  async resume(): Promise<void> {
    this.#refuseWhenGone();
    if (!this.#paused) return;
    this.#paused = false;
    this.#stream.push({ kind: "resumed", timeMs: this.#clock.now() });
  }

  async shutdown({
    timeoutMs,
    force,
  }: {
    readonly timeoutMs: number;
    readonly force: boolean;
  }): Promise<{ forced: boolean }> {
    const forced = force || this.#stopDelayMs > timeoutMs;
    // Rejects when the guest ends by itself meanwhile: then it is gone as well.
    await this.#clock
      .delay(force ? 0 : Math.min(this.#stopDelayMs, timeoutMs), this.#ended.signal)
      .catch(() => undefined);
    this.end(forced ? "killed" : "shutdown");
    return { forced };
  }

  async usage(): Promise<MachineUsage> {
    this.#refuseWhenGone();
    return {
      uptimeSeconds: (this.#clock.now() - this.startTimeMs) / 1000,
      cpuSeconds: { user: 0, system: 0 },
      memoryResidentBytes: 0,
      guestMemory: undefined,
      disks: [],
    };
  }

  async console(): Promise<never> {
    throw new BlixardError("GUEST_CHANNEL_UNAVAILABLE", "a simulated machine has no console", {
      hint: 'Run the node with [runtime] driver = "qemu" for real guests.',
    });
  }

  end(cause: VmExitCause): void {
    if (this.#ended.signal.aborted) return;
    this.#ended.abort(new BlixardError("HYPERVISOR_FAILED", "the simulated machine has ended"));
    const exit = {
      cause,
      exitCode: cause === "shutdown" ? 0 : undefined,
      signal: undefined,
      timeMs: this.#clock.now(),
      detail: "",
    };
    this.#stream.push({ kind: "exited", exit });
    this.#markExited();
  }

  letGo(): void {
    this.#ended.abort();
    this.#stream.close();
  }

  #refuseWhenGone(): void {
    if (this.#ended.signal.aborted) throw new BlixardError("HYPERVISOR_FAILED", "the simulated machine has ended");
  }
}
