/**
 * `blixard node run`: the process around a node. Starts it, says in one line that it
 * serves, waits for a signal, stops it. A second signal ends the process at once.
 */
import type { Config } from "#config/config.ts";
import { notifyServiceManager, type ServiceState } from "#process/service-manager.ts";
import { startNode } from "./start-node.ts";

export interface RunNodeOptions {
  readonly version: string;
  /** About the configuration; logged once telemetry runs. */
  readonly warnings: readonly string[];
}

const SIGNALS = ["SIGTERM", "SIGINT", "SIGHUP"] as const;

/**
 * Resolves with the exit code when the node has stopped: 0, or 3 when it did not stop cleanly.
 * @throws BlixardError when it cannot start; nothing half-started is left
 */
export async function runNode(config: Config, { version, warnings }: RunNodeOptions): Promise<number> {
  const stopping = new AbortController();
  const onSignal = (signal: NodeJS.Signals): void => {
    if (stopping.signal.aborted) process.exit(128 + (signal === "SIGINT" ? 2 : signal === "SIGHUP" ? 1 : 15));
    stopping.abort();
  };
  for (const signal of SIGNALS) process.on(signal, onSignal);
  try {
    const node = await startNode({ config, version, warnings, signal: stopping.signal });
    if (node === undefined) return 0;
    process.stdout.write(`${node.readyLine}\n`);
    await tell("ready", node.readyLine);
    if (!stopping.signal.aborted) {
      await new Promise((resolve) => stopping.signal.addEventListener("abort", resolve, { once: true }));
    }
    const [failures] = await Promise.all([node.stop(), tell("stopping")]);
    return failures.length === 0 ? 0 : 3;
  } finally {
    for (const signal of SIGNALS) process.off(signal, onSignal);
  }
}

/** It serves all the same, but the service manager will give it up. */
async function tell(state: ServiceState, status?: string): Promise<void> {
  const options = { environment: process.env, ...(status === undefined ? {} : { status }) };
  await notifyServiceManager(state, options).catch((error: unknown) => {
    process.stderr.write(`blixard: ${String(error)}\n`);
  });
}
