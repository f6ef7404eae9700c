/**
 * Connect's hook between a request's headers and its body. It refuses calls that the
 * dispatcher judged, and it watches the call's signal: Connect aborts it with whatever
 * it is about to tell the caller, before it does, which is the only place where its own
 * findings (undecodable, too large) can be described in our words.
 */
import { ConnectError, type HandlerContext } from "@connectrpc/connect";
import { callKey } from "./call.ts";
import { toConnectError } from "./errors.ts";

export function gateCall(context: HandlerContext): void {
  const call = context.values.get(callKey);
  if (call === undefined) return;
  context.signal.addEventListener(
    "abort",
    () => {
      const reason: unknown = context.signal.reason;
      // A call that ends well aborts its signal too, for no reason.
      if (reason instanceof ConnectError || call.abort.signal.aborted) call.failure ??= toConnectError(reason);
    },
    { once: true },
  );
  if (call.refusal !== undefined) throw toConnectError(call.refusal.error);
}
