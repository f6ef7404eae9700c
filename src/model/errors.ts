/**
 * The one error type of Blixard and the one table of its codes.
 *
 * Every failure that crosses a room's border is a `BlixardError`: a code that
 * users can search for, whose fault it is, what went wrong in one sentence, and
 * what to do next. Layers add context by wrapping (`cause`), never by losing
 * what was below. The API maps `fault` and `grpc` to the wire in one place, the
 * CLI maps `fault` to an exit code in one place.
 */

/** Whose fault: the caller can mend a `user` error, an operator an `operator` one, we a `system` one. */
export type Fault = "user" | "operator" | "system";

interface ErrorDefinition {
  readonly fault: Fault;
  /** Canonical gRPC status name this code becomes on the wire. */
  readonly grpc:
    | "INVALID_ARGUMENT"
    | "NOT_FOUND"
    | "ALREADY_EXISTS"
    | "FAILED_PRECONDITION"
    | "ABORTED"
    | "OUT_OF_RANGE"
    | "PERMISSION_DENIED"
    | "UNAUTHENTICATED"
    | "RESOURCE_EXHAUSTED"
    | "UNIMPLEMENTED"
    | "DEADLINE_EXCEEDED"
    | "CANCELLED"
    | "UNAVAILABLE"
    | "DATA_LOSS"
    | "INTERNAL";
}

const user = (grpc: ErrorDefinition["grpc"]): ErrorDefinition => ({ fault: "user", grpc });
const operator = (grpc: ErrorDefinition["grpc"]): ErrorDefinition => ({ fault: "operator", grpc });
const system = (grpc: ErrorDefinition["grpc"]): ErrorDefinition => ({ fault: "system", grpc });

/** All codes. Add one here first; a code is never reused with another meaning. */
export const errorCodes = {
  // Requests
  INVALID_ARGUMENT: user("INVALID_ARGUMENT"),
  REQUEST_TOO_LARGE: user("RESOURCE_EXHAUSTED"),
  UNAUTHENTICATED: user("UNAUTHENTICATED"),
  PERMISSION_DENIED: user("PERMISSION_DENIED"),
  UNIMPLEMENTED: user("UNIMPLEMENTED"),
  SERVICE_NOT_FOUND: user("NOT_FOUND"),
  CANCELLED: user("CANCELLED"),
  TOO_MANY_REQUESTS: user("RESOURCE_EXHAUSTED"),
  DEADLINE_EXCEEDED: system("DEADLINE_EXCEEDED"),
  // Virtual machines
  VM_NOT_FOUND: user("NOT_FOUND"),
  VM_NAME_TAKEN: user("ALREADY_EXISTS"),
  VM_STATE_CONFLICT: user("FAILED_PRECONDITION"),
  VM_TRANSITION_ILLEGAL: user("FAILED_PRECONDITION"),
  VM_NOT_ON_NODE: user("FAILED_PRECONDITION"),
  VM_FAILED: user("FAILED_PRECONDITION"),
  OPERATION_ID_REUSED: user("ALREADY_EXISTS"),
  // Images
  IMAGE_NOT_FOUND: user("NOT_FOUND"),
  IMAGE_NAME_TAKEN: user("ALREADY_EXISTS"),
  IMAGE_IN_USE: user("FAILED_PRECONDITION"),
  IMAGE_INVALID: user("INVALID_ARGUMENT"),
  IMAGE_CORRUPT: operator("DATA_LOSS"),
  // Nodes and the cluster
  NODE_NOT_FOUND: user("NOT_FOUND"),
  NOT_LEADER: system("UNAVAILABLE"),
  TRACE_NOT_FOUND: user("NOT_FOUND"),
  TRACE_RULE_NOT_FOUND: user("NOT_FOUND"),
  // Configuration and start-up
  USAGE: user("INVALID_ARGUMENT"),
  CONFIG_INVALID: operator("INVALID_ARGUMENT"),
  CONFIG_UNREADABLE: operator("NOT_FOUND"),
  TOOL_MISSING: operator("FAILED_PRECONDITION"),
  TOOL_TOO_OLD: operator("FAILED_PRECONDITION"),
  PORT_TAKEN: operator("FAILED_PRECONDITION"),
  DATA_DIRECTORY_LOCKED: operator("FAILED_PRECONDITION"),
  DATA_DIRECTORY_CORRUPT: operator("DATA_LOSS"),
  DATA_DIRECTORY_UNUSABLE: operator("FAILED_PRECONDITION"),
  DISK_FULL: operator("RESOURCE_EXHAUSTED"),
  NODE_UNREACHABLE: operator("UNAVAILABLE"),
  // Store
  STORE_UNAVAILABLE: system("UNAVAILABLE"),
  STORE_CONFLICT: system("ABORTED"),
  STORE_OUTCOME_UNKNOWN: system("UNAVAILABLE"),
  STORE_COMPACTED: system("OUT_OF_RANGE"),
  STORE_FULL: operator("RESOURCE_EXHAUSTED"),
  STORE_CORRUPT: system("DATA_LOSS"),
  LEASE_LOST: system("ABORTED"),
  // Runtime and guardian
  HYPERVISOR_FAILED: system("INTERNAL"),
  HYPERVISOR_UNRESPONSIVE: system("DEADLINE_EXCEEDED"),
  GUARDIAN_UNAVAILABLE: system("UNAVAILABLE"),
  GUEST_BOOT_TIMEOUT: user("DEADLINE_EXCEEDED"),
  GUEST_CHANNEL_UNAVAILABLE: user("FAILED_PRECONDITION"),
  // Telemetry
  TELEMETRY_REJECTED: operator("INTERNAL"),
  // Ours
  SHUTTING_DOWN: system("UNAVAILABLE"),
  INTERNAL: system("INTERNAL"),
} as const satisfies Record<string, ErrorDefinition>;

export type ErrorCode = keyof typeof errorCodes;

export interface BlixardErrorOptions {
  readonly cause?: unknown;
  /** What the reader should do next: an imperative sentence. */
  readonly hint?: string;
  /** The field of the request that is wrong, as a protobuf JSON path (`spec.vcpus`). */
  readonly field?: string;
}

export class BlixardError extends Error {
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly field: string | undefined;

  constructor(code: ErrorCode, message: string, options: BlixardErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "BlixardError";
    this.code = code;
    this.hint = options.hint;
    this.field = options.field;
  }

  get fault(): Fault {
    return errorCodes[this.code].fault;
  }
}

/** The error as a `BlixardError`: itself, or `code` (default INTERNAL) around it with its message. */
export function toBlixardError(error: unknown, code: ErrorCode = "INTERNAL"): BlixardError {
  if (error instanceof BlixardError) return error;
  return new BlixardError(code, messageOf(error), { cause: error });
}

/** Adds what was being done, keeps the code, the hint and the chain below. */
export function withContext(error: unknown, message: string): BlixardError {
  const inner = toBlixardError(error);
  return new BlixardError(inner.code, message, {
    cause: inner,
    ...(inner.hint === undefined ? {} : { hint: inner.hint }),
    ...(inner.field === undefined ? {} : { field: inner.field }),
  });
}

const MAXIMUM_CAUSES = 16;

/** The messages from the outermost to the root cause, without repeats; at most 16. */
export function causeChain(error: unknown): string[] {
  const chain: string[] = [];
  let current: unknown = error;
  for (let depth = 0; depth < MAXIMUM_CAUSES && current !== undefined; depth++) {
    const message = messageOf(current);
    if (chain.at(-1) !== message) chain.push(message);
    current = current instanceof Error ? current.cause : undefined;
  }
  return chain;
}

function messageOf(error: unknown): string {
  if (error instanceof Error) return error.message === "" ? error.name : error.message;
  return typeof error === "string" ? error : (JSON.stringify(error) ?? String(error));
}
