/**
 * Asks backends for what they have been sent, again and again until it is there or the
 * time is over: a collector batches, a backend indexes.
 */
import type { Clock } from "#model/clock.ts";
import { telemetryCanary as canaryMetric } from "#gen/telemetry/metrics.ts";
import { telemetryCanary as canarySpan } from "#gen/telemetry/spans.ts";
import { ok, type Verdict } from "./check.ts";
import { found } from "./findings.ts";
import { codeOf, type SmallResponse } from "./http-request.ts";

export type BackendKind = "prometheus" | "jaeger" | "tempo";

export interface ReadBackOptions {
  readonly kind: BackendKind;
  /** Base URL; may end in a slash. */
  readonly url: string;
  readonly canaryId: string;
  readonly traceId: string;
  /** When the canary was made, by the clock of this node: Unix time in ms. */
  readonly timeMs: number;
  readonly fetch: (url: string, signal: AbortSignal) => Promise<SmallResponse>;
  readonly clock: Clock;
  /** Asked for so long. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

export interface ReadBack {
  readonly verdict: Verdict;
  /** An answer of the backend's, for its clock. */
  readonly response: SmallResponse | undefined;
  /** Of the metric that Prometheus has; absent elsewhere. */
  readonly series?: SeriesLabels;
}

export type SeriesLabels = Readonly<Record<string, string>>;

const POLL_INTERVAL_MS = 500;
/** The point is written a little after the canary was made; Prometheus looks back for five minutes. */
const LOOK_AHEAD_MS = 60_000;

export const backendNames: Readonly<Record<BackendKind, string>> = {
  prometheus: "Prometheus",
  jaeger: "Jaeger",
  tempo: "Tempo",
};

/** Never rejects. */
export async function readBack(options: ReadBackOptions): Promise<ReadBack> {
  const { kind, clock, timeoutMs } = options;
  const startedMs = clock.monotonicMs();
  const backend = `${backendNames[kind]} at ${withoutCredentials(options.url)}`;
  let response: SmallResponse | undefined;
  let problem = "it did not answer";
  for (;;) {
    const look = await lookOnce(options);
    response = look.response ?? response;
    const elapsedMs = clock.monotonicMs() - startedMs;
    if (look.kind === "found") {
      const after = elapsedMs < 1_000 ? `${Math.round(elapsedMs)} ms` : `${(elapsedMs / 1_000).toFixed(1)} s`;
      const { series } = look;
      const as =
        series === undefined ? "" : `, as job "${series["job"] ?? ""}", instance "${series["instance"] ?? ""}"`;
      const verdict = ok(`${backendNames[kind]} has it after ${after}${as}`);
      return { verdict, response, ...(series === undefined ? {} : { series }) };
    }
    problem = look.problem;
    if (options.signal.aborted || elapsedMs + POLL_INTERVAL_MS > timeoutMs) break;
    await clock.delay(POLL_INTERVAL_MS, options.signal).catch(() => undefined);
  }
  const seconds = Math.round((clock.monotonicMs() - startedMs) / 1_000);
  const [finding, message] = planMissing(kind, response, `${problem}, after ${seconds} s`);
  return { verdict: found(finding, `${backend} ${message}`, undefined, backendNames[kind]), response };
}

function planMissing(
  kind: BackendKind,
  response: SmallResponse | undefined,
  problem: string,
): readonly ["backend_unreachable" | "not_read_back", message: string] {
  if (response === undefined) return ["backend_unreachable", `does not answer: ${problem}`];
  return isOfBackend(kind, response)
    ? ["not_read_back", `does not have it: ${problem}`]
    : ["backend_unreachable", `is something else, or needs another path: ${problem}`];
}

type Look =
  | { readonly kind: "found"; readonly series: SeriesLabels | undefined; readonly response: SmallResponse }
  | { readonly kind: "missing"; readonly problem: string; readonly response: SmallResponse | undefined };

async function lookOnce(options: ReadBackOptions): Promise<Look> {
  let last: Look = { kind: "missing", problem: "it has no such API", response: undefined };
  for (const path of pathsOf(options)) {
    try {
      const response = await options.fetch(`${options.url.replace(/\/+$/, "")}${path}`, options.signal);
      const hit = hitOf(options, response);
      if (hit !== undefined) return { kind: "found", series: hit.series, response };
      const problem = response.statusCode === 200 ? "its answer is empty" : `HTTP ${response.statusCode}`;
      last = { kind: "missing", problem, response };
    } catch (error) {
      last = { kind: "missing", problem: codeOf(error), response: undefined };
    }
  }
  return last;
}

function pathsOf({ kind, canaryId, traceId, timeMs }: ReadBackOptions): readonly string[] {
  switch (kind) {
    case "prometheus": {
      // Where the clocks differ, what was written at the node's time is not seen from the backend's.
      const nodeSeconds = ((timeMs + LOOK_AHEAD_MS) / 1_000).toFixed(3);
      // Prometheus 3 may keep OpenTelemetry's names as they are; an older one refuses to be asked for them.
      return [
        `{"blixard.telemetry.canary_id"="${canaryId}"}`,
        `${canaryMetric.prometheusName}{blixard_telemetry_canary_id="${canaryId}"}`,
      ].flatMap((selector) => {
        const query = `/api/v1/query?query=${encodeURIComponent(selector)}`;
        return [query, `${query}&time=${nodeSeconds}`];
      });
    }
    case "jaeger":
      return [`/api/v3/traces/${traceId}`, `/api/traces/${traceId}`];
    case "tempo":
      return [`/api/traces/${traceId}`];
  }
}

/** What a server of another kind says to a path that it does not have: Go's words, or a page for people. */
const NO_SUCH_PATH = /^\s*(404 page not found|<)/i;

/** Whether it may be this backend that has answered, whatever it said. */
export function isOfBackend(kind: BackendKind, { statusCode, body }: SmallResponse): boolean {
  // A proxy's refusal says nothing of what is behind it.
  if (statusCode !== 200 && statusCode !== 404) return true;
  const text = body.toString("utf8", 0, 1_000);
  return kind === "prometheus" ? /"status" *: *"/.test(text) : !NO_SUCH_PATH.test(text);
}

/** Undefined: it is none. */
function hitOf(
  { kind, canaryId }: ReadBackOptions,
  { statusCode, body }: SmallResponse,
): { readonly series: SeriesLabels | undefined } | undefined {
  if (statusCode !== 200) return undefined;
  if (kind !== "prometheus") {
    // JSON or protobuf of many shapes: the id is a word that nothing else holds.
    return body.includes(canaryId) && body.includes(canarySpan.name) ? { series: undefined } : undefined;
  }
  const [series] = resultsOf(body);
  return series === undefined ? undefined : { series };
}

/** Label sets of an instant query's answer; none when it is not one. */
export function resultsOf(body: Buffer): readonly SeriesLabels[] {
  try {
    const answer: unknown = JSON.parse(body.toString("utf8"));
    const data = property(answer, "data");
    const results = property(data, "result");
    if (!Array.isArray(results)) return [];
    return results.slice(0, 1_000).map((result: unknown) => stringsOf(property(result, "metric")));
  } catch {
    return [];
  }
}

function property(value: unknown, key: string): unknown {
  return typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>)[key] : undefined;
}

function stringsOf(value: unknown): Readonly<Record<string, string>> {
  if (typeof value !== "object" || value === null) return {};
  return Object.fromEntries(
    Object.entries(value).filter((entry): entry is [string, string] => typeof entry[1] === "string"),
  );
}

/** For people. */
export function withoutCredentials(url: string): string {
  const parsed = URL.parse(url);
  return parsed === null ? "its URL" : `${parsed.protocol}//${parsed.host}${parsed.pathname.replace(/\/+$/, "")}`;
}
