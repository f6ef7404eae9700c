/** Service levels and alerts, as the rules of `deploy/prometheus/rules` work them out. */
import type { Row } from "./dashboard.ts";
import { dashboardLink, uids } from "./links.ts";
import { type PanelOptions, stat, table, timeSeries } from "./panels.ts";

const rulesLoaded: PanelOptions["emptyUntil"] & object = [
  "Prometheus has the rules of `deploy/prometheus/rules`, and there was something to measure",
  "no recording rules, or nothing to measure",
];
const recorded = (name: string): string => `blixard:slo_${name}{job=~"$job"}`;
const lowest = (expr: string): string => `min by (slo) (${expr})`;
const highest = (expr: string): string => `max by (slo) (${expr})`;

export function objectives(): Row {
  return {
    question: "Are the objectives met?",
    panels: [
      stat({
        title: "Error budget left",
        description:
          "Of the 30 days' budget, by objective: VMs run that should (vm_availability), VMs are ready within 30 s (vm_start_latency), calls do not fail by the server's fault (api_availability). Below 0 the objective is missed: stop changing things, see what took it.",
        unit: "percentunit",
        decimals: 1,
        width: 6,
        height: 8,
        base: "red",
        steps: [
          [0, "orange"],
          [0.25, "green"],
        ],
        queries: [{ expr: lowest(recorded("budget:ratio")), legend: "{{slo}}" }],
        emptyUntil: rulesLoaded,
      }),
      timeSeries({
        title: "Share that was good",
        description:
          "Of seconds of VMs, of starts and of calls, over five minutes. The objectives are 99.9 %, 99 % and 99.9 %.",
        unit: "percentunit",
        max: 1,
        width: 6,
        queries: [
          { expr: lowest(`1 - ${recorded("bad:rate5m")} / (${recorded("total:rate5m")} > 0)`), legend: "{{slo}}" },
        ],
        emptyUntil: rulesLoaded,
      }),
      timeSeries({
        title: "How fast the budgets burn",
        description:
          "Over an hour: 1 spends the budget in exactly 30 days; at 14.4 it is gone in two, and somebody is woken. Short peaks on a quiet cluster are single failures.",
        width: 6,
        steps: [
          [1, "orange"],
          [14.4, "red"],
        ],
        queries: [{ expr: highest(recorded("burn:rate1h")), legend: "{{slo}}" }],
        links: [dashboardLink("Calls", uids.rpc)],
        emptyUntil: rulesLoaded,
      }),
      table({
        title: "Alerts firing",
        description: "Each has its runbook in `docs/runbooks`, and says what to run.",
        width: 6,
        height: 8,
        labels: { alertname: "Alert", severity: "Severity", job: "Cluster" },
        sortBy: "Alert",
        columns: [
          {
            title: "Firing",
            expr: 'count by (alertname, severity, job) (ALERTS{alertstate="firing", alertname=~"Blixard.+"})',
          },
        ],
        emptyUntil: ["an alert fires", "none fires"],
      }),
    ],
  };
}
