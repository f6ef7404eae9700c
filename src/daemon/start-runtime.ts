/** The runtime that the configuration asks for, started: the guardian found or made, the host probed. */
import type { Runtime, RuntimeCapabilities } from "#runtime/runtime.ts";
import { createSimulatedRuntime } from "#runtime/simulated/simulated-runtime.ts";
import type { Telemetry } from "#telemetry/port.ts";
import type { Lifecycle } from "./lifecycle.ts";
import type { NodeEnvironment } from "./node-environment.ts";

export interface NodeRuntime {
  readonly runtime: Runtime;
  readonly capabilities: RuntimeCapabilities;
}

const STOP_TIMEOUT_MS = 5_000;

/** @throws BlixardError TOOL_MISSING, GUARDIAN_UNAVAILABLE, HYPERVISOR_FAILED */
export async function startRuntime(
  environment: NodeEnvironment & { readonly telemetry: Telemetry },
  lifecycle: Lifecycle,
): Promise<NodeRuntime> {
  const runtime = createRuntime(environment);
  const capabilities = await runtime.start();
  lifecycle.started({ name: "runtime", stop: () => runtime.stop(), stopTimeoutMs: STOP_TIMEOUT_MS });
  return { runtime, capabilities };
}

function createRuntime({ clock }: NodeEnvironment): Runtime {
  return createSimulatedRuntime({ clock });
}
