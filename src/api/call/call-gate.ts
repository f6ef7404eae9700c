/**
 * Connect's hook between a request's headers and its body. It refuses calls that the
 * dispatcher judged. And it hooks into the end of the call: Connect passes to `abort`
 * what it is about to tell the caller, which is the only place where its own findings
 * (undecodable, too large, too late) can be described in our words.
 */
import { ConnectError, type HandlerContext } from "@connectrpc/connect";
import { callKey, type Call } from "./call.ts";
import { toConnectError } from "./errors.ts";

/** What Connect holds behind the context that it declares. */
type CallController = HandlerContext & { abort(reason?: unknown): void };

export function gateCall(context: HandlerContext): void {
  const call = context.values.get(callKey);
  if (call === undefined) return;
  describeFailures(context as CallController, call);
  if (call.refusal !== undefined) throw toConnectError(call.refusal.error);
  // A deadline of zero has passed before anything began.
  if (context.signal.aborted) throw toConnectError(context.signal.reason);
}

function describeFailures(context: CallController, call: Call): void {
  const abort = context.abort.bind(context);
  context.abort = (reason) => {
    const failure = reason instanceof ConnectError ? toConnectError(reason) : undefined;
    call.failure ??= failure;
    abort(reason);
  };
  const onAbort = (): void => {
    const reason: unknown = context.signal.reason;
    // A call that ends well aborts its signal too, for no reason.
    const isOver = reason instanceof ConnectError || call.abort.signal.aborted;
    if (!isOver) return;
    call.failure ??= toConnectError(reason);
    // The caller's deadline ends the reading of the request too.
    call.abort.abort(call.failure);
  };
  if (context.signal.aborted) onAbort();
  else context.signal.addEventListener("abort", onAbort, { once: true });
}
