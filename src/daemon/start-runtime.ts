/** The runtime that the configuration asks for, started: the guardian found or made, the host probed. */
import { currentUserId } from "#config/paths.ts";
import { createQemuRuntime } from "#runtime/qemu/qemu-runtime.ts";
import type { Runtime, RuntimeCapabilities } from "#runtime/runtime.ts";
import { createSimulatedRuntime } from "#runtime/simulated/simulated-runtime.ts";
import type { Telemetry } from "#telemetry/port.ts";
import { guardianEntry } from "./guardian-program.ts";
import type { Lifecycle } from "./lifecycle.ts";
import type { NodeEnvironment } from "./node-environment.ts";

export interface NodeRuntime {
  readonly runtime: Runtime;
  readonly capabilities: RuntimeCapabilities;
}

type RuntimeEnvironment = NodeEnvironment & { readonly telemetry: Telemetry };

const STOP_TIMEOUT_MS = 5_000;

/** @throws BlixardError TOOL_MISSING, GUARDIAN_UNAVAILABLE, HYPERVISOR_FAILED, CONFIG_INVALID */
export async function startRuntime(environment: RuntimeEnvironment, lifecycle: Lifecycle): Promise<NodeRuntime> {
  const runtime = createRuntime(environment);
  // Before it has started: a start that fails may have made a guardian already.
  lifecycle.started({ name: "runtime", stop: () => runtime.stop(), stopTimeoutMs: STOP_TIMEOUT_MS });
  return { runtime, capabilities: await runtime.start() };
}

function createRuntime({ config, clock, telemetry, tools, runDirectory }: RuntimeEnvironment): Runtime {
  const { driver, qemuBinary, accelerator, machine, user, guardian } = config.runtime;
  if (driver === "simulated") return createSimulatedRuntime({ clock });
  return createQemuRuntime({
    dataDir: config.node.dataDir,
    runDir: runDirectory,
    guardianProgram: guardian === "service" ? undefined : { entryPath: guardianEntry() },
    qemuBinary,
    tools,
    accelerator,
    machine,
    user,
    isRoot: currentUserId() === 0,
    clock,
    telemetry,
  });
}
