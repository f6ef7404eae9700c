/**
 * Around every handler: its errors become the wire's, and the call ends when its
 * signal says so, even if the handler does not listen. What changes something is put
 * on record once it is accepted. Connect's own failures before
 * a handler (undecodable, too large) are described in `call-gate.ts`.
 */
import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import type { Interceptor } from "@connectrpc/connect";
import type { Logger } from "#telemetry/port.ts";
import { beginAudit } from "./audit.ts";
import { callKey, type Call } from "./call.ts";
import { isUnexpected, toConnectError } from "./errors.ts";
import { describeRequest } from "./request-attributes.ts";
import { untilAborted } from "./until-aborted.ts";

export function createCallInterceptor(logger: Logger): Interceptor {
  function describe(error: unknown): unknown {
    if (isUnexpected(error)) logger.error("a call failed with an error that nobody expected", {}, error);
    return toConnectError(error);
  }

  async function* relay(
    messages: AsyncIterable<MessageShape<DescMessage>>,
    signal: AbortSignal,
  ): AsyncGenerator<MessageShape<DescMessage>> {
    const iterator = messages[Symbol.asyncIterator]();
    try {
      for (;;) {
        const next = await untilAborted(iterator.next(), signal);
        if (next.done === true) return;
        yield next.value;
      }
    } catch (error) {
      throw describe(error);
    } finally {
      // Not awaited: a handler that hangs must not keep the call open.
      iterator.return?.().catch(() => undefined);
    }
  }

  return (next) => async (request) => {
    const call = request.contextValues.get(callKey);
    if (call !== undefined) call.reachedHandler = true;
    if (!request.stream) annotate(call, request.message);
    const audit = beginAudit(logger, call, request);
    try {
      const response = await untilAborted(next(audit.request), request.signal);
      audit.accepted();
      return response.stream ? { ...response, message: relay(response.message, request.signal) } : response;
    } catch (error) {
      throw describe(error);
    }
  };
}

function annotate(call: Call | undefined, message: MessageShape<DescMessage>): void {
  call?.span?.setAttributes(describeRequest(message));
}
