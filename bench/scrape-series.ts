/** One scrape of 200,000 series, not compressed: what it costs and for how long it holds others up. */
import { get } from "node:http";
import { SERIES } from "./many-series.ts";
import type { BenchmarkRow } from "./report.ts";
import { type ScrapeCost, type ScrapeKind, scrapeKinds } from "./scrape-subject.ts";
import { bootstrap, median, quantile } from "./statistics.ts";
import { startSubject, type Subject } from "./subject.ts";

const BLOCKS = 30;
const WARM_UP_BLOCKS = 3;

interface Running {
  readonly subject: Subject;
  readonly port: number;
  readonly costs: ScrapeCost[];
}

export async function benchScrapeSeries(): Promise<BenchmarkRow[]> {
  using ended = new DisposableStack();
  const running = new Map<ScrapeKind, Running>();
  for (const kind of scrapeKinds) {
    const { subject, ready } = await startSubject("scrape-subject.ts", kind);
    const { port } = ready as { readonly port: number };
    running.set(kind, { subject: ended.use(subject), port, costs: [] });
  }
  for (let block = -WARM_UP_BLOCKS; block < BLOCKS; block++) {
    for (const one of running.values()) {
      const cost = await measureScrape(one);
      if (block >= 0) one.costs.push(cost);
    }
  }
  return rowsOf((kind) => running.get(kind)?.costs ?? []);
}

function rowsOf(costsOf: (kind: ScrapeKind) => readonly ScrapeCost[]): BenchmarkRow[] {
  const ours = costsOf("ours");
  const blocks = ours.map(({ longestBlockMs }) => longestBlockMs);
  const row = { observations: BLOCKS };
  const ratioTo = (peer: ScrapeKind): number[] =>
    ours.map(({ cpuMs }, block) => cpuMs / (costsOf(peer)[block]?.cpuMs ?? Number.NaN));
  const told = (kind: ScrapeKind): string => {
    const cpuMs = median(costsOf(kind).map((cost) => cost.cpuMs));
    const blockMs = median(costsOf(kind).map((cost) => cost.longestBlockMs));
    return `${cpuMs.toFixed(0)} ms, block ${blockMs.toFixed(0)} ms`;
  };
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
      what: `scrape: CPU over prom-client's (${told("ours")}; theirs ${told("prom-client")})`,
      unit: "",
      interval: bootstrap(ratioTo("prom-client"), median),
      budget: { atMost: 0.2 },
    },
    {
      ...row,
      what: `scrape: CPU over exporter-prometheus's (theirs ${told("exporter-prometheus")})`,
      unit: "",
      interval: bootstrap(ratioTo("exporter-prometheus"), median),
      budget: { atMost: 0.2 },
    },
  ];
}

async function measureScrape({ subject, port }: Running): Promise<ScrapeCost> {
  await subject.ask("begin");
  const lines = await scrape(port);
  if (lines < SERIES) throw new Error(`a page of ${lines} lines is not all of ${SERIES} series`);
  return (await subject.ask("end")) as ScrapeCost;
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
