/** The first look: is the cluster well, and if not, where to look next. */
import {
  nodeAllocationUtilization,
  nodeState,
  nodeBuildInfo,
  nodeSchedulable,
  nodeHeartbeatAge,
  nodePressure,
  raftQuorumMargin,
  schedulerQueueSize,
  vmCount,
  vmOperationDuration,
  vmPlacementAttempts,
  vmRecoveryDuration,
  vmDowntime,
  vmRestarts,
  vmPanics,
} from "../../src/gen/telemetry/metrics.ts";
import type { DashboardSpec, Row } from "./dashboard.ts";
import { dashboardLink, nodeLink, uids } from "./links.ts";
import { heatmap, stat, states, table, timeSeries, yesNo } from "./panels.ts";
import {
  buckets,
  failureRatio,
  increase,
  labelName,
  legend,
  max,
  named,
  quantile,
  rate,
  select,
  sum,
} from "./promql.ts";
import { costs, room } from "./capacity.ts";
import { objectives } from "./objectives.ts";

const reporting = `group by (job, instance) (${select(nodeBuildInfo)})`;
const seenWithin = (range: string): string =>
  `group by (job, instance) (last_over_time(${select(nodeBuildInfo)}[${range}]))`;

export function fleetDashboard(): DashboardSpec {
  return {
    uid: uids.fleet,
    title: "Blixard / Fleet",
    description: "All nodes of a cluster and their VMs: is something wrong, and where?",
    rows: [up(), objectives(), asked(), nodes(), room(), costs(), broken()],
  };
}

function up(): Row {
  return {
    question: "Is everything up?",
    panels: [
      stat({
        title: "Nodes reporting",
        description: "Nodes whose metrics arrive now, by whichever route.",
        width: 3,
        queries: [{ expr: `count(${reporting})` }],
      }),
      stat({
        title: "Nodes lost",
        description:
          "Nodes that reported within the last hour and do not now: the machine, the daemon or the way of its metrics is gone. Ask another node: `blixard node list`.",
        width: 3,
        steps: [[1, "red"]],
        queries: [{ expr: `count(${seenWithin("1h")} unless ${reporting}) or vector(0)` }],
      }),
      stat({
        title: "Nodes not ready",
        description: "Nodes that report and are starting, stopping or down. Open them in the table below.",
        width: 3,
        steps: [[1, "orange"]],
        queries: [{ expr: `sum(1 - ${select(nodeState, { "blixard.node.state": "ready" })})` }],
      }),
      stat({
        title: "VMs running",
        description: "Guests that said they are ready, or that their hypervisor runs where they have no agent.",
        width: 3,
        queries: [{ expr: sum([], select(vmCount, { "blixard.vm.state": "running" })) }],
      }),
      stat({
        title: "VMs failed or lost",
        description:
          "VMs that should run, do not, and will not by themselves. `blixard vm list` names them, `blixard vm trace NAME` says why.",
        width: 3,
        steps: [[1, "red"]],
        queries: [{ expr: sum([], select(vmCount, { "blixard.vm.state": ["failed", "lost"] })) }],
      }),
      stat({
        title: "VMs waiting for a node",
        description: "Nobody has room for them, or nobody may take them: see “Is there room left?”.",
        width: 3,
        steps: [[1, "orange"]],
        queries: [{ expr: sum([], select(schedulerQueueSize)) }],
      }),
      stat({
        title: "Voters that may be lost",
        description:
          "Healthy voters beyond the quorum, as the member with the worst view sees it. A single node has none to lose: 0 is normal there, with three servers it means that the next failure stops all writes.",
        width: 3,
        graph: false,
        queries: [{ expr: `min(${select(raftQuorumMargin)})` }],
        links: [dashboardLink("Consensus", uids.consensus)],
      }),
      stat({
        title: "Alerts firing",
        description: "Of the rules that come with Blixard. Each names its runbook.",
        width: 3,
        steps: [[1, "red"]],
        queries: [{ expr: 'count(ALERTS{alertstate="firing", alertname=~"Blixard.+"}) or vector(0)' }],
      }),
      timeSeries({
        title: "VMs by state",
        description:
          "A state that fills up says which step is stuck: pending is the scheduler, preparing images and disks, starting the guests.",
        width: 24,
        height: 6,
        stacked: true,
        queries: [{ expr: `${sum(["blixard.vm.state"], select(vmCount))} > 0`, legend: legend("blixard.vm.state") }],
        emptyUntil: ["there is a VM", "no VMs"],
      }),
    ],
  };
}

function asked(): Row {
  return {
    question: "Do users get what they ask for?",
    panels: [
      timeSeries({
        title: "VM operations",
        description: "Operations that ended, by what was asked for. `recover` is what nodes do by themselves.",
        unit: "ops",
        queries: [
          {
            expr: sum(["blixard.vm.operation"], rate(vmOperationDuration)),
            legend: legend("blixard.vm.operation"),
          },
        ],
        emptyUntil: ["a VM was asked for something", "no operations yet"],
      }),
      timeSeries({
        title: "Failed VM operations",
        description:
          "Share of operations that ended with an error. Follow an exemplar of the panel beside it, or `blixard vm trace NAME`.",
        unit: "percentunit",
        steps: [[0.01, "red"]],
        queries: [
          {
            expr: failureRatio(vmOperationDuration, ["blixard.vm.operation"]),
            legend: legend("blixard.vm.operation"),
          },
        ],
        emptyUntil: ["a VM was asked for something", "no operations yet"],
      }),
      timeSeries({
        title: "Time of VM operations, 95th percentile",
        description:
          "From the request to its outcome. What takes the time is in the phases on the VM dashboard; each point leads to a trace.",
        unit: "s",
        queries: [
          {
            expr: quantile(0.95, vmOperationDuration, ["blixard.vm.operation"]),
            legend: legend("blixard.vm.operation"),
            exemplars: true,
          },
        ],
        emptyUntil: ["a VM was asked for something", "no operations yet"],
      }),
      heatmap({
        title: "Time of creates",
        description:
          "Where single creates lie; points are traces. Two bands usually mean two kinds of images, or a cold cache.",
        unit: "s",
        width: 12,
        expr: buckets(vmOperationDuration, { "blixard.vm.operation": "create" }),
        emptyUntil: ["a VM was created", "no VM was created yet"],
      }),
      timeSeries({
        title: "Placement attempts",
        description:
          "Decisions of the scheduler; one with an error says why no node would take a VM. `blixard vm get NAME` shows it for a VM.",
        unit: "ops",
        width: 12,
        queries: [
          {
            expr: sum(["error.type"], rate(vmPlacementAttempts)),
            legend: `refused: ${legend("error.type")}`,
          },
        ],
        emptyUntil: ["a VM was to be placed", "nothing to place yet"],
      }),
    ],
  };
}

function nodes(): Row {
  const worst = (expr: string): string => named(max(["job", "instance"], expr));
  const share = (resource: "cpu" | "memory" | "disk"): string =>
    worst(select(nodeAllocationUtilization, { "blixard.node.resource": resource }));
  const versions = `group by (job, instance, ${labelName("blixard.node.id")}, ${labelName("service.version")}) (${select(nodeBuildInfo)})`;
  const full = [
    [0.8, "orange"],
    [0.95, "red"],
  ] as const;
  return {
    question: "Which node needs attention?",
    panels: [
      table({
        title: "Nodes",
        description: "One line a node that reports; its name opens the node. Sort by the column that worries you.",
        labels: { [labelName("blixard.node.id")]: "Node", [labelName("service.version")]: "Version" },
        rowLink: { ...nodeLink("row"), column: "Node" },
        sortBy: "Waiting for CPU",
        columns: [
          { title: "Reports", mappings: [yesNo], expr: versions },
          {
            title: "Ready",
            mappings: [yesNo],
            expr: worst(select(nodeState, { "blixard.node.state": "ready" })),
          },
          {
            title: "Takes VMs",
            mappings: [states([1, "yes", "green"], [0, "cordoned", "orange"])],
            expr: worst(select(nodeSchedulable)),
          },
          {
            title: "VMs running",
            expr: worst(select(vmCount, { "blixard.vm.state": "running" })),
          },
          { title: "CPU given", unit: "percentunit", decimals: 0, steps: full, expr: share("cpu") },
          { title: "Memory given", unit: "percentunit", decimals: 0, steps: full, expr: share("memory") },
          { title: "Disk given", unit: "percentunit", decimals: 0, steps: full, expr: share("disk") },
          {
            title: "Waiting for CPU",
            unit: "percentunit",
            decimals: 1,
            steps: [[0.2, "orange"]],
            expr: pressure("cpu"),
          },
          {
            title: "Waiting for memory",
            unit: "percentunit",
            decimals: 1,
            steps: [[0.05, "orange"]],
            expr: pressure("memory"),
          },
          {
            title: "Waiting for disk",
            unit: "percentunit",
            decimals: 1,
            steps: [[0.2, "orange"]],
            expr: pressure("io"),
          },
          {
            title: "Last heartbeat",
            unit: "s",
            decimals: 1,
            steps: [[10, "orange"]],
            expr: worst(select(nodeHeartbeatAge)),
          },
        ],
      }),
    ],
  };

  function pressure(resource: "cpu" | "memory" | "io"): string {
    return worst(
      select(nodePressure, {
        "blixard.node.resource": resource,
        "blixard.node.pressure_kind": "some",
        "blixard.node.pressure_window": "60s",
      }),
    );
  }
}

function broken(): Row {
  return {
    question: "What broke?",
    panels: [
      timeSeries({
        title: "Restarts of VMs, by cause",
        description:
          "Restarts that nodes did by themselves. The same VM again and again is a crash loop: `blixard vm logs NAME`.",
        width: 6,
        queries: [
          {
            expr: `${sum(["blixard.vm.exit_cause"], increase(vmRestarts))} > 0`,
            legend: legend("blixard.vm.exit_cause"),
          },
        ],
        emptyUntil: ["a guest that should run has ended", "no restarts yet"],
      }),
      timeSeries({
        title: "Downtime of VMs, by cause",
        description: "VMs that should run and do not, on average over the window: 1 is one VM down all the time.",
        width: 6,
        queries: [
          { expr: `${sum(["blixard.vm.exit_cause"], rate(vmDowntime))} > 0`, legend: legend("blixard.vm.exit_cause") },
        ],
        emptyUntil: ["a guest that should run has ended", "no downtime yet"],
      }),
      timeSeries({
        title: "Time to recover, 95th percentile",
        description: "From the end of a guest until it runs again; each point leads to a trace.",
        unit: "s",
        width: 6,
        queries: [
          {
            expr: quantile(0.95, vmRecoveryDuration, ["blixard.vm.exit_cause"]),
            legend: legend("blixard.vm.exit_cause"),
            exemplars: true,
          },
        ],
        emptyUntil: ["a guest was restarted", "nothing to recover yet"],
      }),
      timeSeries({
        title: "Kernel panics of guests",
        description: "Guests whose kernel gave up, by node. `blixard vm console NAME` shows its last words.",
        width: 6,
        queries: [
          {
            expr: named(`(${sum(["job", "instance"], increase(vmPanics))} > 0)`),
            legend: legend("blixard.node.id"),
          },
        ],
        emptyUntil: ["a guest's kernel has panicked", "no panics yet"],
      }),
    ],
  };
}
