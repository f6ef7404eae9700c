/** TelemetryService's diagnosis: what the node's doctor says, as it says it. */
import { create } from "@bufbuild/protobuf";
import { durationMs } from "@bufbuild/protobuf/wkt";
import type { ServiceImpl } from "@connectrpc/connect";
import {
  CheckOutcome,
  DiagnoseTelemetryResponseSchema,
  type DiagnoseTelemetryResponse,
  type TelemetryService,
} from "#gen/api/blixard/v1/telemetry_pb.ts";
import { invalid } from "#model/names.ts";
import type { TelemetryCheck, TelemetryDoctor, TelemetryDoctorEvent } from "../ports.ts";

export interface DiagnoseTelemetryOptions {
  readonly doctor: TelemetryDoctor;
}

const DEFAULT_TIMEOUT_MS = 30_000;
const MINIMUM_TIMEOUT_MS = 1_000;
const MAXIMUM_TIMEOUT_MS = 5 * 60_000;

const outcomes: Readonly<Record<TelemetryCheck["outcome"], CheckOutcome>> = {
  ok: CheckOutcome.OK,
  warning: CheckOutcome.WARNING,
  failed: CheckOutcome.FAILED,
  skipped: CheckOutcome.SKIPPED,
};

export function createDiagnoseTelemetry({
  doctor,
}: DiagnoseTelemetryOptions): Pick<ServiceImpl<typeof TelemetryService>, "diagnoseTelemetry"> {
  return {
    async *diagnoseTelemetry({ timeout }, context) {
      const timeoutMs = timeout === undefined ? DEFAULT_TIMEOUT_MS : durationMs(timeout);
      if (!(timeoutMs >= MINIMUM_TIMEOUT_MS && timeoutMs <= MAXIMUM_TIMEOUT_MS)) {
        throw invalid("timeout", "this is no time for a diagnosis", "Give it 1 s to 5 minutes.");
      }
      for await (const event of doctor.diagnose({ timeoutMs, signal: context.signal })) {
        yield diagnosisToMessage(event);
      }
    },
  };
}

export function diagnosisToMessage(event: TelemetryDoctorEvent): DiagnoseTelemetryResponse {
  return create(
    DiagnoseTelemetryResponseSchema,
    event.kind === "check"
      ? { event: { case: "check", value: checkToMessage(event.check) } }
      : { event: { case: "diagnosis", value: { ...event.summary, outcome: outcomes[event.summary.outcome] } } },
  );
}

function checkToMessage(check: TelemetryCheck) {
  const { target, signal = "", step, outcome, message, finding = "", fix = "" } = check;
  return {
    target,
    signal,
    step,
    outcome: outcomes[outcome],
    duration: durationToMessage(check.durationMs),
    message,
    finding,
    fix,
  };
}

/** To the microsecond: fractions of a nanosecond cannot be told. */
function durationToMessage(timeMs: number) {
  const micros = Math.max(0, Math.round(timeMs * 1_000));
  return { seconds: BigInt(Math.floor(micros / 1e6)), nanos: (micros % 1e6) * 1_000 };
}
