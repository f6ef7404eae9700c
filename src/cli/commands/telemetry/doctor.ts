/** `blixard telemetry doctor` */
import { create } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import {
  CheckOutcome,
  DiagnoseTelemetryRequestSchema,
  DiagnoseTelemetryResponseSchema,
  TelemetryService,
  type DiagnoseTelemetryResponse,
} from "#gen/api/blixard/v1/telemetry_pb.ts";
import { BlixardError } from "#model/errors.ts";
import { anyText, defineCommand, option } from "../../command.ts";
import { loadNodeConfig } from "../../config-sources.ts";
import type { CommandContext } from "../../context.ts";
import { exitCodes, WaitTimeoutError } from "../../failure.ts";
import { nodeOptions } from "../../node-options.ts";
import { printable } from "../../output/text.ts";
import { durationMs } from "../../values.ts";
import { version } from "../../version.ts";
import { DoctorView } from "./doctor-view.ts";

const DEFAULT_TIMEOUT_MS = 30_000;
/** The node keeps to the time; this is for one that does not answer any more. */
const MARGIN_MS = 10_000;
/** Findings that nobody but us can mend. */
const OUR_FAULTS: ReadonlySet<string> = new Set(["page_invalid"]);

export const telemetryDoctor = defineCommand({
  description:
    "The node sends a canary span, metric and log to each of its destinations and tells of every step: name, connection, TLS, credentials, acknowledgement. Where [observability.doctor] names a Prometheus, Jaeger or Tempo, it reads them back. Then it looks at its metrics page, the clock, queues, spool, losses and cardinality. Exit code: 0 all is well, perhaps with warnings; 1 something is for you to mend; 3 the node cannot be reached, or it is our fault; 4 the time was over. With -o json one object a line.",
  arguments: {},
  options: {
    config: option(
      "FILE",
      "Without a node: look at the destinations of this configuration (TOML) from here.",
      anyText,
      { short: "c", complete: "file" },
    ),
    timeout: option("DURATION", "For the whole diagnosis, 1s to 5m. Default: 30s.", durationMs),
    ...nodeOptions,
  },
  examples: [
    { command: "blixard telemetry doctor", explanation: "Does telemetry arrive, and if not, why?" },
    {
      command: `blixard telemetry doctor -o json | jq -r 'select(.check.finding).check | "\\(.finding): \\(.fix)"'`,
      explanation: "What is to be mended, for scripts",
    },
    {
      command: "blixard telemetry doctor --config blixard.toml",
      explanation: "Before there is a node: would its telemetry arrive, sent from here?",
    },
    { command: "blixard telemetry doctor --timeout 2m", explanation: "Backends that take their time to index" },
  ],
  readOnly: true,
  run: async (context, _arguments, options) => {
    const timeoutMs = options.timeout ?? DEFAULT_TIMEOUT_MS;
    const responses =
      options.config === undefined
        ? diagnoseOnNode(context, timeoutMs)
        : await diagnoseHere(context, { ...options, config: options.config }, timeoutMs);
    return await show(responses, context);
  },
});

async function* diagnoseOnNode(
  { node, signal }: CommandContext,
  timeoutMs: number,
): AsyncGenerator<DiagnoseTelemetryResponse, void, void> {
  const { Code, ConnectError } = await import("@connectrpc/connect");
  const telemetry = await node.client(TelemetryService);
  const request = create(DiagnoseTelemetryRequestSchema, { timeout: durationFromMs(timeoutMs) });
  try {
    yield* telemetry.diagnoseTelemetry(request, { signal, timeoutMs: timeoutMs + MARGIN_MS });
  } catch (error) {
    if (ConnectError.from(error).code !== Code.DeadlineExceeded) throw error;
    throw new WaitTimeoutError("the node did not end its diagnosis in time", "See the node's log.");
  }
}

/** @throws BlixardError CONFIG_UNREADABLE, ConfigError */
async function diagnoseHere(
  { io, signal }: CommandContext,
  { config: file, dataDir }: { readonly config: string; readonly dataDir: string | undefined },
  timeoutMs: number,
): Promise<AsyncIterable<DiagnoseTelemetryResponse>> {
  const flags = { config: file, dataDir, logLevel: undefined, logFormat: undefined };
  const { config, warnings } = await loadNodeConfig(flags, io);
  for (const warning of warnings) await io.stderr.write(`warning: ${printable(warning)}\n`);
  const { diagnoseConfig } = await import("#daemon/telemetry-inspection.ts");
  return diagnoseConfig(config, { version, timeoutMs, signal });
}

/** Prints everything; the exit code. */
async function show(
  responses: AsyncIterable<DiagnoseTelemetryResponse>,
  { printer }: Pick<CommandContext, "printer">,
): Promise<number> {
  const view = new DoctorView(printer.layout);
  const findings: string[] = [];
  let isDone = false;
  for await (const response of responses) {
    const { event } = response;
    await printer.streamed(DiagnoseTelemetryResponseSchema, response, () => {
      if (event.case === "check") return view.check(event.value);
      return event.case === "diagnosis" ? view.diagnosis(event.value) : [];
    });
    if (event.case === "check" && event.value.outcome === CheckOutcome.FAILED) findings.push(event.value.finding);
    isDone ||= event.case === "diagnosis";
  }
  if (!isDone) throw new BlixardError("NODE_UNREACHABLE", "the node ended the diagnosis before it was done");
  return exitCodeOf(findings);
}

/** @param findings of the checks that failed */
export function exitCodeOf(findings: readonly string[]): number {
  const others = findings.filter((finding) => finding !== "deadline_exceeded");
  if (others.some((finding) => !OUR_FAULTS.has(finding))) return exitCodes.yourFault;
  if (others.length > 0) return exitCodes.ourFault;
  return findings.length > 0 ? exitCodes.timedOut : exitCodes.done;
}
