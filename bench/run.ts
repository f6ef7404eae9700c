/**
 * `npm run bench [name …]`: the budgets, measured. Exits 1 when one is certainly missed.
 * Nothing else should run on the machine; the load is printed before and after.
 */
import { join } from "node:path";
import { buildBundle } from "../scripts/build.ts";
import { benchApiThroughput } from "./api-throughput.ts";
import { benchOtlpEncoding } from "./otlp-encoding.ts";
import { benchRecordCell } from "./record-cell.ts";
import { benchRecordingPeers } from "./recording-peers.ts";
import { describeMachine, report, type BenchmarkRow } from "./report.ts";
import { benchScrapeSeries } from "./scrape-series.ts";
import { benchStartLatency } from "./start-latency.ts";
import { benchVmList } from "./vm-list.ts";

const benchmarks: Readonly<Record<string, () => Promise<BenchmarkRow[]> | BenchmarkRow[]>> = {
  "start-latency": benchStartLatency,
  "api-throughput": benchApiThroughput,
  "record-cell": benchRecordCell,
  "recording-peers": benchRecordingPeers,
  "scrape-series": benchScrapeSeries,
  "otlp-encoding": benchOtlpEncoding,
  "vm-list": benchVmList,
};

const names = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(benchmarks);
const print = (line: string): void => void process.stdout.write(`${line}\n`);
// Nodes and the CLI run as shipped.
await buildBundle(join(import.meta.dirname, "../dist"));
print(describeMachine());
let kept = true;
for (const name of names) {
  const benchmark = benchmarks[name];
  if (benchmark === undefined) {
    print(`there is no benchmark ${name}: ${Object.keys(benchmarks).join(", ")}`);
    process.exit(2);
  }
  kept = report(await benchmark(), print) && kept;
}
print(`afterwards: ${describeMachine()}`);
process.exitCode = kept ? 0 : 1;
