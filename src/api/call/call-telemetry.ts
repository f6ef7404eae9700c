/** Span and metrics of calls. Cells are bound once per method and outcome, never per call. */
import {
  grpcServerCallActive,
  grpcServerCallDuration,
  grpcServerRejected,
  grpcServerRequestSize,
  grpcServerResponseSize,
  grpcServerStreamActive,
  rpcServerCallDuration,
} from "#gen/telemetry/metrics.ts";
import { rpcServer } from "#gen/telemetry/spans.ts";
import { BlixardError } from "#model/errors.ts";
import type { CounterCell, HistogramCell, ManualSpan, Telemetry, UpDownCounterCell } from "#telemetry/port.ts";
import type { Call, ListenerKind, RejectionReason, RpcSystem } from "./call.ts";
import { isServerFailure, statusNameOf } from "./errors.ts";
import type { SpanPlace } from "./trace-headers.ts";

export const OTHER_METHOD = "_OTHER";

/** `host`, `host:port` or `[address]:port`; anything else was sent to confuse. */
const AUTHORITY = /^(?:\[([0-9a-fA-F:.]{2,45})\]|([\w.-]{1,253}))(?::(\d{1,5}))?$/;

export interface Peer {
  readonly listener: ListenerKind;
  readonly address: string | undefined;
  readonly port: number | undefined;
  /** What the caller called this server: `host:port`. */
  readonly authority?: string | undefined;
}

export interface CallMeasurement {
  requestSize(bytes: number): void;
  responseSize(bytes: number): void;
  /** The call's last byte is sent, or its connection is gone. */
  end(): void;
}

export interface CallTelemetry {
  startSpan(call: Call, place: SpanPlace, peer: Peer, originalMethod: string): ManualSpan;
  /** Says what became of the call. */
  endSpan(span: ManualSpan, call: Call): void;
  measure(call: Call): CallMeasurement;
  rejected(reason: RejectionReason): void;
}

interface MethodCells {
  readonly callActive: UpDownCounterCell;
  readonly streamActive: UpDownCounterCell;
  readonly requestSize: HistogramCell;
  readonly responseSize: HistogramCell;
  readonly durationByStatus: Map<string, readonly HistogramCell[]>;
}

const rejectionReasons = ["auth", "overload", "invalid", "shutting_down"] as const satisfies readonly RejectionReason[];

/** @param monotonicMs a clock that never jumps */
export function createCallTelemetry({ metrics, tracing }: Telemetry, monotonicMs: () => number): CallTelemetry {
  const cellsByMethod = new Map<string, MethodCells>();
  // Bound at once: a rejection that never happened reads 0, not nothing.
  const rejections = new Map<RejectionReason, CounterCell>(
    rejectionReasons.map((reason) => [
      reason,
      metrics.bind(grpcServerRejected, { "blixard.grpc.rejection_reason": reason }),
    ]),
  );

  function cellsOf(system: RpcSystem, method: string): MethodCells {
    return cellsByMethod.getOrInsertComputed(`${system} ${method}`, () => {
      const attributes = { "rpc.system.name": system, "rpc.method": method };
      return {
        callActive: metrics.bind(grpcServerCallActive, attributes),
        streamActive: metrics.bind(grpcServerStreamActive, attributes),
        requestSize: metrics.bind(grpcServerRequestSize, attributes),
        responseSize: metrics.bind(grpcServerResponseSize, attributes),
        durationByStatus: new Map(),
      };
    });
  }

  function durationsOf({ system, rpcMethod }: Call, cells: MethodCells, status: string): readonly HistogramCell[] {
    return cells.durationByStatus.getOrInsertComputed(status, () => {
      const attributes = {
        "rpc.system.name": system,
        "rpc.method": rpcMethod,
        "rpc.status_code": status,
        ...(isServerFailure(status) ? { "error.type": status } : {}),
      };
      return [metrics.bind(rpcServerCallDuration, attributes), metrics.bind(grpcServerCallDuration, attributes)];
    });
  }

  return {
    startSpan(call, place, peer, originalMethod) {
      return tracing.startSpan(rpcServer, {
        // Without a parent of its own the span would hang under whatever opened the listener.
        parent: place.parent,
        baggage: place.baggage,
        links: place.links,
        name: call.rpcMethod,
        attributes: {
          "rpc.system.name": call.system,
          "rpc.method": call.rpcMethod,
          "blixard.grpc.listener": peer.listener,
          "network.transport": peer.listener,
          ...(call.rpcMethod === OTHER_METHOD ? { "rpc.method_original": originalMethod } : {}),
          ...calledServer(peer),
          ...(peer.address === undefined
            ? {}
            : { "network.peer.address": peer.address, "client.address": peer.address }),
          ...(peer.port === undefined ? {} : { "network.peer.port": peer.port, "client.port": peer.port }),
        },
      });
    },
    endSpan(span, { failure }) {
      const status = failure === undefined ? "OK" : statusNameOf(failure);
      const isOurs = isServerFailure(status);
      if (isOurs) span.setError(failure?.cause ?? failure);
      span.setAttributes({
        "rpc.status_code": status,
        ...(isOurs ? { "error.type": status } : {}),
        ...(failure?.cause instanceof BlixardError ? { "blixard.error.code": failure.cause.code } : {}),
      });
      span.end();
    },
    measure(call) {
      const cells = cellsOf(call.system, call.rpcMethod);
      const isStream = call.method !== undefined && call.method.methodKind !== "unary";
      const startMs = monotonicMs();
      cells.callActive.add(1);
      if (isStream) cells.streamActive.add(1);
      return {
        requestSize: (bytes) => cells.requestSize.record(bytes),
        responseSize: (bytes) => cells.responseSize.record(bytes),
        end() {
          cells.callActive.add(-1);
          if (isStream) cells.streamActive.add(-1);
          const status = call.failure === undefined ? "OK" : statusNameOf(call.failure);
          const seconds = (monotonicMs() - startMs) / 1000;
          for (const cell of durationsOf(call, cells, status)) cell.record(seconds, call.span?.context);
        },
      };
    },
    rejected: (reason) => rejections.get(reason)?.add(1),
  };
}

/** By the conventions the name that the caller used, not the address it came to; a unix socket's callers send none. */
function calledServer({ listener, authority = "" }: Peer): { "server.address"?: string; "server.port"?: number } {
  const match = listener === "tcp" ? AUTHORITY.exec(authority) : null;
  const [, bracketed, bare, port] = match ?? [];
  const address = bracketed ?? bare;
  if (address === undefined) return {};
  return { "server.address": address, ...(port === undefined ? {} : { "server.port": Number(port) }) };
}
