/** trace-rules/<id> between model and wire. */
import { create } from "@bufbuild/protobuf";
import { type TraceRuleRecord, TraceRuleRecordSchema } from "#gen/store/blixard/store/v1/records_pb.ts";
import type { TraceRule } from "#model/trace-rule.ts";
import { timeFromMessage, timeToMessage } from "./common-codec.ts";
import { createRecordCodec } from "./record-codec.ts";

export const traceRuleCodec = createRecordCodec(TraceRuleRecordSchema, traceRuleFromMessage, traceRuleToMessage);

function traceRuleFromMessage(message: TraceRuleRecord): TraceRule {
  return {
    id: message.id,
    vmId: message.vmId,
    vmName: message.vmName,
    createTimeMs: timeFromMessage(message.createTime),
    expireTimeMs: timeFromMessage(message.expireTime),
    traceId: message.traceId === "" ? undefined : message.traceId,
  };
}

function traceRuleToMessage(rule: TraceRule): TraceRuleRecord {
  return create(TraceRuleRecordSchema, {
    id: rule.id,
    vmId: rule.vmId,
    vmName: rule.vmName,
    createTime: timeToMessage(rule.createTimeMs),
    expireTime: timeToMessage(rule.expireTimeMs),
    traceId: rule.traceId ?? "",
  });
}
