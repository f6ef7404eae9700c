/** Sends a response with back-pressure; a reader that takes nothing for too long loses the call. */
import { ServerResponse } from "node:http";
import { constants } from "node:http2";
import type { UniversalServerResponse } from "@connectrpc/connect/protocol";
import { BlixardError } from "#model/errors.ts";
import type { HttpResponse } from "../transport/http-front.ts";

export interface WriteResponseOptions {
  /** How long the reader may take nothing. */
  readonly stallTimeoutMs: number;
  readonly onBytes: (bytes: Uint8Array) => void;
}

/** What both kinds of response have, without the overloads in which their declarations differ. */
interface ResponseSink {
  writeHead(status: number, headers: Record<string, string>): unknown;
  /** False: wait for `drain`. */
  write(data: Uint8Array): boolean;
}

/** @throws when the reader is gone or stalls: the rest is not sent */
export async function writeResponse(
  response: UniversalServerResponse,
  target: HttpResponse,
  { stallTimeoutMs, onBytes }: WriteResponseOptions,
): Promise<void> {
  const sink: ResponseSink = target;
  const body = response.body?.[Symbol.asyncIterator]();
  try {
    // The head waits for the first bytes: until then a handler may still set headers.
    let chunk = await body?.next();
    if (isGone(target)) throw gone();
    sink.writeHead(response.status, toNodeHeaders(response.header));
    for (; body !== undefined && chunk !== undefined && chunk.done !== true; chunk = await body.next()) {
      if (isGone(target)) throw gone();
      onBytes(chunk.value);
      if (!sink.write(chunk.value)) await settled(target, "drain", stallTimeoutMs);
    }
    // Its events are over: nobody would tell that the end was sent.
    if (isGone(target)) throw gone();
    if (response.trailer !== undefined) target.addTrailers(toNodeHeaders(response.trailer));
    refuseRest(target);
    target.end();
    await settled(target, "finish", stallTimeoutMs);
  } catch (error) {
    body?.throw?.(error).catch(() => undefined);
    destroy(target);
    throw error;
  } finally {
    body?.return?.().catch(() => undefined);
  }
}

function settled(target: HttpResponse, event: "drain" | "finish", timeoutMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => settle(stalled(timeoutMs)), timeoutMs);
    const succeed = (): void => settle();
    const fail = (): void => settle(target.writableFinished ? undefined : gone());
    function settle(error?: Error): void {
      clearTimeout(timer);
      target.off(event, succeed);
      target.off("close", fail);
      if (error === undefined) resolve();
      else reject(error);
    }
    target.once(event, succeed);
    target.once("close", fail);
  });
}

/** An answer may be due before the request is complete: an HTTP/2 caller is told to stop sending, else it waits to. */
function refuseRest(target: HttpResponse): void {
  if (target instanceof ServerResponse || target.req.complete) return;
  const { stream } = target;
  // Not before the trailers are out, which are the answer's most important part.
  stream.once("wantTrailers", () => setImmediate(() => stream.close(constants.NGHTTP2_NO_ERROR)));
}

export function destroy(target: HttpResponse): void {
  if (target instanceof ServerResponse) target.destroy();
  else target.stream.destroy();
}

function isGone(target: HttpResponse): boolean {
  return target instanceof ServerResponse ? target.destroyed : target.stream.destroyed;
}

function toNodeHeaders(headers: Headers | undefined): Record<string, string> {
  return headers === undefined ? {} : Object.fromEntries(headers.entries());
}

const gone = (): BlixardError => new BlixardError("CANCELLED", "the caller went away");
const stalled = (timeoutMs: number): BlixardError =>
  new BlixardError("CANCELLED", `the caller took no data for ${timeoutMs} ms`);
