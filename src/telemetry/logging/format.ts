/** Log records as lines. Both formats are one line a record, whatever the record holds. */
import type { AttributeValue, LogLevel } from "../port.ts";
import { escapeControls, escapeJsonControls } from "./escape.ts";
import type { LogRecord } from "./log-record.ts";

export type LogFormatter = (record: LogRecord) => string;

const LEVEL_TEXT: Readonly<Record<LogLevel, string>> = { debug: "DEBUG", info: "INFO ", warn: "WARN ", error: "ERROR" };

const LEVEL_COLOUR: Readonly<Record<LogLevel, string>> = { debug: "90", info: "36", warn: "33", error: "31" };

/**
 * `2026-11-22T09:30:00.000Z INFO  VM started blixard.vm.name=web-1 trace_id=… span_id=…`
 */
export function createHumanFormatter(options: { readonly colour: boolean }): LogFormatter {
  const paint = (code: string, text: string): string => (options.colour ? `\u001b[${code}m${text}\u001b[0m` : text);
  return (record) => {
    const parts = [
      paint("90", new Date(record.timeMs).toISOString()),
      paint(LEVEL_COLOUR[record.level], LEVEL_TEXT[record.level]),
      escapeControls(record.message),
    ];
    const field = (key: string, value: AttributeValue): void =>
      void parts.push(`${paint("90", `${escapeControls(key)}=`)}${quoteWhereNeeded(value)}`);
    for (const [key, value] of Object.entries(record.attributes)) field(key, value);
    if (record.error !== undefined) {
      field("error.type", record.error.type);
      field("error", record.error.message);
      if (record.error.hint !== undefined) field("hint", record.error.hint);
      if (record.error.stack !== undefined) field("stack", record.error.stack);
    }
    if (record.context !== undefined) {
      field("trace_id", record.context.traceId);
      field("span_id", record.context.spanId);
    }
    return `${parts.join(" ")}\n`;
  };
}

/** Attributes stand beside the fixed fields: their keys have dots, the fixed ones have none. */
export function formatJson(record: LogRecord): string {
  const { context, error } = record;
  const line = {
    time: new Date(record.timeMs).toISOString(),
    level: record.level,
    message: record.message,
    ...(record.eventName === undefined ? {} : { event_name: record.eventName }),
    ...(context === undefined
      ? {}
      : { trace_id: context.traceId, span_id: context.spanId, trace_flags: context.sampled ? "01" : "00" }),
    ...record.attributes,
    ...(error === undefined
      ? {}
      : {
          "error.type": error.type,
          "exception.message": error.message,
          ...(error.hint === undefined ? {} : { "blixard.error.hint": error.hint }),
          ...(error.stack === undefined ? {} : { "exception.stacktrace": error.stack }),
        }),
  };
  return `${escapeJsonControls(JSON.stringify(line))}\n`;
}

function quoteWhereNeeded(value: AttributeValue): string {
  if (typeof value !== "string") return String(value);
  const text = escapeControls(value);
  return /^[^\s"=]+$/.test(text) ? text : `"${text.replaceAll('"', '\\"')}"`;
}
