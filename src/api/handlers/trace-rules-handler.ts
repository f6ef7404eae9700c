/** The trace rules of TelemetryService: thin, everything is decided in control. */
import { create } from "@bufbuild/protobuf";
import { durationMs } from "@bufbuild/protobuf/wkt";
import type { ServiceImpl } from "@connectrpc/connect";
import {
  TraceRuleSchema,
  type TelemetryService,
  type TraceRule as TraceRuleMessage,
} from "#gen/api/blixard/v1/telemetry_pb.ts";
import type { TraceRules } from "#control/trace-rules.ts";
import { invalid } from "#model/names.ts";
import type { TraceRule } from "#model/trace-rule.ts";
import { timeToMessage } from "#store/records/common-codec.ts";

export interface TraceRulesHandlerOptions {
  readonly traceRules: TraceRules;
}

type TraceRulesHandler = Pick<
  ServiceImpl<typeof TelemetryService>,
  "createTraceRule" | "listTraceRules" | "deleteTraceRule"
>;

export function createTraceRulesHandler({ traceRules }: TraceRulesHandlerOptions): TraceRulesHandler {
  return {
    async createTraceRule({ vm, duration }, context) {
      if (duration === undefined) throw invalid("duration", "it is not said for how long", "Use 1 s to 24 h.");
      const rule = await traceRules.create({ vm, durationMs: durationMs(duration) }, context.signal);
      return { rule: ruleToMessage(rule) };
    },
    listTraceRules: () => ({ rules: traceRules.list().map(ruleToMessage) }),
    async deleteTraceRule({ ruleId }, context) {
      await traceRules.delete(ruleId, context.signal);
      return {};
    },
  };
}

function ruleToMessage(rule: TraceRule): TraceRuleMessage {
  return create(TraceRuleSchema, {
    ruleId: rule.id,
    vmId: rule.vmId,
    vmName: rule.vmName,
    createTime: timeToMessage(rule.createTimeMs),
    expireTime: timeToMessage(rule.expireTimeMs),
    traceId: rule.traceId ?? "",
  });
}
