import type { TraceContext } from "#model/trace-context.ts";
import type { AttributeValue, LogLevel } from "../port.ts";

/** One thing that was said, safe to show: bounded, without secrets; not yet escaped. */
export interface LogRecord {
  /** Unix time in ms. */
  readonly timeMs: number;
  readonly level: LogLevel;
  readonly message: string;
  readonly attributes: Readonly<Record<string, AttributeValue>>;
  /** Name of a registry event. */
  readonly eventName?: string;
  readonly error?: LoggedError;
  /** The span that was active. */
  readonly context?: TraceContext;
}

export interface LoggedError {
  /** `error.type`: our code, a system error's code, or the class's name. */
  readonly type: string;
  /** The cause chain, outermost first. */
  readonly message: string;
  readonly hint?: string;
  /** Only for errors that nobody expected. */
  readonly stack?: string;
}

export type LogSink = (record: LogRecord) => void;
