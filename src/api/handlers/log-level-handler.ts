/** The log level of TelemetryService: what this node logs, from now until it is restarted. */
import type { ServiceImpl } from "@connectrpc/connect";
import { LogLevel as LogLevelMessage, type TelemetryService } from "#gen/api/blixard/v1/telemetry_pb.ts";
import { invalid } from "#model/names.ts";
import type { LogLevel } from "#telemetry/port.ts";

/** This node's logger. */
export interface LogLevelControl {
  logLevel(): LogLevel;
  setLogLevel(level: LogLevel): void;
}

export interface LogLevelHandlerOptions {
  readonly logLevel: LogLevelControl;
}

const levels = [
  ["debug", LogLevelMessage.DEBUG],
  ["info", LogLevelMessage.INFO],
  ["warn", LogLevelMessage.WARN],
  ["error", LogLevelMessage.ERROR],
] as const satisfies readonly (readonly [LogLevel, LogLevelMessage])[];

export function createLogLevelHandler({
  logLevel,
}: LogLevelHandlerOptions): Pick<ServiceImpl<typeof TelemetryService>, "getLogLevel" | "setLogLevel"> {
  return {
    getLogLevel: () => ({ level: toMessage(logLevel.logLevel()) }),
    setLogLevel(request) {
      const level = levels.find(([, message]) => message === request.level)?.[0];
      if (level === undefined) throw invalid("level", "this is no log level", "Use DEBUG, INFO, WARN or ERROR.");
      const previousLevel = toMessage(logLevel.logLevel());
      logLevel.setLogLevel(level);
      return { previousLevel };
    },
  };
}

function toMessage(level: LogLevel): LogLevelMessage {
  return levels.find(([name]) => name === level)?.[1] ?? LogLevelMessage.UNSPECIFIED;
}
