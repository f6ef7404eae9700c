/**
 * From an HTTP request to an answer: who calls, which method, may they, under which
 * span, within which limits. Connect decodes, runs the handler and encodes; everything
 * about a call that is not its content happens here. A handler runs, to its last
 * streamed message, in the async context of its call's span.
 */
import type { DescMethod } from "@bufbuild/protobuf";
import { createContextValues } from "@connectrpc/connect";
import type { UniversalHandler, UniversalServerResponse } from "@connectrpc/connect/protocol";
import { universalRequestFromNodeRequest } from "@connectrpc/connect-node";
import { BlixardError } from "#model/errors.ts";
import type { ManualSpan, Telemetry } from "#telemetry/port.ts";
import type { HttpRequest, HttpResponse } from "../transport/http-front.ts";
import { isAudited } from "./audit.ts";
import { callKey, type Call, type Caller, type Refusal, type RejectionReason } from "./call.ts";
import { OTHER_METHOD, type CallMeasurement, type CallTelemetry } from "./call-telemetry.ts";
import { statusNameOf, toConnectError } from "./errors.ts";
import { createMessageSizer, type BodyFraming } from "./message-sizes.ts";
import { readBody } from "./read-body.ts";
import { planSpanPlace, SAMPLING_HEADER } from "./trace-headers.ts";
import { destroy, writeResponse } from "./write-response.ts";

export interface CallLimits {
  /** Calls at a time, streams included. */
  readonly maximumCalls: number;
  /** Streaming calls at a time. */
  readonly maximumStreamingCalls: number;
  /** Of a unary call, whatever its caller asks for. */
  readonly unaryTimeoutMs: number;
  /** Of a call in which the caller streams and the node answers once. */
  readonly uploadTimeoutMs: number;
  /** How long a request may send nothing before it is complete; not for bidirectional streams. */
  readonly requestIdleTimeoutMs: number;
  /** How long a caller may take nothing of an answer. */
  readonly responseStallTimeoutMs: number;
}

export interface DispatcherOptions {
  readonly handlers: readonly UniversalHandler[];
  /** What answers calls of methods that do not exist: it need only be refused. */
  readonly unknown: { readonly unary: UniversalHandler; readonly stream: UniversalHandler };
  readonly telemetry: Telemetry;
  readonly callTelemetry: CallTelemetry;
  readonly limits: CallLimits;
}

/** How a listener sees its callers. */
export interface ListenerView {
  identify(request: HttpRequest, service: string): { readonly caller: Caller; readonly refusal: Refusal | undefined };
}

export interface Dispatcher {
  dispatch(view: ListenerView, request: HttpRequest, response: HttpResponse): void;
  /** From now on calls are refused; streams that would not end by themselves end now. */
  drain(): void;
  /** Ends the calls that are left. */
  abort(): void;
  /** Resolves when no call is left. */
  idle(): Promise<void>;
}

const UNTRACED_SERVICES: ReadonlySet<string> = new Set(["blixard.v1.TelemetryService"]);
const MAXIMUM_METHOD_LENGTH = 128;
/** One for all: making an error, with its stack, for each call costs more than the rest of its end. */
const CALL_ENDED = new BlixardError("CANCELLED", "the call has ended");

export function createDispatcher(options: DispatcherOptions): Dispatcher {
  const { telemetry, callTelemetry, limits } = options;
  const handlers = new Map(options.handlers.map((handler) => [handler.requestPath, handler]));
  const active = new Set<Call>();
  const emptied: (() => void)[] = [];
  let streams = 0;
  let draining = false;

  function refuseForLoad(method: DescMethod | undefined): Refusal | undefined {
    if (draining) return { reason: "shutting_down", error: shuttingDown() };
    const tooMany = active.size >= limits.maximumCalls || (isStream(method) && streams >= limits.maximumStreamingCalls);
    if (!tooMany) return undefined;
    const error = new BlixardError("TOO_MANY_REQUESTS", `the node serves ${active.size} calls already`, {
      hint: "Try again later, or end calls that are no longer needed.",
    });
    return { reason: "overload", error };
  }

  function createCall(
    view: ListenerView,
    request: HttpRequest,
    path: string,
  ): { call: Call; handler: UniversalHandler } {
    const known = handlers.get(path);
    const contentType = request.headers["content-type"] ?? "";
    const handler =
      known ?? (contentType.startsWith("application/connect+") ? options.unknown.stream : options.unknown.unary);
    const { caller, refusal } = view.identify(request, known?.service.typeName ?? "");
    const call: Call = {
      caller,
      peerAddress: caller.listener === "unix" ? undefined : request.socket.remoteAddress,
      system: contentType.startsWith("application/grpc") ? "grpc" : "connectrpc",
      method: known?.method,
      rpcMethod: known === undefined ? OTHER_METHOD : path.slice(1),
      abort: new AbortController(),
      refusal: refusal ?? refuseForLoad(known?.method) ?? (known === undefined ? unknownMethod(path) : undefined),
      span: undefined,
      reachedHandler: false,
      failure: undefined,
    };
    return { call, handler };
  }

  function enter(call: Call): void {
    active.add(call);
    if (isStream(call.method)) streams++;
  }

  function leave(call: Call): void {
    active.delete(call);
    if (isStream(call.method)) streams--;
    if (active.size === 0) for (const resolve of emptied.splice(0)) resolve();
  }

  async function serve(
    call: Call,
    handler: UniversalHandler,
    request: HttpRequest,
    response: HttpResponse,
  ): Promise<void> {
    const measurement = callTelemetry.measure(call);
    const span = isTraced(call) ? startSpan(call, request) : undefined;
    call.span = span;
    try {
      // Without a span of its own a call must not run in that of whatever opened the listener.
      await telemetry.tracing.run(span?.context, () => answer(call, handler, request, response, measurement));
    } finally {
      const rejection = rejectionOf(call);
      if (rejection !== undefined) callTelemetry.rejected(rejection);
      if (span !== undefined) callTelemetry.endSpan(span, call);
    }
  }

  function startSpan(call: Call, request: HttpRequest): ManualSpan {
    const isKnown = call.caller.authenticated;
    const incoming = telemetry.tracing.extract(
      { get: (name) => headerOf(request, name), names: () => Object.keys(request.headers) },
      isKnown ? "known" : "stranger",
    );
    const place = planSpanPlace(incoming, isKnown, headerOf(request, SAMPLING_HEADER));
    const { remoteAddress, remotePort } = request.socket;
    const authority = headerOf(request, ":authority") ?? headerOf(request, "host");
    const peer = { listener: call.caller.listener, address: remoteAddress, port: remotePort, authority };
    return callTelemetry.startSpan(call, place, peer, pathOf(request).slice(1, MAXIMUM_METHOD_LENGTH + 1));
  }

  async function answer(
    call: Call,
    handler: UniversalHandler,
    request: HttpRequest,
    response: HttpResponse,
    measurement: CallMeasurement,
  ): Promise<void> {
    const timer = armDeadline(call, limits);
    try {
      const framing: BodyFraming = isPlain(call, request) ? "plain" : "enveloped";
      const requestSizer = createMessageSizer(framing, (bytes) => measurement.requestSize(bytes));
      const responseSizer = createMessageSizer(framing, (bytes) => measurement.responseSize(bytes));
      const values = createContextValues().set(callKey, call);
      const universal = parseRequest(() => universalRequestFromNodeRequest(request, response, undefined, values));
      // By hand: what AbortSignal.any makes for a call stays until a full collection of garbage.
      const gone = universal?.signal;
      gone?.addEventListener("abort", () => call.abort.abort(gone.reason), { once: true });
      const body = readBody(request, {
        signal: call.abort.signal,
        idleTimeoutMs: call.method?.methodKind === "bidi_streaming" ? undefined : limits.requestIdleTimeoutMs,
        onBytes: (bytes) => requestSizer.add(bytes),
        onEnd: () => requestSizer.end(),
      });
      const result =
        universal === undefined
          ? badRequest(call)
          : describeRefusal(call, await handler({ ...universal, signal: call.abort.signal, body }));
      await writeResponse(result, response, {
        stallTimeoutMs: limits.responseStallTimeoutMs,
        onBytes: (bytes) => responseSizer.add(bytes),
      });
      responseSizer.end();
    } catch (error) {
      call.failure ??= toConnectError(error);
      destroy(response);
    } finally {
      clearTimeout(timer);
      call.abort.abort(CALL_ENDED);
      measurement.end();
      // What the caller still sends of a request that is answered is not kept.
      request.resume();
    }
  }

  return {
    dispatch(view, request, response) {
      response.on("error", () => undefined);
      const { call, handler } = createCall(view, request, pathOf(request));
      enter(call);
      serve(call, handler, request, response)
        .catch((error: unknown) => {
          telemetry.logger.error("a call could not be served", { "rpc.method": call.rpcMethod }, error);
          destroy(response);
        })
        .finally(() => leave(call));
    },
    drain() {
      draining = true;
      for (const call of active) {
        const kind = call.method?.methodKind;
        if (kind === "server_streaming" || kind === "bidi_streaming") call.abort.abort(shuttingDown());
      }
    },
    abort() {
      for (const call of active) call.abort.abort(shuttingDown());
    },
    idle() {
      if (active.size === 0) return Promise.resolve();
      return new Promise((resolve) => void emptied.push(resolve));
    },
  };
}

/** Refused calls could fill the recorder, and calls about traces would only clutter them. */
function isTraced({ refusal, method }: Call): boolean {
  if (refusal !== undefined && refusal.reason !== "invalid") return false;
  return method === undefined || !UNTRACED_SERVICES.has(method.parent.typeName) || isAudited(method);
}

/** Why the handler was not reached, unless the caller gave up by itself. */
function rejectionOf(call: Call): RejectionReason | undefined {
  if (call.refusal !== undefined) return call.refusal.reason;
  const isMistaken = call.failure !== undefined && statusNameOf(call.failure) !== "CANCELLED";
  return isMistaken && !call.reachedHandler ? "invalid" : undefined;
}

function isStream(method: DescMethod | undefined): boolean {
  return method !== undefined && method.methodKind !== "unary";
}

function armDeadline(call: Call, limits: CallLimits): NodeJS.Timeout | undefined {
  const kind = call.method?.methodKind ?? "unary";
  if (kind === "server_streaming" || kind === "bidi_streaming") return undefined;
  const timeoutMs = kind === "unary" ? limits.unaryTimeoutMs : limits.uploadTimeoutMs;
  return setTimeout(() => {
    call.abort.abort(
      new BlixardError("DEADLINE_EXCEEDED", `the call took longer than the ${timeoutMs} ms that the node allows`, {
        hint: "Look at the node's health; the operation may still be going on.",
      }),
    );
  }, timeoutMs);
}

/** A path or a host of which no URL can be made is no request. */
function parseRequest<T>(parse: () => T): T | undefined {
  try {
    return parse();
  } catch {
    return undefined;
  }
}

const httpRefusals: Readonly<Record<number, string>> = {
  400: "the path and the host make no URL",
  405: "only POST calls a method",
  415: "the content type is none that this method takes: application/json, application/proto, application/connect+json, application/grpc or application/grpc-web",
  505: "a bidirectional stream needs HTTP/2",
};

const badRequest = (call: Call): UniversalServerResponse => describeRefusal(call, { status: 400 });

/** Connect answers a wrong HTTP method, content type or version with an empty body: say what is wrong. */
function describeRefusal(call: Call, response: UniversalServerResponse): UniversalServerResponse {
  if (response.body !== undefined || response.status === 200) return response;
  const message = httpRefusals[response.status] ?? "the request is no call";
  call.failure = toConnectError(new BlixardError("INVALID_ARGUMENT", message));
  const header = new Headers(response.header);
  header.set("content-type", "application/json");
  const body = Buffer.from(JSON.stringify({ code: "invalid_argument", message }));
  return { status: response.status, header, body: onePiece(body) };
}

async function* onePiece(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

function isPlain(call: Call, request: HttpRequest): boolean {
  const isConnect = call.system === "connectrpc";
  return isConnect && !(request.headers["content-type"] ?? "").startsWith("application/connect+");
}

function pathOf(request: HttpRequest): string {
  return (request.url ?? "").split("?", 1)[0] ?? "";
}

function headerOf(request: HttpRequest, name: string): string | undefined {
  const value = request.headers[name];
  return Array.isArray(value) ? value.join(",") : value;
}

function unknownMethod(path: string): Refusal {
  const error = new BlixardError("UNIMPLEMENTED", `the node has no method ${JSON.stringify(path.slice(0, 128))}`, {
    hint: "Ask the node by reflection (grpc.reflection.v1) what it has, and check that client and node have the same version.",
  });
  return { reason: "invalid", error };
}

const shuttingDown = (): BlixardError =>
  new BlixardError("SHUTTING_DOWN", "the node is shutting down", { hint: "Try again when it is back." });
