/**
 * The one logger: builds safe records and hands them to its sinks (lines on stderr,
 * later OTLP log records).
 *
 * It never throws into the caller, knows the active span, drops what repeats too
 * often and says how much it dropped. Its level can change while it runs.
 */
import { BlixardError } from "#model/errors.ts";
import { Secret } from "#model/secret.ts";
import type { TraceContext } from "#model/trace-context.ts";
import type { Attributes, AttributeValue, Logger, LogLevel } from "../port.ts";
import { errorMessageOf, errorTypeOf } from "../tracing/span-error.ts";
import type { LoggedError, LogRecord, LogSink } from "./log-record.ts";
import { createMessageRateLimit, type MessageRateLimitOptions } from "./message-rate-limit.ts";

export interface LoggerOptions {
  readonly level: LogLevel;
  readonly sinks: readonly LogSink[];
  /** Unix time in ms. */
  readonly now: () => number;
  readonly activeContext: () => TraceContext | undefined;
  readonly rateLimit?: MessageRateLimitOptions;
}

export interface LoggerRuntime extends Logger {
  setLevel(level: LogLevel): void;
  level(): LogLevel;
  /** Says what is still unsaid about dropped messages. */
  flush(): void;
}

const LEVEL_RANK: Readonly<Record<LogLevel, number>> = { debug: 0, info: 1, warn: 2, error: 3 };
const MAXIMUM_MESSAGE_LENGTH = 8_192;
const MAXIMUM_VALUE_LENGTH = 4_096;
const MAXIMUM_ATTRIBUTES = 64;
const DEFAULT_RATE_LIMIT: MessageRateLimitOptions = { windowMs: 10_000, messagesPerWindow: 20, maximumKinds: 1_000 };
/** How many messages like this one were dropped. */
const SUPPRESSED_KEY = "blixard.telemetry.item_count";

export function createLogger(options: LoggerOptions): LoggerRuntime {
  const limit = createMessageRateLimit(options.rateLimit ?? DEFAULT_RATE_LIMIT);
  let minimum: LogLevel = options.level;

  function emit(record: LogRecord): void {
    for (const sink of options.sinks) {
      try {
        sink(record);
      } catch {
        // A sink that fails must not take the others, or the caller, with it.
      }
    }
  }

  function emitSuppressed(timeMs: number, untilMs: number): void {
    for (const { kind, suppressed } of limit.takeUnreported(untilMs)) {
      emit({
        timeMs,
        level: "warn",
        message: `dropped messages that repeat: ${kind}`,
        attributes: { [SUPPRESSED_KEY]: suppressed },
      });
    }
  }

  function log(level: LogLevel, message: string, attributes?: Attributes, error?: unknown, eventName?: string): void {
    if (LEVEL_RANK[level] < LEVEL_RANK[minimum]) return;
    try {
      const timeMs = options.now();
      const { pass, suppressed } = limit.admit(message.slice(0, MAXIMUM_VALUE_LENGTH), timeMs);
      emitSuppressed(timeMs, timeMs);
      if (!pass) return;
      const context = options.activeContext();
      emit({
        timeMs,
        level,
        message: cut(message, MAXIMUM_MESSAGE_LENGTH),
        attributes: { ...toPlainAttributes(attributes), ...(suppressed > 0 ? { [SUPPRESSED_KEY]: suppressed } : {}) },
        ...(eventName === undefined ? {} : { eventName }),
        ...(error === undefined ? {} : { error: toLoggedError(error) }),
        ...(context === undefined ? {} : { context }),
      });
    } catch {
      // Hostile getters, a broken clock: logging is never a reason to fail.
    }
  }

  return {
    debug: (message, attributes) => log("debug", message, attributes),
    info: (message, attributes) => log("info", message, attributes),
    warn: (message, attributes, error) => log("warn", message, attributes, error),
    error: (message, attributes, error) => log("error", message, attributes, error),
    event: (descriptor, message, attributes) =>
      log(descriptor.severity, message, attributes, undefined, descriptor.name),
    setLevel: (level) => void (minimum = level),
    level: () => minimum,
    flush: () => emitSuppressed(options.now(), Number.POSITIVE_INFINITY),
  };
}

function toPlainAttributes(attributes: Attributes | undefined): Record<string, AttributeValue> {
  const plain: Record<string, AttributeValue> = {};
  let count = 0;
  for (const [key, value] of Object.entries(attributes ?? {})) {
    if (value === undefined || ++count > MAXIMUM_ATTRIBUTES) continue;
    plain[key] = toPlainValue(value);
  }
  return plain;
}

/** Types say what a value is; callers in trouble pass other things, and secrets by mistake. */
function toPlainValue(value: unknown): AttributeValue {
  if (typeof value === "string") return cut(value, MAXIMUM_VALUE_LENGTH);
  if (typeof value === "number" || typeof value === "boolean") return value;
  if (value instanceof Secret) return value.toString();
  if (value instanceof Error) return cut(errorMessageOf(value), MAXIMUM_VALUE_LENGTH);
  try {
    return cut(JSON.stringify(value) ?? String(value), MAXIMUM_VALUE_LENGTH);
  } catch {
    return "[unprintable]";
  }
}

function toLoggedError(error: unknown): LoggedError {
  const unexpected = error instanceof Error && (!(error instanceof BlixardError) || error.code === "INTERNAL");
  return {
    type: errorTypeOf(error),
    message: cut(errorMessageOf(error), MAXIMUM_VALUE_LENGTH),
    ...(error instanceof BlixardError && error.hint !== undefined ? { hint: error.hint } : {}),
    ...(unexpected && error.stack !== undefined ? { stack: cut(error.stack, MAXIMUM_MESSAGE_LENGTH) } : {}),
  };
}

function cut(text: string, maximumLength: number): string {
  return text.length <= maximumLength ? text : `${text.slice(0, maximumLength)}… (${text.length} characters)`;
}
