/**
 * One destination, as far as one can get: its address, the port, TLS, the clock, then a
 * canary of every signal that goes there. What failed is looked at more closely, so that
 * the finding names the mistake and not its symptom.
 */
import type { Clock } from "#model/clock.ts";
import { otlpSignals, type Destination, type OtlpSignal } from "../otlp/destination.ts";
import { parseExportResponse } from "../otlp/export-response.ts";
import { revealHeaders } from "../otlp/http-transport.ts";
import type { SendOutcome, Transport } from "../otlp/send-outcome.ts";
import type { Canary } from "./canary.ts";
import { skipped, type DoctorCheck, type DoctorStep, type Verdict } from "./check.ts";
import {
  PROMETHEUS_BASE,
  diagnoseAcknowledgement,
  diagnoseAuthentication,
  diagnoseSend,
  hasMetHttp,
  leavesLanguageOpen,
} from "./diagnose-export.ts";
import { diagnoseConnect, diagnoseResolve, diagnoseTls } from "./diagnose-network.ts";
import { diagnoseClock } from "./diagnose-node.ts";
import type { Subject } from "./findings.ts";
import { shapeOfCredentials } from "./header-shape.ts";
import { requestSmall } from "./http-request.ts";
import { inOrder } from "./in-order.ts";
import type { NetworkProbes } from "./network-probes.ts";
import type { ClockObservation, PathAnswer, PathObservation, SendObservation } from "./observations.ts";

/** One signal's way to one destination. */
export interface Route {
  readonly signal: OtlpSignal;
  readonly destination: Destination;
  /** Metrics: sums are told as differences. */
  readonly delta: boolean;
}

/** Routes that share all of the way but the path. */
export interface RouteGroup {
  readonly routes: readonly [Route, ...Route[]];
}

export interface DoctorTiming {
  /** Of each step on the way: a name look-up, a connection, a handshake. */
  readonly networkMs: number;
  /** Of one canary; the destination's own timeout when that is shorter. */
  readonly sendMs: number;
  /** Of the questions that follow a failure. */
  readonly inquiryMs: number;
  /** How long backends are asked for the canary. */
  readonly readBackMs: number;
}

export interface DestinationTools {
  readonly probes: NetworkProbes;
  readonly createTransport: (destination: Destination, signal: OtlpSignal) => Transport;
  readonly clock: Clock;
  readonly canary: Canary;
  readonly timing: DoctorTiming;
  /** Aborted: the diagnosis is over; a probe that ends by it tells nothing. */
  readonly signal: AbortSignal;
  /** Ends all that is under way: nobody listens any more. */
  readonly abandon: () => void;
  /** The destination took the signal's canary. */
  readonly onAcknowledged: (route: Route) => void;
  readonly onClock: (observation: ClockObservation) => void;
}

/** By the port and how it is spoken to, in the order in which they come. */
export function groupRoutes(routes: readonly Route[]): readonly RouteGroup[] {
  const keyOf = ({ destination: { protocol, secure, host, port, tls } }: Route): string =>
    JSON.stringify([protocol, secure, host, port, tls.certificateAuthorities, tls.clientCertificate]);
  return [...Map.groupBy(routes, keyOf).values()].flatMap(([first, ...rest]) =>
    first === undefined ? [] : [{ routes: [first, ...rest] }],
  );
}

export async function* checkDestination(
  group: RouteGroup,
  tools: DestinationTools,
): AsyncGenerator<DoctorCheck, void, void> {
  const [{ destination }] = group.routes;
  const subject = subjectOf(group.routes);
  const target = targetOf(destination);
  let passed = true;
  let connected = false;
  for await (const { step, verdict, durationMs } of checkWay(destination, subject, tools)) {
    passed &&= verdict.outcome !== "failed";
    connected ||= step === "connect" && passed;
    yield { target, step, ...verdict, durationMs };
  }
  if (tools.signal.aborted) return;
  // Also when TLS failed: a certificate may be refused because of the clock.
  const clock = await timed(tools.clock, async () => (connected ? measureClock(destination, tools) : undefined));
  if (clock.value !== undefined) {
    tools.onClock(clock.value);
    yield { target, step: "clock", ...diagnoseClock(clock.value), durationMs: clock.durationMs };
  }
  const sends = group.routes.map((route) => checkRoute(route, subjectOf([route], subject.section), passed, tools));
  yield* inOrder(sends, tools.abandon);
}

interface StepResult {
  readonly step: DoctorStep;
  readonly verdict: Verdict;
  readonly durationMs: number;
}

/** Ends with the first failure. */
async function* checkWay(
  destination: Destination,
  subject: Subject,
  tools: DestinationTools,
): AsyncGenerator<StepResult, void, void> {
  const { probes, clock, timing, signal } = tools;
  const within = (timeoutMs: number): AbortSignal => AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
  const resolved = await timed(clock, () => probes.resolve(destination.host, within(timing.networkMs)));
  if (signal.aborted) return;
  yield { step: "resolve", verdict: diagnoseResolve(resolved.value, subject), durationMs: resolved.durationMs };
  if (resolved.value.kind === "failed") return;
  const connected = await timed(clock, () => probes.connect(destination, within(timing.networkMs)));
  if (signal.aborted) return;
  yield { step: "connect", verdict: diagnoseConnect(connected.value, subject), durationMs: connected.durationMs };
  if (connected.value.kind === "failed" || !destination.secure) return;
  const { value: tls, durationMs } = await timed(clock, () => probes.tls(destination, within(timing.networkMs)));
  const language =
    tls.kind === "failed" ? await probes.language(destination, false, within(timing.inquiryMs)) : undefined;
  if (signal.aborted) return;
  yield { step: "tls", verdict: diagnoseTls(tls, subject, language), durationMs };
}

async function* checkRoute(
  route: Route,
  subject: Subject,
  isReachable: boolean,
  tools: DestinationTools,
): AsyncGenerator<DoctorCheck, void, void> {
  const { clock, signal } = tools;
  const about = { target: targetOf(route.destination, route.signal), signal: route.signal };
  if (signal.aborted) return;
  if (!isReachable) {
    yield { ...about, step: "send", ...skipped("an earlier step failed"), durationMs: 0 };
    return;
  }
  const sent = await timed(clock, () => sendCanary(route, tools.canary.encode(route.signal), tools));
  if (signal.aborted) return;
  const observation = await observe(route, sent.value, tools);
  if (signal.aborted) return;
  const send = diagnoseSend(observation, subject);
  yield { ...about, step: "send", ...send, durationMs: sent.durationMs };
  if (send.outcome !== "ok") return;
  const authentication = diagnoseAuthentication(observation, subject);
  yield { ...about, step: "authenticate", ...authentication, durationMs: 0 };
  if (authentication.outcome !== "ok") return;
  const acknowledgement = diagnoseAcknowledgement(observation, subject);
  if (acknowledgement.outcome !== "failed") tools.onAcknowledged(route);
  yield { ...about, step: "acknowledge", ...acknowledgement, durationMs: 0 };
}

/** One attempt by a transport of its own. */
export async function sendCanary(
  route: Route,
  bytes: Uint8Array,
  tools: Pick<DestinationTools, "createTransport" | "timing" | "signal">,
): Promise<SendOutcome> {
  const timeoutMs = Math.min(route.destination.timeoutMs, tools.timing.sendMs);
  const transport = tools.createTransport({ ...route.destination, timeoutMs }, route.signal);
  try {
    return await transport.send(bytes, tools.signal);
  } finally {
    transport.close();
  }
}

/** What came of the canary, and where that leaves something open what else can be seen. */
async function observe(route: Route, outcome: SendOutcome, tools: DestinationTools): Promise<SendObservation> {
  const { destination, delta } = route;
  const { probes, timing } = tools;
  const signal = AbortSignal.any([tools.signal, AbortSignal.timeout(timing.inquiryMs)]);
  const open = leavesLanguageOpen(outcome);
  const [tls, language] = await Promise.all([
    open && destination.secure ? probes.tls(destination, signal) : undefined,
    open ? probes.language(destination, destination.secure, signal) : undefined,
  ]);
  const observation: SendObservation = {
    outcome,
    authorization: shapeOfCredentials(destination.headers),
    delta,
    ...(tls?.kind === "established" ? { application: tls.application } : {}),
    ...(language === undefined ? {} : { language }),
  };
  const isNotFound = "errorType" in outcome && outcome.errorType === "404";
  if (!isNotFound && !hasMetHttp(observation, subjectOf([route]))) return observation;
  return { ...observation, paths: await askOtherPaths(route, signal) };
}

/**
 * How other paths answer: empty requests, with the credentials that their port has just been given. Without them a
 * guarded port refuses whatever it is asked for, which says nothing of what is there.
 */
async function askOtherPaths({ destination, signal }: Route, abort: AbortSignal): Promise<PathObservation> {
  const own = `/v1/${signal}`;
  const path = destination.protocol === "grpc" ? own : (destination.path.split("?", 1)[0] ?? "");
  const ask = async (other: string): Promise<PathAnswer> => {
    try {
      const { statusCode, contentType, body } = await requestSmall({
        url: `${originOf(destination)}${other}`,
        method: "POST",
        headers: { ...revealHeaders(destination), "content-type": "application/x-protobuf" },
        certificateAuthorities: destination.tls.certificateAuthorities,
        signal: abort,
      });
      // Backends' pages answer whatever they do not know with their first one.
      const isPage = statusCode === 200 && (contentType.startsWith("text/html") || isOtherJson(contentType, body));
      return isPage || statusCode === 404 || statusCode === 405 ? "missing" : "there";
    } catch {
      return "silent";
    }
  };
  if (!path.endsWith(own)) return { otherSignals: [] };
  const base = path.slice(0, -own.length);
  const others = otlpSignals.filter((other) => other !== signal);
  const [ownPath, belowOtlp, belowPrometheus, ...otherSignals] = await Promise.all([
    destination.protocol === "grpc" ? ask(own) : undefined,
    base === "" ? ask(`/otlp${own}`) : undefined,
    base === "" ? ask(`${PROMETHEUS_BASE}/v1/metrics`) : undefined,
    ...others.map((other) => ask(`${base}/v1/${other}`)),
  ]);
  return { own: ownPath, belowOtlp, belowPrometheus, otherSignals };
}

/** A health check's words, for one, which says yes to everything. */
function isOtherJson(contentType: string, body: Buffer): boolean {
  if (!contentType.startsWith("application/json")) return false;
  try {
    parseExportResponse("traces", body, "json");
    return false;
  } catch {
    return true;
  }
}

/** From the `Date` of any answer; undefined where there is none. gRPC servers do not tell the time. */
async function measureClock(destination: Destination, tools: DestinationTools): Promise<ClockObservation | undefined> {
  if (destination.protocol === "grpc") return undefined;
  const beforeMs = tools.clock.now();
  try {
    const { dateMs } = await requestSmall({
      url: `${originOf(destination)}${destination.path.split("?", 1)[0]}`,
      // Nothing secret goes there, and a certificate may be refused because of the clock.
      trustAnyCertificate: true,
      maximumBytes: 0,
      signal: AbortSignal.any([tools.signal, AbortSignal.timeout(tools.timing.inquiryMs)]),
    });
    return clockObservation(beforeMs, tools.clock.now(), dateMs);
  } catch {
    return undefined;
  }
}

/** @param dateMs of the answer, cut to whole seconds by its sender */
export function clockObservation(
  beforeMs: number,
  afterMs: number,
  dateMs: number | undefined,
): ClockObservation | undefined {
  if (dateMs === undefined) return undefined;
  return { skewMs: (beforeMs + afterMs) / 2 - (dateMs + 500), uncertaintyMs: 500 + (afterMs - beforeMs) / 2 };
}

function subjectOf(routes: RouteGroup["routes"], section?: OtlpSignal): Subject {
  const [{ destination, signal }] = routes;
  const signals = routes.map((route) => route.signal);
  return {
    signals,
    // Metrics and logs follow the tracing endpoint unless told otherwise.
    section: section ?? (signals.includes("traces") ? "traces" : signal),
    origin: originOf(destination),
    host: destination.host,
    port: destination.port,
    secure: destination.secure,
    protocol: destination.protocol === "grpc" ? "grpc" : "http",
    path: destination.protocol === "grpc" ? "" : (destination.path.split("?", 1)[0] ?? ""),
  };
}

function originOf({ host, port, secure }: Destination): string {
  return `${secure ? "https" : "http"}://${host.includes(":") ? `[${host}]` : host}:${port}`;
}

/** Without `signal`: the port; with it: also the base path. */
function targetOf(destination: Destination, signal?: OtlpSignal): string {
  const origin = originOf(destination);
  if (destination.protocol === "grpc") return `grpc ${origin}`;
  return signal === undefined ? origin : `${origin}${basePathOf({ destination, signal })}`;
}

function basePathOf({ destination, signal }: Pick<Route, "destination" | "signal">): string {
  if (destination.protocol === "grpc") return "";
  const path = destination.path.split("?", 1)[0] ?? "";
  const own = `/v1/${signal}`;
  return path.endsWith(own) ? path.slice(0, -own.length) : path;
}

export async function timed<T>(
  clock: Clock,
  work: () => Promise<T>,
): Promise<{ readonly value: T; readonly durationMs: number }> {
  const startedMs = clock.monotonicMs();
  const value = await work();
  return { value, durationMs: clock.monotonicMs() - startedMs };
}
