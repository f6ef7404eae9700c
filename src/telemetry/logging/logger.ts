/**
 * The one logger: builds safe records and hands them to its sinks (lines on stderr,
 * OTLP log records).
 *
 * It never throws into the caller, knows the active span, drops what repeats too
 * often and says how much it dropped. Its level can change while it runs. Attributes
 * that the registry does not know are left out, counted, and named once. Audit events
 * pass whatever the level and however many: who may change the level could else hide.
 */
import { audit } from "#gen/telemetry/events.ts";
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
  /** What a record says beside its own attributes, by the context in which it is made. */
  readonly contextAttributes?: (context: TraceContext) => Readonly<Record<string, string>>;
  /** Default: any. */
  readonly isKnownAttribute?: (key: string) => boolean;
  readonly limits?: { readonly attributeCount?: number; readonly attributeValueLength?: number } | undefined;
  readonly onDropped?: (what: LogDrop, count: number) => void;
}

/** What was left out: attributes of records, or records that repeat. */
export type LogDrop = "attributes" | "records";

export interface LoggerRuntime extends Logger {
  setLevel(level: LogLevel): void;
  level(): LogLevel;
  /** Whether records of this level are let through. */
  passes(level: LogLevel): boolean;
  /** Says what is still unsaid about dropped messages. */
  flush(): void;
}

const LEVEL_RANK: Readonly<Record<LogLevel, number>> = { debug: 0, info: 1, warn: 2, error: 3 };
const MAXIMUM_MESSAGE_LENGTH = 8_192;
const MAXIMUM_VALUE_LENGTH = 4_096;
const MAXIMUM_ATTRIBUTES = 64;
/** Unknown attributes that are named; those beyond are only counted. */
const MAXIMUM_NAMED_ATTRIBUTES = 100;
const MAXIMUM_KEY_LENGTH = 128;
const DEFAULT_RATE_LIMIT: MessageRateLimitOptions = { windowMs: 10_000, messagesPerWindow: 20, maximumKinds: 1_000 };
/** How many messages like this one were dropped. */
const SUPPRESSED_KEY = "blixard.telemetry.item_count";

export function createLogger(options: LoggerOptions): LoggerRuntime {
  const limit = createMessageRateLimit(options.rateLimit ?? DEFAULT_RATE_LIMIT);
  const maximumAttributes = options.limits?.attributeCount ?? MAXIMUM_ATTRIBUTES;
  const valueLimit = options.limits?.attributeValueLength;
  // A limit that was configured is exact; the default says what it cut.
  const shorten = (text: string): string =>
    valueLimit === undefined ? cut(text, MAXIMUM_VALUE_LENGTH) : text.slice(0, valueLimit);
  const named = new Set<string>();
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
    const isAudit = eventName === audit.name;
    if (!isAudit && !passes(level)) return;
    try {
      const timeMs = options.now();
      const kind = message.slice(0, MAXIMUM_VALUE_LENGTH);
      const { pass, suppressed } = isAudit ? { pass: true, suppressed: 0 } : limit.admit(kind, timeMs);
      emitSuppressed(timeMs, timeMs);
      if (!pass) {
        options.onDropped?.("records", 1);
        return;
      }
      const context = options.activeContext();
      const told = { ...(context && options.contextAttributes?.(context)), ...attributes };
      emit({
        timeMs,
        level,
        message: cut(message, MAXIMUM_MESSAGE_LENGTH),
        attributes: { ...toPlainAttributes(told, timeMs), ...(suppressed > 0 ? { [SUPPRESSED_KEY]: suppressed } : {}) },
        ...(eventName === undefined ? {} : { eventName }),
        ...(error === undefined ? {} : { error: toLoggedError(error) }),
        ...(context === undefined ? {} : { context }),
      });
    } catch {
      // Hostile getters, a broken clock: logging is never a reason to fail.
    }
  }

  function passes(level: LogLevel): boolean {
    return LEVEL_RANK[level] >= LEVEL_RANK[minimum];
  }

  function toPlainAttributes(attributes: Attributes, timeMs: number): Record<string, AttributeValue> {
    const plain: Record<string, AttributeValue> = {};
    let [kept, dropped] = [0, 0];
    for (const [key, value] of Object.entries(attributes)) {
      if (value === undefined) continue;
      const isKnown = options.isKnownAttribute?.(key) ?? true;
      if (!isKnown) nameOnce(key, timeMs);
      if (!isKnown || kept >= maximumAttributes) {
        dropped++;
        continue;
      }
      plain[key] = toPlainValue(value, shorten);
      kept++;
    }
    if (dropped > 0) options.onDropped?.("attributes", dropped);
    return plain;
  }

  /** A mistake of ours: whoever reads the log can report it. */
  function nameOnce(key: string, timeMs: number): void {
    if (named.has(key) || named.size >= MAXIMUM_NAMED_ATTRIBUTES) return;
    named.add(key);
    const attribute = key.slice(0, MAXIMUM_KEY_LENGTH);
    const message = "an attribute is not in the registry and is left out of log records";
    emit({ timeMs, level: "warn", message, attributes: { "blixard.telemetry.attribute": attribute } });
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
    passes,
    flush: () => emitSuppressed(options.now(), Number.POSITIVE_INFINITY),
  };
}

/** Types say what a value is; callers in trouble pass other things, and secrets by mistake. */
function toPlainValue(value: unknown, shorten: (text: string) => string): AttributeValue {
  if (typeof value === "string") return shorten(value);
  if (typeof value === "number" || typeof value === "boolean") return value;
  if (value instanceof Secret) return value.toString();
  if (value instanceof Error) return shorten(errorMessageOf(value));
  try {
    return shorten(JSON.stringify(value) ?? String(value));
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
