/** `vm list` as a person types it, launcher included: wall time until the process has ended. */
import { runCli, TestNode } from "#test/support/test-node.ts";
import type { BenchmarkRow } from "./report.ts";
import { bootstrap, quantile } from "./statistics.ts";

const RUNS = 60;
const WARM_UP_RUNS = 5;

export async function benchVmList(): Promise<BenchmarkRow[]> {
  await using node = await TestNode.start({
    toml:
      `[node]\nid = "bench"\nbind = "127.0.0.1:0"\n[runtime]\ndriver = "simulated"\n` +
      `[observability.metrics.http_server]\nenabled = true\nbind = "127.0.0.1:0"\n`,
  });
  const times: number[] = [];
  for (let run = -WARM_UP_RUNS; run < RUNS; run++) {
    const start = performance.now();
    const result = await runCli(["vm", "list", "--data-dir", node.dataDirectory]);
    if (result.exitCode !== 0) throw new Error(`vm list failed:\n${result.stderr}`);
    if (run >= 0) times.push(performance.now() - start);
  }
  return [
    {
      what: "vm list, launcher included, p95",
      unit: "ms",
      interval: bootstrap(times, (sample) => quantile(sample, 0.95)),
      budget: { atMost: 150 },
      observations: RUNS,
    },
  ];
}
