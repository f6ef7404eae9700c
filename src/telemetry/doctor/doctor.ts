/**
 * `blixard telemetry doctor`, on the node: sends a canary of every signal to every
 * destination and tells of each step as it is done, reads the canaries back where a
 * backend can be asked, then looks at the scrape, the clock and the node's own telemetry.
 *
 *   probes (effects) ──→ observations ──→ diagnose… (pure) ──→ finding and fix
 *
 * The API's handler calls it. It never touches the real exporters: canaries have senders
 * of their own, without queue or retry. No header or token is in what it says. One
 * diagnosis at a time, each within a deadline.
 */
import type { Clock } from "#model/clock.ts";
import { BlixardError } from "#model/errors.ts";
import type { SpanResource, SpanScope } from "#model/recorded-span.ts";
import type { CardinalityReport } from "../metrics/cardinality.ts";
import type { DestinationStatus } from "../otlp/destination-status.ts";
import { otlpSignals, resolveDestination, type OtlpSignal } from "../otlp/destination.ts";
import { createTransport } from "../otlp/signal-sender.ts";
import { prometheusIdentity } from "../resource/prometheus-identity.ts";
import type { DoctorOptions as BackendOptions, OtlpOptions } from "../telemetry-options.ts";
import { createCanary, type Canary } from "./canary.ts";
import { skipped, summarize, type DoctorCheck, type DoctorEvent, type DoctorStep, type Verdict } from "./check.ts";
import {
  checkDestination,
  clockObservation,
  groupRoutes,
  sendCanary,
  timed,
  type DestinationTools,
  type DoctorTiming,
  type Route,
} from "./destination-checks.ts";
import { diagnoseCardinality, diagnoseClock, diagnoseDelivery } from "./diagnose-node.ts";
import { found, noSubject } from "./findings.ts";
import { requestSmall } from "./http-request.ts";
import { inOrder } from "./in-order.ts";
import { createNetworkProbes, type NetworkProbes } from "./network-probes.ts";
import { backendNames, readBack, withoutCredentials, type BackendKind, type SeriesLabels } from "./read-back.ts";
import { checkDuplicates, checkPage } from "./scrape-checks.ts";

export interface Doctor {
  /**
   * Ends with a summary. Ended early (`return`, `signal`), it ends what is under way.
   * @throws BlixardError TOO_MANY_REQUESTS while another diagnosis runs, SHUTTING_DOWN when `signal` is aborted
   */
  diagnose(options: {
    readonly timeoutMs: number;
    readonly signal: AbortSignal;
  }): AsyncGenerator<DoctorEvent, void, void>;
}

export interface DoctorOptions {
  readonly destinations: Readonly<Record<OtlpSignal, readonly OtlpOptions[]>>;
  readonly backends: BackendOptions;
  readonly resource: SpanResource;
  readonly scope: SpanScope;
  readonly clock: Clock;
  readonly randomHex: (bytes: number) => string;
  /** Absent where no node runs: then only the destinations are looked at. */
  readonly node?: NodeFacts;
  /** Default: the network's. */
  readonly probes?: NetworkProbes;
  readonly timing?: Partial<DoctorTiming>;
}

/** What the node knows of its own telemetry. */
export interface NodeFacts {
  /** URL of its metrics page; undefined when there is none. */
  pageUrl(): string | undefined;
  /** Where Prometheus finds the nodes, as it reaches this one; undefined when there is no page. */
  discoveryUrl(): string | undefined;
  status(): readonly DestinationStatus[];
  /** Undefined when metrics are off. */
  cardinality(): CardinalityReport | undefined;
}

const defaultTiming: DoctorTiming = { networkMs: 5_000, sendMs: 10_000, inquiryMs: 7_000, readBackMs: 20_000 };
/** What is left of the time when backends are not asked any more. */
const RESERVE_MS = 1_000;
const MAXIMUM_ROUTES = 48;
const PAGE_TIMEOUT_MS = 10_000;

export function createDoctor(options: DoctorOptions): Doctor {
  let busy = false;
  return {
    async *diagnose({ timeoutMs, signal }) {
      if (busy) {
        throw new BlixardError("TOO_MANY_REQUESTS", "another diagnosis runs on this node", {
          hint: "Wait until it is done: it takes half a minute at most unless it was given more time.",
        });
      }
      busy = true;
      try {
        yield* new Diagnosis(options, timeoutMs, signal).run();
      } finally {
        busy = false;
      }
    },
  };
}

class Diagnosis {
  readonly #options: DoctorOptions;
  readonly #canary: Canary;
  readonly #deadlineMs: number;
  readonly #callerSignal: AbortSignal;
  readonly #timeout: AbortSignal;
  readonly #abandoned = new AbortController();
  /** Any of the three. */
  readonly #signal: AbortSignal;
  readonly #tools: DestinationTools;
  readonly #checks: DoctorCheck[] = [];
  readonly #acknowledged: Route[] = [];
  #clockSeen = false;
  /** The canary's metric, as Prometheus has it. */
  #pushed: SeriesLabels | undefined;

  constructor(options: DoctorOptions, timeoutMs: number, signal: AbortSignal) {
    const { resource, scope, clock, randomHex } = options;
    this.#options = options;
    this.#callerSignal = signal;
    this.#deadlineMs = clock.monotonicMs() + timeoutMs;
    this.#timeout = AbortSignal.timeout(timeoutMs);
    this.#signal = AbortSignal.any([signal, this.#timeout, this.#abandoned.signal]);
    this.#canary = createCanary({ resource, scope, now: () => clock.now(), randomHex });
    this.#tools = {
      probes: options.probes ?? createNetworkProbes(),
      createTransport: (destination, otlpSignal) =>
        createTransport(destination, otlpSignal, `${scope.name}/${scope.version ?? ""}`),
      clock,
      canary: this.#canary,
      timing: { ...defaultTiming, ...options.timing },
      signal: this.#signal,
      abandon: () => this.#abandoned.abort(),
      onAcknowledged: (route) => this.#acknowledged.push(route),
      onClock: () => (this.#clockSeen = true),
    };
  }

  async *run(): AsyncGenerator<DoctorEvent, void, void> {
    try {
      for await (const check of this.#allChecks()) {
        this.#checks.push(check);
        yield { kind: "check", check };
      }
    } finally {
      await this.#endCanary();
    }
    if (this.#callerSignal.aborted) throw new BlixardError("CANCELLED", "the diagnosis was given up");
    yield { kind: "summary", summary: summarize(this.#checks, this.#canary.traceId) };
  }

  async *#allChecks(): AsyncGenerator<DoctorCheck, void, void> {
    const routes: Route[] = [];
    yield* this.#resolveRoutes(routes);
    yield* this.#inOrder(groupRoutes(routes).map((group) => checkDestination(group, this.#tools)));
    yield* this.#readBack();
    if (this.#options.node !== undefined) yield* this.#checkNode(this.#options.node);
    if (this.#timeout.aborted && !this.#callerSignal.aborted) {
      yield {
        target: "node",
        step: "deadline",
        ...found("deadline_exceeded", "the time is over before all was looked at"),
        durationMs: 0,
      };
    }
  }

  #inOrder(checks: readonly AsyncGenerator<DoctorCheck, void, void>[]): AsyncGenerator<DoctorCheck, void, void> {
    return inOrder(checks, this.#tools.abandon);
  }

  *#resolveRoutes(routes: Route[]): Generator<DoctorCheck, void, void> {
    for (const signal of otlpSignals) {
      for (const otlp of this.#options.destinations[signal]) {
        try {
          const delta = signal === "metrics" && otlp.temporality !== undefined && otlp.temporality !== "cumulative";
          routes.push({ signal, destination: resolveDestination(otlp, signal), delta });
        } catch (error) {
          const message = error instanceof Error ? error.message : String(error);
          yield {
            target: "node",
            signal,
            step: "configuration",
            ...found("destination_invalid", message),
            durationMs: 0,
          };
        }
      }
    }
    if (routes.length === 0) {
      yield {
        target: "node",
        step: "configuration",
        ...found("no_destination", "nothing is exported by OTLP"),
        durationMs: 0,
      };
    }
    const surplus = routes.splice(MAXIMUM_ROUTES).length;
    if (surplus > 0) {
      yield {
        target: "node",
        step: "configuration",
        ...skipped(`${surplus} further destinations are not looked at`),
        durationMs: 0,
      };
    }
  }

  async *#readBack(): AsyncGenerator<DoctorCheck, void, void> {
    const { prometheusUrl, jaegerUrl, tempoUrl } = this.#options.backends;
    const backends = [
      { kind: "jaeger", url: jaegerUrl, signal: "traces" },
      { kind: "tempo", url: tempoUrl, signal: "traces" },
      { kind: "prometheus", url: prometheusUrl, signal: "metrics" },
    ] as const;
    yield* this.#inOrder(
      backends.flatMap(({ kind, url, signal }) => (url === undefined ? [] : [this.#readBackFrom(kind, url, signal)])),
    );
    if (this.#signal.aborted) return;
    for (const signal of otlpSignals) {
      if (!this.#acknowledged.some((route) => route.signal === signal)) continue;
      if (backends.some((backend) => backend.signal === signal && backend.url !== undefined)) continue;
      const verdict = skipped(`no backend is set that can be asked for ${signal}`);
      yield { target: "node", signal, step: "read_back", ...verdict, durationMs: 0 };
    }
  }

  async *#readBackFrom(kind: BackendKind, url: string, signal: OtlpSignal): AsyncGenerator<DoctorCheck, void, void> {
    const target = `${kind} ${withoutCredentials(url)}`;
    if (!this.#acknowledged.some((route) => route.signal === signal)) {
      const verdict = skipped(`no destination took the canary's ${signal}`);
      yield { target, signal, step: "read_back", ...verdict, durationMs: 0 };
      return;
    }
    const { clock } = this.#options;
    const { value, durationMs } = await timed(clock, () =>
      readBack({
        kind,
        url,
        canaryId: this.#canary.id,
        traceId: this.#canary.traceId,
        timeMs: this.#canary.timeMs,
        fetch: this.#fetch,
        clock,
        timeoutMs: Math.min(this.#tools.timing.readBackMs, this.#deadlineMs - RESERVE_MS - clock.monotonicMs()),
        signal: this.#signal,
      }),
    );
    if (this.#signal.aborted) return;
    this.#pushed ??= value.series;
    const clockCheck = value.response === undefined ? undefined : await this.#compareClocks(target, url);
    // Backends refuse, or do not show, what is of another time: that is the clock's finding.
    const isForeseen = value.verdict.finding === "not_read_back" && clockCheck?.finding === "clock_skew";
    const verdict = isForeseen
      ? skipped(`${backendNames[kind]} does not have it, which the clock explains`)
      : value.verdict;
    yield { target, signal, step: "read_back", ...verdict, durationMs };
    if (clockCheck !== undefined) yield clockCheck;
  }

  async #compareClocks(target: string, url: string): Promise<DoctorCheck | undefined> {
    const { clock } = this.#options;
    const beforeMs = clock.now();
    const response = await this.#fetch(url, this.#signal).catch(() => undefined);
    const observation = clockObservation(beforeMs, clock.now(), response?.dateMs);
    if (observation === undefined) return undefined;
    this.#clockSeen = true;
    return { target, step: "clock", ...diagnoseClock(observation), durationMs: clock.now() - beforeMs };
  }

  async *#checkNode(node: NodeFacts): AsyncGenerator<DoctorCheck, void, void> {
    const { clock, resource, backends } = this.#options;
    const scrape = (
      step: DoctorStep,
      result: { readonly value: Verdict; readonly durationMs: number },
    ): DoctorCheck => ({
      target: "scrape",
      step,
      ...result.value,
      durationMs: result.durationMs,
    });
    if (this.#signal.aborted) return;
    const within = AbortSignal.any([this.#signal, AbortSignal.timeout(PAGE_TIMEOUT_MS)]);
    yield scrape("page", await timed(clock, () => checkPage(node.pageUrl(), within)));
    const { prometheusUrl } = backends;
    const identity = prometheusIdentity(resource);
    if (prometheusUrl !== undefined && identity.instance !== "" && !this.#signal.aborted) {
      const isExporting = otlpSignals.some((signal) => this.#options.destinations[signal].length > 0);
      const discoveryUrl = isExporting ? node.discoveryUrl() : undefined;
      const pushed = this.#pushed;
      const isPushing = this.#options.destinations.metrics.length > 0;
      const scrapedOnlyBy = isPushing || node.pageUrl() === undefined ? undefined : node.discoveryUrl();
      const about = { prometheusUrl, identity, discoveryUrl, scrapedOnlyBy, pushed };
      const query = { ...about, fetch: this.#fetch, signal: within };
      yield scrape("duplicates", await timed(clock, () => checkDuplicates(query)));
    } else if (node.pageUrl() !== undefined && this.#options.destinations.metrics.length > 0) {
      const verdict = skipped(
        "metrics are on a page and are pushed; whether they meet, Prometheus knows (set prometheus_url)",
      );
      yield scrape("duplicates", { value: verdict, durationMs: 0 });
    }
    for (const status of node.status()) {
      const subject = { ...noSubject, signals: [status.signal], section: status.signal, origin: status.destination };
      for (const { step, verdict } of diagnoseDelivery(status, subject)) {
        yield { target: status.destination, signal: status.signal, step, ...verdict, durationMs: 0 };
      }
    }
    const own = { target: "node", durationMs: 0 } as const;
    if (!this.#clockSeen) yield { ...own, step: "clock", ...skipped("nobody who was asked tells the time") };
    yield { ...own, step: "cardinality", ...diagnoseCardinality(node.cardinality()) };
  }

  /** The metric's series is over: told to those who took it, whoever may be listening. */
  async #endCanary(): Promise<void> {
    const metrics = this.#acknowledged.filter((route) => route.signal === "metrics");
    const timing = { ...this.#tools.timing, sendMs: RESERVE_MS };
    const tools = { createTransport: this.#tools.createTransport, timing, signal: AbortSignal.timeout(RESERVE_MS) };
    await Promise.all(metrics.map((route) => sendCanary(route, this.#canary.encodeEnd(), tools)));
  }

  readonly #fetch = (url: string, signal: AbortSignal) =>
    requestSmall({ url, signal: AbortSignal.any([signal, AbortSignal.timeout(this.#tools.timing.inquiryMs)]) });
}
