/** One scrape of 200,000 series, not compressed: what it costs and for how long it holds others up. */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { get } from "node:http";
import { join } from "node:path";
import { SERIES } from "./many-series.ts";
import type { BenchmarkRow } from "./report.ts";
import { type ScrapeCost, type Subject, subjects } from "./scrape-subject.ts";
import { bootstrap, median, quantile } from "./statistics.ts";

const BLOCKS = 30;
const WARM_UP_BLOCKS = 3;

interface Running {
  readonly child: ChildProcess;
  readonly port: number;
  readonly costs: ScrapeCost[];
}

export async function benchScrapeSeries(): Promise<BenchmarkRow[]> {
  const running = new Map<Subject, Running>();
  try {
    for (const subject of subjects) running.set(subject, await startSubject(subject));
    for (let block = -WARM_UP_BLOCKS; block < BLOCKS; block++) {
      for (const one of running.values()) {
        const cost = await measureScrape(one);
        if (block >= 0) one.costs.push(cost);
      }
    }
  } finally {
    for (const { child } of running.values()) child.kill("SIGKILL");
  }
  return rowsOf((subject) => running.get(subject)?.costs ?? []);
}

function rowsOf(costsOf: (subject: Subject) => readonly ScrapeCost[]): BenchmarkRow[] {
  const ours = costsOf("ours");
  const blocks = ours.map(({ longestBlockMs }) => longestBlockMs);
  const row = { observations: BLOCKS };
  const ratioTo = (peer: Subject): number[] =>
    ours.map(({ cpuMs }, block) => cpuMs / (costsOf(peer)[block]?.cpuMs ?? Number.NaN));
  const cpuOf = (subject: Subject): string =>
    `${median(costsOf(subject).map(({ cpuMs }) => cpuMs)).toFixed(0)} ms, longest block ${median(costsOf(subject).map(({ longestBlockMs }) => longestBlockMs)).toFixed(0)} ms`;
  return [
    {
      ...row,
      what: "scrape of 200,000 series: longest event-loop block, p95",
      unit: "ms",
      interval: bootstrap(blocks, (sample) => quantile(sample, 0.95)),
      budget: { atMost: 15 },
    },
    {
      ...row,
      what: "scrape of 200,000 series: longest event-loop block, worst",
      unit: "ms",
      interval: bootstrap(blocks, (sample) => Math.max(...sample)),
      budget: { atMost: 30 },
    },
    {
      ...row,
      what: `scrape: CPU over prom-client's (${cpuOf("ours")}; theirs ${cpuOf("prom-client")})`,
      unit: "",
      interval: bootstrap(ratioTo("prom-client"), median),
      budget: { atMost: 0.2 },
    },
    {
      ...row,
      what: `scrape: CPU over exporter-prometheus's (theirs ${cpuOf("exporter-prometheus")})`,
      unit: "",
      interval: bootstrap(ratioTo("exporter-prometheus"), median),
      budget: { atMost: 0.2 },
    },
  ];
}

async function startSubject(subject: Subject): Promise<Running> {
  const child = fork(join(import.meta.dirname, "scrape-subject.ts"), [subject]);
  const { port } = (await answerOf(child)) as { readonly port: number };
  return { child, port, costs: [] };
}

async function measureScrape({ child, port }: Running): Promise<ScrapeCost> {
  const begun = answerOf(child);
  child.send("begin");
  await begun;
  const lines = await scrape(port);
  if (lines < SERIES) throw new Error(`a page of ${lines} lines is not all of ${SERIES} series`);
  const cost = answerOf(child);
  child.send("end");
  return (await cost) as ScrapeCost;
}

async function answerOf(child: ChildProcess): Promise<unknown> {
  const ended = new AbortController();
  const gone = once(child, "exit", { signal: ended.signal }).then(() => {
    throw new Error("the process that is measured has ended");
  });
  try {
    const [message]: unknown[] = (await Promise.race([once(child, "message", { signal: ended.signal }), gone])) as [];
    return message;
  } finally {
    gone.catch(() => undefined);
    ended.abort();
  }
}

/** Reads a page and counts its lines. */
async function scrape(port: number): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  get({ host: "127.0.0.1", port, path: "/metrics", agent: false }, (response) => {
    let lines = 0;
    response.on("data", (chunk: Buffer) => {
      for (let at = chunk.indexOf(10); at !== -1; at = chunk.indexOf(10, at + 1)) lines++;
    });
    response.on("end", () => resolve(lines));
    response.on("error", reject);
  }).on("error", reject);
  return await promise;
}
