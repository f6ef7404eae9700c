/**
 * The one place where errors become what callers see: a canonical status and a
 * `blixard.v1.ErrorDetail`. Errors of ours say everything they know; of any other
 * error the caller learns nothing but the trace id to look for.
 */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { ErrorDetailSchema } from "#gen/api/blixard/v1/common_pb.ts";
import { BlixardError, causeChain, errorCodes, type ErrorCode } from "#model/errors.ts";

type StatusName = (typeof errorCodes)[ErrorCode]["grpc"];

const codeOfStatus: Readonly<Record<StatusName, Code>> = {
  INVALID_ARGUMENT: Code.InvalidArgument,
  NOT_FOUND: Code.NotFound,
  ALREADY_EXISTS: Code.AlreadyExists,
  FAILED_PRECONDITION: Code.FailedPrecondition,
  ABORTED: Code.Aborted,
  OUT_OF_RANGE: Code.OutOfRange,
  PERMISSION_DENIED: Code.PermissionDenied,
  UNAUTHENTICATED: Code.Unauthenticated,
  RESOURCE_EXHAUSTED: Code.ResourceExhausted,
  UNIMPLEMENTED: Code.Unimplemented,
  DEADLINE_EXCEEDED: Code.DeadlineExceeded,
  CANCELLED: Code.Canceled,
  UNAVAILABLE: Code.Unavailable,
  DATA_LOSS: Code.DataLoss,
  INTERNAL: Code.Internal,
};
const statusOfCode: ReadonlyMap<Code, string> = new Map([
  ...Object.entries(codeOfStatus).map(([name, code]) => [code, name] as const),
  [Code.Unknown, "UNKNOWN"] as const,
]);

/** Canonical name: `NOT_FOUND`. */
export function statusNameOf(error: ConnectError): string {
  return statusOfCode.get(error.code) ?? "UNKNOWN";
}

/** Statuses that are the server's failure, as the conventions for RPC list them. */
const serverFailures: ReadonlySet<string> = new Set([
  "UNKNOWN",
  "DEADLINE_EXCEEDED",
  "UNIMPLEMENTED",
  "INTERNAL",
  "UNAVAILABLE",
  "DATA_LOSS",
]);

export function isServerFailure(statusName: string): boolean {
  return serverFailures.has(statusName);
}

// A gRPC client takes headers and trailers of 8 to 16 KiB, and base64 makes them a third longer.
const MAXIMUM_TEXT_LENGTH = 512;
const MAXIMUM_CAUSES = 8;

/** Any error as what goes on the wire. Errors that already are come back as they are. */
export function toConnectError(error: unknown): ConnectError {
  if (error instanceof ConnectError) return completeConnectError(error);
  if (error instanceof BlixardError) return fromBlixardError(error);
  if (isNamed(error, "AbortError")) return fromBlixardError(new BlixardError("CANCELLED", "the call was cancelled"));
  if (isNamed(error, "TimeoutError")) return fromBlixardError(new BlixardError("DEADLINE_EXCEEDED", error.message));
  const hidden = new BlixardError("INTERNAL", "an error that Blixard did not expect", {
    hint: "See the node's log, which has the whole of it, and please report it.",
  });
  const shown = fromBlixardError(hidden);
  shown.cause = error;
  return shown;
}

/** Whether the caller was told less than there is to know. */
export function isUnexpected(error: unknown): boolean {
  return (
    !(error instanceof ConnectError) &&
    !(error instanceof BlixardError) &&
    !isNamed(error, "AbortError") &&
    !isNamed(error, "TimeoutError")
  );
}

function fromBlixardError(error: BlixardError): ConnectError {
  const detail: MessageInitShape<typeof ErrorDetailSchema> = {
    code: error.code,
    hint: shorten(error.hint ?? ""),
    causes: causeChain(error)
      .slice(1, MAXIMUM_CAUSES + 1)
      .map(shorten),
    field: shorten(error.field ?? ""),
    fault: error.fault,
  };
  const code = codeOfStatus[errorCodes[error.code].grpc];
  return new ConnectError(shorten(error.message), code, undefined, [{ desc: ErrorDetailSchema, value: detail }], error);
}

/** What Connect found wrong with a request by itself, in our words: a detail is added, a misleading status mended. */
export function completeConnectError(error: ConnectError): ConnectError {
  if (error.details.length > 0) return error;
  const described = describeProtocolError(error);
  const { code, details } = fromBlixardError(described);
  // The same object, because it is the one that Connect is about to send.
  return Object.assign(error, { code, rawMessage: described.message, details, cause: described });
}

const codeOfConnectCode: ReadonlyMap<Code, ErrorCode> = new Map([
  [Code.InvalidArgument, "INVALID_ARGUMENT"],
  [Code.ResourceExhausted, "REQUEST_TOO_LARGE"],
  [Code.Unimplemented, "UNIMPLEMENTED"],
  [Code.Canceled, "CANCELLED"],
  [Code.Aborted, "CANCELLED"],
  [Code.DeadlineExceeded, "DEADLINE_EXCEEDED"],
]);

/** Connect calls a message that it cannot decode an internal error, and an absent one unimplemented. */
const protocolCodes: readonly (readonly [RegExp, ErrorCode])[] = [
  [/^(parse binary|protocol error|decompression failed|received compressed envelope)/, "INVALID_ARGUMENT"],
  [/^http\/2 stream closed/, "CANCELLED"],
];

function describeProtocolError(error: ConnectError): BlixardError {
  const message = shorten(error.rawMessage);
  const code =
    protocolCodes.find(([pattern]) => pattern.test(error.rawMessage))?.[1] ??
    codeOfConnectCode.get(error.code) ??
    "INTERNAL";
  const hints: Partial<Record<ErrorCode, string>> = {
    INVALID_ARGUMENT: "Compare the request with the service's definition (proto/blixard/v1).",
    REQUEST_TOO_LARGE: "Send a smaller message.",
    DEADLINE_EXCEEDED: "Allow more time, or look at the node's health.",
  };
  const hint = hints[code];
  return new BlixardError(code, message, hint === undefined ? {} : { hint });
}

/** AbortSignal's own reasons. */
function isNamed(error: unknown, name: string): error is Error {
  return error instanceof Error && error.name === name;
}

function shorten(text: string): string {
  return text.length > MAXIMUM_TEXT_LENGTH ? `${text.slice(0, MAXIMUM_TEXT_LENGTH)}…` : text;
}
