/**
 * AWS X-Ray's `X-Amzn-Trace-Id`. Its trace id is ours, with the first eight digits set
 * apart (they are a time in ids that X-Ray makes; since 2023 it takes any).
 * Source: AWS X-Ray developer guide, "Tracing header".
 */
import { type TraceContext, withoutDecision } from "../trace-context.ts";
import { paddedId, type TraceFormat } from "./headers.ts";

const HEADER = "x-amzn-trace-id";
const MAXIMUM_LENGTH = 1_024;
const ROOT = /^1-([0-9a-fA-F]{8})-([0-9a-fA-F]{24})$/;
const PARENT = /^[0-9a-fA-F]{16}$/;

export const xray: TraceFormat = {
  extract(headers) {
    const text = headers.get(HEADER) ?? "";
    if (text.length > MAXIMUM_LENGTH) return undefined;
    const fields = new Map(text.split(";").map(fieldOf));
    const [, time = "", rest = ""] = ROOT.exec(fields.get("root") ?? "") ?? [];
    const parent = fields.get("parent") ?? "";
    const [traceId, spanId] = [paddedId(time + rest, 32), PARENT.test(parent) ? paddedId(parent, 16) : undefined];
    if (traceId === undefined || spanId === undefined) return undefined;
    const context: TraceContext = { traceId, spanId, sampled: false };
    const sampled = fields.get("sampled");
    if (sampled === "1") return { ...context, sampled: true };
    // `?` asks for a decision, and so does saying nothing.
    return sampled === "0" ? context : withoutDecision(context);
  },
  inject({ traceId, spanId, sampled }, headers) {
    const root = `1-${traceId.slice(0, 8)}-${traceId.slice(8)}`;
    headers[HEADER] = `Root=${root};Parent=${spanId};Sampled=${sampled ? "1" : "0"}`;
  },
};

function fieldOf(text: string): readonly [string, string] {
  const equals = text.indexOf("=");
  return [text.slice(0, Math.max(0, equals)).trim().toLowerCase(), text.slice(equals + 1).trim()];
}
