/** A call's failure as a `BlixardError`, with the code, the causes and the hint that the node gave. */
import { Code, ConnectError } from "@connectrpc/connect";
import { type ErrorDetail, ErrorDetailSchema } from "#gen/api/blixard/v1/common_pb.ts";
import { BlixardError, type ErrorCode, errorCodes } from "#model/errors.ts";

export function fromRpcError(error: unknown): BlixardError {
  if (error instanceof BlixardError) return error;
  const failure = ConnectError.from(error);
  const [detail] = failure.findDetails(ErrorDetailSchema);
  return detail === undefined ? withoutDetail(failure) : withDetail(failure, detail);
}

function withDetail(failure: ConnectError, detail: ErrorDetail): BlixardError {
  const causes = chainOf(detail.causes);
  const code = isErrorCode(detail.code) ? detail.code : undefined;
  // A newer node may have codes that this CLI does not know: keep the name for the reader, the fault for the exit code.
  const message = code !== undefined ? failure.rawMessage : `${failure.rawMessage} (${detail.code})`;
  return new BlixardError(code ?? codeOfFault(detail.fault), message, {
    ...(causes === undefined ? {} : { cause: causes }),
    ...(detail.hint === "" ? {} : { hint: detail.hint }),
    ...(detail.field === "" ? {} : { field: detail.field }),
  });
}

/** Nested errors with these messages, outermost first. */
function chainOf(messages: readonly string[]): Error | undefined {
  return messages.reduceRight<Error | undefined>(
    (cause, message) => (cause === undefined ? new Error(message) : new Error(message, { cause })),
    undefined,
  );
}

function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(errorCodes, code);
}

function codeOfFault(fault: string): ErrorCode {
  return fault === "user" ? "INVALID_ARGUMENT" : "INTERNAL";
}

const CODES: Partial<Record<Code, ErrorCode>> = {
  // Nobody here gave up: that is told apart before. So the stream was cut.
  [Code.Canceled]: "NODE_UNREACHABLE",
  [Code.Aborted]: "NODE_UNREACHABLE",
  [Code.InvalidArgument]: "INVALID_ARGUMENT",
  [Code.DeadlineExceeded]: "DEADLINE_EXCEEDED",
  [Code.PermissionDenied]: "PERMISSION_DENIED",
  [Code.ResourceExhausted]: "TOO_MANY_REQUESTS",
  [Code.Unimplemented]: "UNIMPLEMENTED",
  [Code.Unauthenticated]: "UNAUTHENTICATED",
  [Code.Unavailable]: "NODE_UNREACHABLE",
};

const HINTS: Partial<Record<ErrorCode, string>> = {
  NODE_UNREACHABLE: "See whether the node still runs; `blixard node run` starts it.",
  UNAUTHENTICATED: "Give the node's token with --token-file, or use its unix socket (--data-dir).",
  UNIMPLEMENTED: "The node is older than this CLI: bring it to the same version.",
  DEADLINE_EXCEEDED: "Try again; the node's log says what kept it.",
};

function withoutDetail(failure: ConnectError): BlixardError {
  const code = isConnectionFailure(failure) ? "NODE_UNREACHABLE" : (CODES[failure.code] ?? "INTERNAL");
  const hint = HINTS[code];
  const message = code === "NODE_UNREACHABLE" ? "the node does not answer" : failure.rawMessage;
  return new BlixardError(code, message, {
    cause: failure.cause ?? (code === "NODE_UNREACHABLE" ? failure : undefined),
    ...(hint === undefined ? {} : { hint }),
  });
}

/** Whether a socket's error is below it. */
function isConnectionFailure(failure: ConnectError): boolean {
  let error: unknown = failure;
  for (let depth = 0; depth < 8 && error instanceof Error; depth++) {
    if ("syscall" in error) return true;
    if ("code" in error && typeof error.code === "string" && /^ERR_(HTTP2|STREAM)_/.test(error.code)) return true;
    error = error.cause;
  }
  return false;
}
