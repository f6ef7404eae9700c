/** `blixard telemetry log-level` */
import { create } from "@bufbuild/protobuf";
import {
  GetLogLevelRequestSchema,
  GetLogLevelResponseSchema,
  LogLevel,
  SetLogLevelRequestSchema,
  SetLogLevelResponseSchema,
  TelemetryService,
} from "#gen/api/blixard/v1/telemetry_pb.ts";
import { defineCommand } from "../../command.ts";
import { nodeOptions } from "../../node-options.ts";
import { enumText } from "../../output/enum-text.ts";

const levels = { debug: LogLevel.DEBUG, info: LogLevel.INFO, warn: LogLevel.WARN, error: LogLevel.ERROR } as const;
type Level = keyof typeof levels;

export const telemetryLogLevel = defineCommand({
  description:
    "Of this node alone, until it is restarted: then it is as configured again. Audit events are logged at any level.",
  arguments: {
    level: {
      description: "Least severity that is logged from now on; without it the present one is shown.",
      optional: true,
      values: Object.keys(levels),
    },
  },
  options: { ...nodeOptions },
  examples: [
    { command: "blixard telemetry log-level", explanation: "See the level" },
    { command: "blixard telemetry log-level debug", explanation: "Log everything for a while" },
  ],
  run: async ({ node, printer, signal }, { level }) => {
    const telemetry = await node.client(TelemetryService);
    if (level === undefined) {
      const response = await telemetry.getLogLevel(create(GetLogLevelRequestSchema), { signal });
      await printer.message(GetLogLevelResponseSchema, response, () => [enumText(LogLevel, response.level)]);
      return;
    }
    const request = create(SetLogLevelRequestSchema, { level: levels[level as Level] });
    const response = await telemetry.setLogLevel(request, { signal });
    const before = enumText(LogLevel, response.previousLevel);
    await printer.message(SetLogLevelResponseSchema, response, () => [
      `the node logs ${level} and above (was ${before})`,
    ]);
  },
});
