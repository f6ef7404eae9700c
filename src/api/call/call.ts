/**
 * One call, from its headers to its end: who calls what, the span it runs in, and what
 * became of it. Made by the dispatcher, found by gate, interceptor and handlers in
 * Connect's context values.
 */
import type { DescMethod } from "@bufbuild/protobuf";
import { createContextKey, type ConnectError, type ContextKey } from "@connectrpc/connect";
import type { BlixardError } from "#model/errors.ts";
import type { ActiveSpan } from "#telemetry/port.ts";

export type ListenerKind = "unix" | "tcp";
export type RpcSystem = "grpc" | "connectrpc";
export type RejectionReason = "auth" | "overload" | "invalid" | "shutting_down";

export interface Caller {
  readonly listener: ListenerKind;
  readonly authenticated: boolean;
}

export interface Call {
  readonly caller: Caller;
  /** Of the connection; undefined on the unix socket. */
  readonly peerAddress: string | undefined;
  readonly system: RpcSystem;
  /** undefined: the node has no such method. */
  readonly method: DescMethod | undefined;
  /** `blixard.v1.VmService/CreateVm`, or `_OTHER`. */
  readonly rpcMethod: string;
  /** Ends the call: by a deadline, by shutting down, by the caller. */
  readonly abort: AbortController;
  /** Set before the body is read: the call is refused with this. */
  readonly refusal: Refusal | undefined;
  /** Absent for calls that are refused. */
  span: ActiveSpan | undefined;
  /** The request was understood and the handler runs or ran. */
  reachedHandler: boolean;
  /** What the caller is told; undefined as long as all is well. */
  failure: ConnectError | undefined;
}

export interface Refusal {
  readonly reason: RejectionReason;
  readonly error: BlixardError;
}

export const callKey: ContextKey<Call | undefined> = createContextKey<Call | undefined>(undefined, {
  description: "call",
});
