/**
 * The programs that a run of the stack has, and which of them its tests really used: scripts/test-stack.ts tells
 * where they are, and fails when one of them is absent or was never used.
 */
import { appendFileSync, readFileSync } from "node:fs";
import type { TestContext } from "node:test";

/** With what each is for; `npm run test:stack` wants all of them. */
export const backendPurposes = {
  collector: "the OpenTelemetry Collector of deploy/otel-collector/builder.yaml",
  "collector-oldest": "the oldest Collector that the shipped configurations are to load on",
  "collector-datadog": "the newest Collector that can be built with Datadog's exporter and connector",
  jaeger: "traces",
  prometheus: "Debian's Prometheus 2: metrics by scrape and remote write, rules, alerts",
  prometheus3: "the Prometheus of today: native histograms, OTLP",
  loki: "logs",
  tempo: "traces in Grafana's way",
  systemd: "the machine's own, as process 1 over the units of deploy/systemd",
} as const;

export type BackendName = keyof typeof backendPurposes;

export type Backend = { readonly path: string; readonly version: string } | { readonly missing: string };

export type Backends = Readonly<Record<BackendName, Backend>>;

/**
 * The path of a program for a test that uses it. Where there is none the test is skipped: the run as a whole has
 * failed already then, or was told to go without it.
 */
export function useBackend(context: Pick<TestContext, "skip">, name: BackendName): string | undefined {
  const backend = readBackends()[name];
  if ("missing" in backend) {
    context.skip(`${name} is missing: ${backend.missing}`);
    return undefined;
  }
  appendFileSync(readVariable("BLIXARD_STACK_USED"), `${name}\n`);
  return backend.path;
}

/** For `skip` of the tests of a file that stands on all of them: which are missing and why, or false. */
export function missingBackends(names: readonly BackendName[], environment = process.env): string | false {
  const backends = readBackends(environment);
  const reasons = names.flatMap((name) => {
    const backend = backends[name];
    return "missing" in backend ? [`${name} is missing: ${backend.missing}`] : [];
  });
  return reasons.length === 0 ? false : reasons.join("; ");
}

/** The same for a program that a whole file of tests stands on. */
export function backendPath(name: BackendName): string {
  let reason = "";
  const path = useBackend({ skip: (message) => (reason = message ?? "") }, name);
  if (path === undefined) throw new Error(reason);
  return path;
}

function readBackends(environment = process.env): Backends {
  return JSON.parse(readFileSync(readVariable("BLIXARD_STACK_BACKENDS", environment), "utf8")) as Backends;
}

function readVariable(name: string, environment = process.env): string {
  const value = environment[name];
  if (value === undefined) throw new Error(`${name} is not set: run these tests by \`npm run test:stack\``);
  return value;
}
