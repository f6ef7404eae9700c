/**
 * The trace of one command, without OpenTelemetry: that would cost more time than
 * most commands take. It mints the ids, gives every call its `traceparent`, and
 * keeps the finished spans until they are handed to the node.
 *
 *   blixard vm create        root, or child of TRACEPARENT
 *   ├─ …VmService/CreateVm   one client span a call
 *   └─ …VmService/WatchVms
 *
 * A command that only reads takes no part in this of its own accord: to load what
 * handing in takes would cost it a tenth of its time. Then the node starts the trace.
 */
import { formatBaggage, parseBaggage } from "#model/baggage.ts";
import { formatTraceparent, parseTraceparent, timedTraceId, type TraceContext } from "#model/trace-context.ts";

export interface TraceSources {
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** When the command began: with its process. Unix time in ms, with fractions. */
  readonly startTimeMs: number;
  now(): number;
  randomHex(bytes: number): string;
}

export interface FinishedSpan {
  readonly traceId: string;
  readonly spanId: string;
  /** Empty on a root. */
  readonly parentSpanId: string;
  readonly name: string;
  readonly startTimeMs: number;
  readonly endTimeMs: number;
  readonly attributes: Readonly<Record<string, string | number>>;
  /** Present when it failed. */
  readonly errorMessage?: string;
}

/** Whom a call is for, as the caller named it. */
export interface CalledServer {
  readonly transport: "unix" | "tcp";
  /** Of a unix socket its path. */
  readonly address: string;
  readonly port?: number;
}

export interface CallSpan {
  /** Headers of the call. */
  readonly headers: Readonly<Record<string, string>>;
  /** The first call counts. */
  end(outcome: { readonly status: string; readonly errorMessage?: string }): void;
}

/** Asks the node to make the sampling decision that the caller did not make. */
const SAMPLING_HEADER = "blixard-sampling";

const MAXIMUM_SPANS = 256;

export class CommandTrace {
  readonly context: TraceContext;
  /** The command without its arguments: `vm create`. */
  readonly command: string;
  readonly #sources: TraceSources;
  readonly #parentSpanId: string;
  readonly #recorded: boolean;
  readonly #startTimeMs: number;
  readonly #attributes: Record<string, string | number> = {};
  readonly #finished: FinishedSpan[] = [];
  readonly #open = new Set<CallSpan["end"]>();

  /** @param recorded whether it makes a trace of its own; an inherited one is continued in any case */
  constructor(command: string, sources: TraceSources, recorded: boolean) {
    const { TRACEPARENT: traceparent = "", TRACESTATE: traceState, BAGGAGE: baggage } = sources.environment;
    const inherited = parseTraceparent(traceparent, traceState);
    this.command = command;
    this.#sources = sources;
    this.#startTimeMs = sources.startTimeMs;
    this.#recorded = recorded || inherited !== undefined;
    this.#parentSpanId = inherited?.spanId ?? "";
    this.context = {
      traceId: inherited?.traceId ?? timedTraceId(sources.startTimeMs, sources.randomHex(12)),
      spanId: sources.randomHex(8),
      sampled: inherited?.sampled ?? false,
      ...(inherited?.traceState === undefined ? {} : { traceState: inherited.traceState }),
      ...passedOn(baggage),
    };
  }

  /** Adds to the command's own span. */
  setAttribute(name: "blixard.vm.name" | "blixard.image.name" | "blixard.operation.id", value: string): void {
    this.#attributes[name] = value;
  }

  /** @param method `blixard.v1.VmService/CreateVm` */
  startCall(method: string, server: CalledServer): CallSpan {
    const baggage: Record<string, string> = this.context.baggage === undefined ? {} : { baggage: this.context.baggage };
    if (!this.#recorded) return { headers: baggage, end: () => {} };
    const context = { ...this.context, spanId: this.#sources.randomHex(8) };
    const startTimeMs = this.#sources.now();
    const end: CallSpan["end"] = ({ status, errorMessage }) => {
      if (!this.#open.delete(end) || this.#finished.length >= MAXIMUM_SPANS - 1) return;
      this.#finished.push({
        traceId: context.traceId,
        spanId: context.spanId,
        parentSpanId: this.context.spanId,
        name: method,
        startTimeMs,
        endTimeMs: this.#sources.now(),
        attributes: {
          "rpc.system.name": "grpc",
          "rpc.method": method,
          "rpc.status_code": status,
          "server.address": server.address,
          ...(server.port === undefined ? {} : { "server.port": server.port }),
          "network.transport": server.transport,
          ...(errorMessage === undefined ? {} : { "error.type": status }),
        },
        ...(errorMessage === undefined ? {} : { errorMessage }),
      });
    };
    this.#open.add(end);
    return {
      headers: {
        traceparent: formatTraceparent(context),
        ...(context.traceState === undefined ? {} : { tracestate: context.traceState }),
        ...(context.sampled ? {} : { [SAMPLING_HEADER]: "defer" }),
        ...baggage,
      },
      end,
    };
  }

  /** Ends the calls that the command left open (a watch that has seen enough) and its own span; all spans, the command's last. At most 256. */
  finish(outcome: {
    readonly exitCode: number;
    readonly processId: number;
    readonly error?: { readonly code: string; readonly message: string };
  }): readonly FinishedSpan[] {
    const { exitCode, processId, error } = outcome;
    for (const end of this.#open) end({ status: "CANCELLED" });
    const own: FinishedSpan = {
      traceId: this.context.traceId,
      spanId: this.context.spanId,
      parentSpanId: this.#parentSpanId,
      name: `blixard ${this.command}`,
      startTimeMs: this.#startTimeMs,
      endTimeMs: this.#sources.now(),
      attributes: {
        "blixard.cli.command": this.command,
        "blixard.cli.exit_code": exitCode,
        "process.pid": processId,
        ...this.#attributes,
        ...(error === undefined ? {} : { "blixard.error.code": error.code, "error.type": error.code }),
      },
      ...(error === undefined ? {} : { errorMessage: error.message }),
    };
    return [...this.#finished, own];
  }

  /** Whether there is something to hand in. */
  get hasCalls(): boolean {
    return this.#finished.length + this.#open.size > 0;
  }
}

/** What is well-formed and within the limits; the node decides what it takes of it. */
function passedOn(header: string | undefined): { readonly baggage?: string } {
  if (header === undefined) return {};
  const { header: baggage } = formatBaggage(parseBaggage(header).members);
  return baggage === undefined ? {} : { baggage };
}
