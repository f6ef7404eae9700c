/**
 * Exceptions as log records, tied to the span that they ended. Source: semantic
 * conventions 1.45, "Exceptions in logs" and "Recording errors".
 *
 *   span fails with an error ─→ told already? a user's mistake? ─→ log record `….exception`
 *                                                              └─→ span event, where no logs leave
 *
 * An error is told once, by the first span that it ends, however many it passes and
 * however often it is wrapped. What a user did wrong is an answer, not an exception.
 */
import { dbClientOperationException, exception, rpcServerCallException } from "#gen/telemetry/events.ts";
import { dbClient, rpcServer } from "#gen/telemetry/spans.ts";
import { BlixardError } from "#model/errors.ts";
import type { TraceContext } from "#model/trace-context.ts";
import type { LoggedError, LogRecord } from "../logging/log-record.ts";
import type { LoggerRuntime } from "../logging/logger.ts";
import type { EventDescriptor, SpanDescriptor } from "../port.ts";
import type { ExceptionSignal } from "../telemetry-options.ts";
import { errorMessageOf, errorTypeOf } from "./span-error.ts";

export interface ExceptionsOptions {
  /** Default `logs`, and span events too while no logs leave. */
  readonly signal: ExceptionSignal | undefined;
  /** Whether some destination takes log records now. */
  readonly logsLeave: () => boolean;
  /** Takes a log record. */
  readonly emit: (record: LogRecord) => unknown;
  /** Unix time in ms. */
  readonly now: () => number;
}

export interface Exceptions {
  /** Tells of the error that ended a span; returns the attributes of a span event, where there is to be one. */
  tell(error: unknown, span: FailedSpan): Readonly<Record<string, string>> | undefined;
  /** It has been logged: no span tells it again. */
  note(error: unknown): void;
}

export interface FailedSpan {
  readonly descriptor: SpanDescriptor;
  readonly name: string;
  readonly context: TraceContext;
}

/** Name of the span event. Source: semantic conventions, "Exceptions on spans". */
export const EXCEPTION_EVENT = exception.name;

const MAXIMUM_MESSAGE_LENGTH = 4_096;
const MAXIMUM_STACK_LENGTH = 8_192;
const MAXIMUM_CAUSES = 16;

export function createExceptions(options: ExceptionsOptions): Exceptions {
  const told = new WeakSet<Error>();

  return {
    tell(error, span) {
      if (!(error instanceof Error) || !isException(error)) return undefined;
      const chain = chainOf(error);
      const isNew = !chain.some((one) => told.has(one));
      for (const one of chain) told.add(one);
      if (!isNew) return undefined;
      const logged = describe(error);
      if (options.signal !== "span_events") options.emit(toLogRecord(logged, span, options.now()));
      const onSpan = options.signal === undefined ? !options.logsLeave() : options.signal !== "logs";
      return onSpan ? toEventAttributes(logged) : undefined;
    },
    note(error) {
      if (error instanceof Error) for (const one of chainOf(error)) told.add(one);
    },
  };
}

/** What is logged with its error needs no record of its own. */
export function notingExceptions(logger: LoggerRuntime, exceptions: Pick<Exceptions, "note">): LoggerRuntime {
  return {
    ...logger,
    warn(message, attributes, error) {
      logger.warn(message, attributes, error);
      if (error !== undefined && logger.passes("warn")) exceptions.note(error);
    },
    error(message, attributes, error) {
      logger.error(message, attributes, error);
      if (error !== undefined && logger.passes("error")) exceptions.note(error);
    },
  };
}

/** Neither what a user did wrong nor what somebody called off. */
function isException(error: Error): boolean {
  return error instanceof BlixardError ? error.fault !== "user" : error.name !== "AbortError";
}

/** The error and what caused it. */
function chainOf(error: Error): Error[] {
  const chain: Error[] = [];
  for (let one: unknown = error; one instanceof Error && chain.length < MAXIMUM_CAUSES; one = one.cause) {
    if (chain.includes(one)) break;
    chain.push(one);
  }
  return chain;
}

function describe(error: Error): LoggedError {
  // What an operator set wrong is mended in the configuration, not where the code noticed it.
  const hasStack = !(error instanceof BlixardError) || error.fault === "system";
  const hint = error instanceof BlixardError ? error.hint : undefined;
  return {
    type: errorTypeOf(error),
    message: errorMessageOf(error).slice(0, MAXIMUM_MESSAGE_LENGTH),
    ...(hint === undefined ? {} : { hint }),
    ...(hasStack && error.stack !== undefined ? { stack: error.stack.slice(0, MAXIMUM_STACK_LENGTH) } : {}),
  };
}

function toLogRecord(error: LoggedError, { descriptor, name, context }: FailedSpan, timeMs: number): LogRecord {
  const { name: eventName, severity } = eventOf(descriptor);
  return {
    timeMs,
    level: severity,
    message: `${name} failed: ${error.message}`,
    attributes: {},
    eventName,
    error,
    context,
  };
}

function eventOf(descriptor: SpanDescriptor): EventDescriptor {
  if (descriptor.name === rpcServer.name) return rpcServerCallException;
  return descriptor.name === dbClient.name ? dbClientOperationException : exception;
}

function toEventAttributes({ type, message, stack }: LoggedError): Record<string, string> {
  return {
    "exception.type": type,
    "exception.message": message,
    ...(stack === undefined ? {} : { "exception.stacktrace": stack }),
  };
}
