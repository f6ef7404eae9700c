/** A control plane in memory, as an agent sees it: the test says what is assigned and reads what is reported. */
import type { AssignmentEvent, ControlPlane } from "#agent/control-plane.ts";
import type { BlixardError } from "#model/errors.ts";
import type { ImageManifest } from "#model/image.ts";
import type { TraceContext } from "#model/trace-context.ts";
import type { VmAssignment, VmStatus } from "#model/vm.ts";
import { parseVmSpec, type VmSpecInput } from "#model/vm-spec.ts";
import { createMachineEvents } from "#runtime/machine-events.ts";
import type { Machine, MachineUsage } from "#runtime/runtime.ts";
import { anImage } from "./store-fixtures.ts";

export interface FakeControlPlane extends ControlPlane {
  readonly reports: readonly VmStatus[];
  readonly registrations: number;
  lastReport(vmId: string): VmStatus | undefined;
  send(event: AssignmentEvent): void;
  /** From now on this call fails with the error; undefined: it works again. */
  fail(call: "register" | "heartbeat" | "reportStatus" | "resolveImage", error: BlixardError | undefined): void;
}

export function createFakeControlPlane(now: () => number, image: ImageManifest = anImage()): FakeControlPlane {
  const reports: VmStatus[] = [];
  const failures = new Map<string, BlixardError>();
  const events: AssignmentEvent[] = [];
  let wake: () => void = () => {};
  let registrations = 0;

  function check(call: string): void {
    const failure = failures.get(call);
    if (failure !== undefined) throw failure;
  }

  return {
    reports,
    get registrations() {
      return registrations;
    },
    lastReport: (vmId) => reports.findLast((status) => status.vmId === vmId),
    send(event) {
      events.push(event);
      wake();
    },
    fail(call, error) {
      if (error === undefined) failures.delete(call);
      else failures.set(call, error);
    },
    async register() {
      check("register");
      registrations++;
      return { sentTimeMs: now(), ttlMs: 15_000 };
    },
    async heartbeat() {
      check("heartbeat");
      return { sentTimeMs: now(), ttlMs: 15_000 };
    },
    async *watchAssignments(signal) {
      while (!signal.aborted) {
        const event = events.shift();
        if (event !== undefined) yield event;
        else {
          await new Promise<void>((resolve) => {
            wake = resolve;
            signal.addEventListener("abort", () => resolve(), { once: true });
          });
        }
      }
    },
    async reportStatus(status) {
      check("reportStatus");
      reports.push(status);
    },
    async resolveImage() {
      check("resolveImage");
      return image;
    },
    deregister: async () => {},
  };
}

export const createTrace: TraceContext = { traceId: "a".repeat(32), spanId: "b".repeat(16), sampled: true };

export function anAssignment(
  overrides: Partial<Omit<VmAssignment, "spec">> = {},
  spec: VmSpecInput = {},
): VmAssignment {
  return {
    vmId: "vm-1",
    vmName: "web",
    spec: parseVmSpec({ image: "demo", ...spec }),
    desiredState: "running",
    generation: 1,
    restartGeneration: 0,
    force: false,
    cause: createTrace,
    origin: createTrace,
    operationId: "operation-1",
    operationKind: "create",
    operationTimeMs: 1_700_000_000_000,
    imageDigest: anImage().digest,
    ...overrides,
  };
}

export interface MachineScript {
  readonly vmId: string;
  /** The guest never says that it is ready. */
  readonly silent?: boolean;
  /** The guest does not stop unless it is forced. */
  readonly stubborn?: boolean;
  readonly onShutdown?: (force: boolean) => void;
  readonly usage?: () => Promise<MachineUsage>;
}

/** A machine that does as it is told, or not. */
export function aMachine(script: MachineScript): Machine {
  const { vmId } = script;
  const stream = createMachineEvents();
  const gone = Promise.withResolvers<{ forced: boolean }>();
  if (script.silent !== true) {
    stream.push({ kind: "ready", source: "guest", boot: undefined, timeMs: 1_700_000_000_000 });
  }
  return {
    vmId,
    instanceId: `run-of-${vmId}`,
    startTimeMs: 1_699_999_000_000,
    pid: 42,
    publishedPorts: [],
    events: stream.events,
    pause: async () => {},
    resume: async () => {},
    async shutdown({ force }) {
      script.onShutdown?.(force);
      if (script.stubborn === true && !force) return gone.promise;
      const exit = {
        cause: "killed",
        exitCode: undefined,
        signal: "SIGKILL",
        timeMs: 1_700_000_100_000,
        detail: "",
      } as const;
      stream.push({ kind: "exited", exit });
      gone.resolve({ forced: force });
      return { forced: force };
    },
    usage: script.usage ?? (() => Promise.reject(new Error("not asked for here"))),
    console: () => Promise.reject(new Error("not asked for here")),
  };
}
