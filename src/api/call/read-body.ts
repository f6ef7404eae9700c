/** A request's bytes, with a limit to how long they may fail to come. */
import { BlixardError } from "#model/errors.ts";
import type { HttpRequest } from "../transport/http-front.ts";
import { toConnectError } from "./errors.ts";
import { untilAborted } from "./until-aborted.ts";

export interface ReadBodyOptions {
  /** Ends the reading; its reason goes to the caller. */
  readonly signal: AbortSignal;
  /** How long no byte may come; undefined: for ever. */
  readonly idleTimeoutMs: number | undefined;
  readonly onBytes: (bytes: Uint8Array) => void;
  readonly onEnd: () => void;
}

/** Throws what Connect can send as it is. The request is not destroyed when the reader has enough: the answer is still due. */
export async function* readBody(request: HttpRequest, options: ReadBodyOptions): AsyncGenerator<Uint8Array> {
  const iterator = request.iterator({ destroyOnReturn: false });
  try {
    for (;;) {
      const next = await withIdleTimeout(iterator.next(), options);
      if (next.done === true) break;
      const bytes = next.value as Uint8Array;
      options.onBytes(bytes);
      yield bytes;
    }
    options.onEnd();
  } catch (error) {
    if (options.signal.aborted || error instanceof BlixardError) throw toConnectError(error);
    throw toConnectError(new BlixardError("CANCELLED", "the caller went away", { cause: error }));
  }
}

async function withIdleTimeout<T>(promise: Promise<T>, { signal, idleTimeoutMs }: ReadBodyOptions): Promise<T> {
  if (idleTimeoutMs === undefined) return await untilAborted(promise, signal);
  const idle = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    idle.reject(
      new BlixardError("DEADLINE_EXCEEDED", `no byte of the request came for ${idleTimeoutMs} ms`, {
        hint: "Send the request without pauses.",
      }),
    );
  }, idleTimeoutMs);
  try {
    return await Promise.race([untilAborted(promise, signal), idle.promise]);
  } finally {
    clearTimeout(timer);
    idle.promise.catch(() => undefined);
  }
}
