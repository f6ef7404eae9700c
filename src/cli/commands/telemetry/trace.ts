/** `blixard telemetry trace` */
import { create } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import {
  CreateTraceRuleRequestSchema,
  CreateTraceRuleResponseSchema,
  DeleteTraceRuleRequestSchema,
  DeleteTraceRuleResponseSchema,
  ListTraceRulesRequestSchema,
  ListTraceRulesResponseSchema,
  TelemetryService,
  type TraceRule,
} from "#gen/api/blixard/v1/telemetry_pb.ts";
import { anyText, defineCommand, flag, option, usageError } from "../../command.ts";
import { nodeOptions } from "../../node-options.ts";
import { renderTable, type TableLayout } from "../../output/table.ts";
import { printable } from "../../output/text.ts";
import { shortDuration, timestampMs, timestampText } from "../../output/time.ts";
import { durationMs } from "../../values.ts";

const DEFAULT_DURATION_MS = 600_000;

export const telemetryTrace = defineCommand({
  description:
    "For a time, every trace that touches the VM is exported from all nodes, whatever the sampling ratio. " +
    "It ends by itself. What is exported can be seen at the collector; `blixard vm trace` shows traces in any case.",
  arguments: {},
  options: {
    vm: option("VM", "Name or id of the VM.", anyText, { complete: "vm" }),
    for: option("DURATION", "For how long, 1s to 24h; default 10m.", durationMs),
    list: flag("Lists the rules that are in force."),
    stop: option("RULE_ID", "Ends a rule before its time.", anyText),
    ...nodeOptions,
  },
  examples: [
    { command: "blixard telemetry trace --vm web --for 10m", explanation: "Export all that happens to a VM" },
    { command: "blixard telemetry trace --list", explanation: "See for which VMs, and until when" },
    {
      command: "blixard telemetry trace --stop 0b0f7c52-7f0e-4c1e-9a51-1f2d3c4b5a69",
      explanation: "End it before its time",
    },
  ],
  run: async ({ node, printer, signal, trace, io }, _arguments, options) => {
    const { vm, list, stop } = options;
    checkChoice(options);
    const telemetry = await node.client(TelemetryService);
    if (list) {
      const response = await telemetry.listTraceRules(create(ListTraceRulesRequestSchema), { signal });
      await printer.message(ListTraceRulesResponseSchema, response, (layout) =>
        ruleTable(response.rules, io.now(), layout),
      );
    } else if (stop !== undefined) {
      const request = create(DeleteTraceRuleRequestSchema, { ruleId: stop });
      const response = await telemetry.deleteTraceRule(request, { signal });
      await printer.message(DeleteTraceRuleResponseSchema, response, () => [printable(`rule ${stop} has ended`)]);
    } else if (vm !== undefined) {
      trace.setAttribute("blixard.vm.name", vm);
      const duration = durationFromMs(options.for ?? DEFAULT_DURATION_MS);
      const request = create(CreateTraceRuleRequestSchema, { vm, duration });
      const response = await telemetry.createTraceRule(request, { signal });
      await printer.message(CreateTraceRuleResponseSchema, response, () => [describeRule(response.rule)]);
    }
  },
});

function checkChoice(options: { vm: string | undefined; for: number | undefined; list: boolean; stop: unknown }): void {
  const chosen = [options.vm !== undefined, options.list, options.stop !== undefined].filter(Boolean).length;
  if (chosen !== 1) usageError("it takes one of --vm, --list and --stop", "Try `blixard telemetry trace --vm NAME`.");
  if (options.for !== undefined && options.vm === undefined) usageError("--for goes with --vm");
}

function describeRule(rule: TraceRule | undefined): string {
  const until = timestampText(rule?.expireTime);
  return printable(`traces of ${rule?.vmName ?? ""} are exported until ${until} (rule ${rule?.ruleId ?? ""})`);
}

function ruleTable(rules: readonly TraceRule[], nowMs: number, layout: TableLayout): readonly string[] {
  if (rules.length === 0) return ["There are no rules. `blixard telemetry trace --vm NAME --for 10m` makes one."];
  return renderTable(
    [
      { title: "VM", value: (rule) => rule.vmName },
      {
        title: "ENDS IN",
        align: "right",
        value: (rule) => shortDuration(Math.max(0, (timestampMs(rule.expireTime) ?? nowMs) - nowMs)),
      },
      { title: "RULE ID", value: (rule) => rule.ruleId },
    ],
    rules,
    layout,
  );
}
