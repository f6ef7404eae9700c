/**
 * What a failed call to etcd means: which error it is for callers, whether the
 * request certainly had no effect, and whether trying again can help.
 *
 * "Certainly" is a matter of proof: the request was never sent, or the member
 * answered with an error that it gives before a proposal, or instead of applying
 * one. Everything else (a deadline, a broken connection, "request timed out",
 * "leader changed", a member that stops) may hide a write that happened.
 */
import { type ServiceError, status } from "@grpc/grpc-js";
import { BlixardError, type ErrorCode } from "#model/errors.ts";

export interface CallFailure {
  readonly code: ErrorCode;
  /** The request certainly changed nothing. */
  readonly withoutEffect: boolean;
  /** The same request may succeed a little later. */
  readonly transient: boolean;
  readonly hint?: string;
  readonly cause: unknown;
}

/** The request never left this process. */
export class NotSentError extends Error {}

interface Rule {
  readonly grpc: number;
  readonly text: RegExp;
  readonly code: ErrorCode;
  readonly transient?: boolean;
  readonly hint?: string;
}

/** Answers that prove that nothing was changed. Texts are etcd's own (api/v3rpc/rpctypes) and grpc-js's. */
const provenRules: readonly Rule[] = [
  { grpc: status.UNAVAILABLE, text: /etcdserver: no leader/, code: "STORE_UNAVAILABLE", transient: true },
  { grpc: status.UNAVAILABLE, text: /not supported for learner/, code: "STORE_UNAVAILABLE", transient: true },
  { grpc: status.UNAVAILABLE, text: /No connection established/, code: "STORE_UNAVAILABLE", transient: true },
  { grpc: status.RESOURCE_EXHAUSTED, text: /too many requests/, code: "STORE_UNAVAILABLE", transient: true },
  {
    grpc: status.RESOURCE_EXHAUSTED,
    text: /database space exceeded/,
    code: "STORE_FULL",
    hint: "Delete VMs or images that are not needed, or raise the store's quota.",
  },
  { grpc: status.INVALID_ARGUMENT, text: /request is too large/, code: "REQUEST_TOO_LARGE" },
  { grpc: status.INVALID_ARGUMENT, text: /./, code: "INVALID_ARGUMENT" },
  { grpc: status.OUT_OF_RANGE, text: /compacted|future revision/, code: "STORE_COMPACTED" },
  { grpc: status.NOT_FOUND, text: /requested lease not found/, code: "LEASE_LOST" },
  {
    grpc: status.PERMISSION_DENIED,
    text: /./,
    code: "STORE_UNAVAILABLE",
    hint: "Let this node's user read and write keys below /blixard/ in etcd.",
  },
  {
    grpc: status.UNAUTHENTICATED,
    text: /./,
    code: "STORE_UNAVAILABLE",
    hint: "Give the credentials that etcd asks for.",
  },
  { grpc: status.UNIMPLEMENTED, text: /./, code: "STORE_UNAVAILABLE", hint: "Use etcd 3.4 or newer." },
  { grpc: status.DATA_LOSS, text: /corrupt/, code: "STORE_CORRUPT" },
];

export function classifyFailure(error: unknown): CallFailure {
  if (error instanceof NotSentError) {
    return { code: "STORE_UNAVAILABLE", withoutEffect: true, transient: true, cause: error };
  }
  if (!isServiceError(error)) {
    return { code: "INTERNAL", withoutEffect: false, transient: false, cause: error };
  }
  // An answer came, so a write has happened; asking again would bring the same answer.
  if (isAnswerTooLarge(error)) {
    return { code: "REQUEST_TOO_LARGE", withoutEffect: false, transient: false, cause: error };
  }
  const rule = provenRules.find(({ grpc, text }) => grpc === error.code && text.test(error.details));
  if (rule !== undefined) {
    return {
      code: rule.code,
      withoutEffect: true,
      transient: rule.transient ?? false,
      ...(rule.hint === undefined ? {} : { hint: rule.hint }),
      cause: error,
    };
  }
  return { code: "STORE_UNAVAILABLE", withoutEffect: false, transient: true, cause: error };
}

/** Whether the answer was larger than this client takes: ask for less. */
export function isAnswerTooLarge(error: unknown): boolean {
  return isServiceError(error) && error.code === status.RESOURCE_EXHAUSTED && /larger than max/.test(error.details);
}

export function readError(what: string, failure: CallFailure): BlixardError {
  return new BlixardError(failure.code, messageOf(what, failure), detailsOf(failure));
}

/** For a write: without proof that it did not happen, its outcome is unknown. */
export function writeError(what: string, failure: CallFailure): BlixardError {
  if (failure.withoutEffect) return readError(what, failure);
  return new BlixardError("STORE_OUTCOME_UNKNOWN", `${what} may or may not have happened`, detailsOf(failure));
}

/** Name of the status that a call failed with, as the error or what caused it has it: `UNAVAILABLE`. */
export function statusNameOf(error: unknown): string | undefined {
  for (let one = error; one instanceof Error; one = one.cause) {
    if (isServiceError(one)) return status[one.code];
  }
  return undefined;
}

function messageOf(what: string, failure: CallFailure): string {
  switch (failure.code) {
    case "STORE_UNAVAILABLE":
      return `${what}: the store does not answer`;
    case "STORE_FULL":
      return `${what}: the store's database is full`;
    case "STORE_COMPACTED":
      return `${what}: the revision has been compacted, list again`;
    case "LEASE_LOST":
      return `${what}: the lease has expired`;
    default:
      return `${what} failed`;
  }
}

function detailsOf({ cause, hint }: CallFailure): { cause: unknown; hint?: string } {
  return { cause, ...(hint === undefined ? {} : { hint }) };
}

function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && "code" in error && "details" in error && typeof error.code === "number";
}
