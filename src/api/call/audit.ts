/**
 * Who changed what: one log event for every accepted call that changes something, and
 * for every console that is opened. It says what the call was about, never its content.
 */
import type { DescMessage, DescMethod, MessageShape } from "@bufbuild/protobuf";
import type { StreamRequest, UnaryRequest } from "@connectrpc/connect";
import { LogLevel, type CreateTraceRuleRequest, type SetLogLevelRequest } from "#gen/api/blixard/v1/telemetry_pb.ts";
import { audit } from "#gen/telemetry/events.ts";
import { formatDuration } from "#model/quantity.ts";
import type { Logger } from "#telemetry/port.ts";
import type { Call } from "./call.ts";

/** By the verb of a method's name; what is neither is a mistake that a test finds. */
export const auditedVerb =
  /^(Create|Delete|Start|Stop|Restart|Pause|Resume|Import|Cordon|Uncordon|Set|Attach)(?![a-z])/;
/** RecordSpans adds to what is recorded, DiagnoseTelemetry to what is sent: neither changes what a node does. */
export const unauditedVerb = /^(Get|List|Watch|Read|Record|Diagnose|Check|ServerReflection)/;

type CallRequest = UnaryRequest | StreamRequest;

const SUBJECT_FIELDS = ["vm", "name", "node", "ruleId"] as const;
const MAXIMUM_LENGTH = 128;

export function isAudited(method: DescMethod): boolean {
  return auditedVerb.test(method.name);
}

export interface CallAudit {
  /** What the handler is to be given. */
  readonly request: CallRequest;
  /** The handler has answered. */
  accepted(): void;
}

/** Calls that change nothing pass untouched. */
export function beginAudit(logger: Logger, call: Call | undefined, request: CallRequest): CallAudit {
  if (call === undefined || !isAudited(request.method)) return { request, accepted: () => undefined };
  if (!request.stream) return { request, accepted: () => recordAudit(logger, call, request.message) };
  let first: MessageShape<DescMessage> | undefined;
  // What streams both ways is accepted when it begins.
  const atOnce = request.method.methodKind === "bidi_streaming";
  const messages = observeFirst(request.message, (message) => {
    first = message;
    if (atOnce) recordAudit(logger, call, message);
  });
  return {
    request: { ...request, message: messages },
    accepted: () => (atOnce ? undefined : recordAudit(logger, call, first)),
  };
}

async function* observeFirst(
  messages: AsyncIterable<MessageShape<DescMessage>>,
  note: (message: MessageShape<DescMessage>) => void,
): AsyncGenerator<MessageShape<DescMessage>> {
  let isFirst = true;
  for await (const message of messages) {
    if (isFirst) note(message);
    isFirst = false;
    yield message;
  }
}

function recordAudit(logger: Logger, call: Call, request: MessageShape<DescMessage> | undefined): void {
  const fields = request === undefined ? {} : fieldsOf(request);
  const subject = SUBJECT_FIELDS.map((name) => textOf(fields[name])).find((text) => text !== undefined);
  const operationId = textOf(fields["operationId"]);
  const detail = request === undefined ? undefined : detailOf(request);
  const { method, rpcMethod, caller, peerAddress } = call;
  logger.event(audit, `${method?.name ?? rpcMethod}${subject === undefined ? "" : ` ${subject}`}: accepted`, {
    "blixard.audit.action": rpcMethod,
    "blixard.grpc.listener": caller.listener,
    ...(subject === undefined ? {} : { "blixard.audit.subject": subject }),
    ...(detail === undefined ? {} : { "blixard.audit.detail": detail }),
    ...(operationId === undefined ? {} : { "blixard.operation.id": operationId }),
    ...(peerAddress === undefined ? {} : { "network.peer.address": peerAddress }),
  });
}

/** With the fields of a stream's header, or what a oneof holds under its own name. */
function fieldsOf(request: MessageShape<DescMessage>): Readonly<Record<string, unknown>> {
  const fields = request as unknown as Readonly<Record<string, unknown>>;
  const { message } = fields;
  if (typeof message !== "object" || message === null || !("case" in message) || !("value" in message)) return fields;
  const { case: name, value } = message;
  return typeof value === "object" ? { ...value } : { [String(name)]: value };
}

function detailOf(request: MessageShape<DescMessage>): string | undefined {
  switch (request.$typeName) {
    case "blixard.v1.SetLogLevelRequest":
      return Object.entries(LogLevel)
        .find(([, value]) => value === (request as SetLogLevelRequest).level)?.[0]
        .toLowerCase();
    case "blixard.v1.CreateTraceRuleRequest": {
      const { duration } = request as CreateTraceRuleRequest;
      return duration === undefined ? undefined : formatDuration(Number(duration.seconds) * 1_000);
    }
    default:
      return undefined;
  }
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value.slice(0, MAXIMUM_LENGTH) : undefined;
}
