/** 200,000 points as OTLP protobuf: our encoder against the one that the SDK's exporters use. */
import { type EncodingCost, type EncodingKind, encodingKinds } from "./otlp-subject.ts";
import type { BenchmarkRow } from "./report.ts";
import { bootstrap, median } from "./statistics.ts";
import { startSubject, type Subject } from "./subject.ts";

const BLOCKS = 30;
const WARM_UP_BLOCKS = 3;

export async function benchOtlpEncoding(): Promise<BenchmarkRow[]> {
  using ended = new DisposableStack();
  const subjects = new Map<EncodingKind, Subject>();
  for (const kind of encodingKinds) {
    subjects.set(kind, ended.use((await startSubject("otlp-subject.ts", kind)).subject));
  }
  const costs: Record<EncodingKind, EncodingCost[]> = { ours: [], "otlp-transformer": [] };
  for (let block = -WARM_UP_BLOCKS; block < BLOCKS; block++) {
    for (const [kind, subject] of subjects) {
      const cost = (await subject.ask("encode")) as EncodingCost;
      if (block >= 0) costs[kind].push(cost);
    }
  }
  return rowsOf(costs.ours, costs["otlp-transformer"]);
}

function rowsOf(ours: readonly EncodingCost[], theirs: readonly EncodingCost[]): BenchmarkRow[] {
  const cpuOf = (costs: readonly EncodingCost[]): number[] => costs.map(({ cpuMs }) => cpuMs);
  const longest = ours.map(({ longestBlockMs }) => longestBlockMs);
  const longestCpu = ours.map(({ longestBlockCpuMs }) => longestBlockCpuMs);
  const ratios = ours.map(({ cpuMs }, block) => cpuMs / (theirs[block]?.cpuMs ?? Number.NaN));
  const row = { observations: BLOCKS };
  return [
    {
      ...row,
      what: "OTLP encoding of 200,000 points: CPU",
      unit: "ms",
      interval: bootstrap(cpuOf(ours), median),
      budget: { atMost: 50 },
    },
    {
      ...row,
      // What is left of a block without the time in which others had the processor.
      what: "OTLP encoding of 200,000 points: longest block, worst, by CPU",
      unit: "ms",
      interval: bootstrap(longestCpu, (sample) => Math.max(...sample)),
      budget: { atMost: 50 },
    },
    {
      ...row,
      what: "OTLP encoding of 200,000 points: longest block, worst",
      unit: "ms",
      interval: bootstrap(longest, (sample) => Math.max(...sample)),
      budget: { atMost: 50 },
    },
    {
      ...row,
      what: `OTLP encoding: CPU over otlp-transformer's (${median(cpuOf(theirs)).toFixed(0)} ms)`,
      unit: "",
      interval: bootstrap(ratios, median),
      budget: { atMost: 0.5 },
    },
  ];
}
