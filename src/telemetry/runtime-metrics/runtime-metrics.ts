/**
 * Metrics of the Node.js runtime, of this process and of its host, under the names
 * that OpenTelemetry gives them. On when the operator sets `runtime_metrics = true`.
 *
 * Three groups collected in the background, so that a host whose /proc or file
 * systems hang shows an age and never a failed scrape.
 */
import type { Metrics } from "../port.ts";
import { observeHost } from "./host-metrics.ts";
import { observeNodeRuntime } from "./node-runtime-metrics.ts";
import { observeProcess } from "./process-metrics.ts";

export interface RuntimeMetricsOptions {
  readonly metrics: Metrics;
  /** Default 10,000. */
  readonly intervalMs?: number;
  /** Default 5,000. */
  readonly timeoutMs?: number;
}

const DEFAULT_INTERVAL_MS = 10_000;
const DEFAULT_TIMEOUT_MS = 5_000;

/** Dispose to end the groups and their series. */
export function observeRuntimeMetrics(options: RuntimeMetricsOptions): Disposable {
  const { metrics } = options;
  const schedule = {
    intervalMs: options.intervalMs ?? DEFAULT_INTERVAL_MS,
    timeoutMs: options.timeoutMs ?? DEFAULT_TIMEOUT_MS,
  };
  const stack = new DisposableStack();
  stack.use(observeNodeRuntime(metrics, schedule));
  stack.use(observeProcess(metrics, schedule));
  stack.use(observeHost(metrics, schedule));
  return stack;
}
