/** One node (or some): is it fit, what did it give, and how do its VMs do? */
import {
  nodeCpuLimit,
  nodeCpuAllocated,
  nodeCpuReserved,
  nodeMemoryLimit,
  nodeMemoryAllocated,
  nodeMemoryReserved,
  nodeDiskLimit,
  nodeDiskAllocated,
  nodeDiskReserved,
  nodeState,
  nodeSchedulable,
  nodeHeartbeatAge,
  nodeHeartbeatMissed,
  nodeKvmUsable,
  nodeCertificateExpirationTimestamp,
  nodeGuardianConnected,
  nodeGuardianExits,
  storeReachable,
  storeMemberRestarts,
  vmOperationDuration,
  vmUptime,
  vmCpuTime,
  vmVcpuLimit,
  vmMemoryLimit,
  vmMemoryUsage,
  vmUsageAge,
  processUptime,
} from "../../src/gen/telemetry/metrics.ts";
import { type DashboardSpec, type Row, lokiVariable } from "./dashboard.ts";
import { dashboardLink, uids, vmLink } from "./links.ts";
import { logs, stat, states, table, timeSeries, yesNo, stateTimeline } from "./panels.ts";
import {
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
  type Metric,
} from "./promql.ts";
import { daemon, runtimeMetrics, short } from "./machine.ts";

const NODE = legend("blixard.node.id");

export function nodeDashboard(): DashboardSpec {
  return {
    uid: uids.node,
    title: "Blixard / Node",
    description: "One node: what it has, what it gave, what it is short of, and how its daemon does.",
    variables: [lokiVariable()],
    rows: [fit(), given(), short(), vms(), operations(), daemon(), words()],
  };
}

function fit(): Row {
  return {
    question: "Is it fit for work?",
    panels: [
      stat({
        title: "Ready",
        description: "Whether the node takes part: not while it starts, stops or is down.",
        width: 3,
        graph: false,
        mappings: [yesNo],
        queries: [{ expr: `min(${select(nodeState, { "blixard.node.state": "ready" })})`, legend: "ready" }],
      }),
      stat({
        title: "Takes VMs",
        description: "A cordoned node keeps its VMs and gets no new ones: `blixard node uncordon NODE`.",
        width: 3,
        graph: false,
        mappings: [states([1, "yes", "green"], [0, "cordoned", "orange"])],
        queries: [{ expr: `min(${select(nodeSchedulable)})` }],
      }),
      stat({
        title: "KVM",
        description:
          "Whether a guest ran under KVM when the node was probed. Without it guests are emulated, many times slower; `blixard node list` says why. No data: KVM is not wanted, by configuration.",
        width: 3,
        graph: false,
        mappings: [states([1, "usable", "green"], [0, "emulated", "orange"])],
        queries: [{ expr: `min(${select(nodeKvmUsable)})` }],
      }),
      stat({
        title: "Guardian",
        description: "The guests' parent. While it does not answer, guests run on but cannot be started or stopped.",
        width: 3,
        graph: false,
        mappings: [states([1, "answers", "green"], [0, "gone", "red"])],
        queries: [{ expr: `min(${select(nodeGuardianConnected)})` }],
      }),
      stat({
        title: "Store",
        description:
          "Whether the store answered the last time it was asked. Without it nothing new can be wanted of VMs.",
        width: 3,
        graph: false,
        mappings: [states([1, "answers", "green"], [0, "silent", "red"])],
        queries: [{ expr: `min(${select(storeReachable)})` }],
        links: [dashboardLink("Consensus", uids.consensus)],
      }),
      stat({
        title: "Last heartbeat",
        description:
          "Age of the last heartbeat that the control plane confirmed. At the lease's TTL (15 s) the node counts as lost.",
        width: 3,
        unit: "s",
        decimals: 1,
        steps: [
          [5, "orange"],
          [10, "red"],
        ],
        queries: [{ expr: max([], select(nodeHeartbeatAge)) }],
      }),
      stat({
        title: "Daemon's age",
        description: "Since the daemon started; guests are older than that if it was restarted.",
        emptyUntil: runtimeMetrics,
        width: 3,
        unit: "s",
        graph: false,
        queries: [{ expr: `min(${select(processUptime)})` }],
      }),
      stat({
        title: "VMs",
        description: "Guests that run here.",
        width: 3,
        queries: [{ expr: `count(${select(vmUptime)}) or vector(0)` }],
      }),
      stat({
        title: "Next certificate expires in",
        description:
          "Of those the node uses: its metrics page, its collector, its store. Renewed files are taken up within ten seconds.",
        width: 4,
        height: 6,
        unit: "s",
        graph: false,
        base: "red",
        steps: [
          [7 * 86_400, "orange"],
          [21 * 86_400, "green"],
        ],
        queries: [{ expr: `min(${select(nodeCertificateExpirationTimestamp)}) - time()` }],
        emptyUntil: ["a certificate is configured", "no certificates"],
      }),
      stateTimeline({
        title: "State",
        description: "States of the nodes over time. Gaps are times without metrics.",
        width: 10,
        mappings: [states([1, "ready", "green"], [0, "not ready", "orange"])],
        queries: [{ expr: named(select(nodeState, { "blixard.node.state": "ready" })), legend: NODE }],
      }),
      timeSeries({
        title: "What went wrong beneath",
        description:
          "Heartbeats that were not confirmed, guardians and consensus members that ended while the node ran. Each should stay at 0; the annotations show what happened at the same time.",
        width: 10,
        height: 6,
        queries: [
          { expr: sum([], increase(nodeHeartbeatMissed)), legend: "missed heartbeats" },
          { expr: sum([], increase(nodeGuardianExits)), legend: "guardians ended" },
          { expr: sum([], increase(storeMemberRestarts)), legend: "consensus members restarted" },
        ],
      }),
    ],
  };
}

function given(): Row {
  const resource = (title: string, unit: string, advice: string, metrics: readonly [Metric, Metric, Metric]) => {
    const [limit, allocated, reserved] = metrics;
    return timeSeries({
      title,
      description: `What VMs were given and may be given together, and what the node keeps for itself. ${advice}`,
      unit,
      limits: ["may be given"],
      queries: [
        { expr: sum([], select(limit)), legend: "may be given" },
        { expr: sum([], select(allocated)), legend: "given" },
        { expr: sum([], select(reserved)), legend: "the node's own" },
      ],
    });
  };
  return {
    question: "What did it give to VMs?",
    panels: [
      resource("vCPUs", "short", "More than the machine has processors is allowed: see the wait below.", [
        nodeCpuLimit,
        nodeCpuAllocated,
        nodeCpuReserved,
      ]),
      resource("Memory", "bytes", "Never more than there is.", [
        nodeMemoryLimit,
        nodeMemoryAllocated,
        nodeMemoryReserved,
      ]),
      resource("Disk", "bytes", "Sizes that disks may grow to.", [nodeDiskLimit, nodeDiskAllocated, nodeDiskReserved]),
    ],
  };
}

function vms(): Row {
  const perVm = ["job", "blixard.vm.name"] as const;
  return {
    question: "Which VMs run here, and what do they use?",
    panels: [
      table({
        title: "VMs",
        description:
          "Guests that run here; a name opens the VM. “Usage is” says how old the numbers are: a guest that hangs does not answer for them.",
        labels: { [labelName("blixard.vm.name")]: "VM" },
        rowLink: { ...vmLink("row"), column: "VM" },
        sortBy: "CPUs used",
        emptyUntil: ["a VM runs here", "no VM runs here"],
        columns: [
          { title: "Up", unit: "s", decimals: 0, expr: max(perVm, select(vmUptime)) },
          { title: "vCPUs", expr: max(perVm, select(vmVcpuLimit)) },
          { title: "CPUs used", decimals: 2, expr: sum(perVm, rate(vmCpuTime)) },
          { title: "Memory", unit: "bytes", expr: max(perVm, select(vmMemoryLimit)) },
          {
            title: "Memory occupied",
            unit: "bytes",
            expr: sum(perVm, select(vmMemoryUsage, { "blixard.vm.memory_state": "resident" })),
          },
          { title: "Usage is", unit: "s", decimals: 0, steps: [[60, "orange"]], expr: max(perVm, select(vmUsageAge)) },
        ],
      }),
    ],
  };
}

function operations(): Row {
  const until = ["a VM was asked for something", "no operations yet"] as const;
  return {
    question: "How do operations on VMs go here?",
    panels: [
      timeSeries({
        title: "Operations",
        description: "That ended, by what was asked for.",
        unit: "ops",
        queries: [
          { expr: sum(["blixard.vm.operation"], rate(vmOperationDuration)), legend: legend("blixard.vm.operation") },
        ],
        emptyUntil: until,
      }),
      timeSeries({
        title: "Failed",
        description: "Share that ended with an error. `blixard vm trace NAME` shows at which step.",
        unit: "percentunit",
        steps: [[0.01, "red"]],
        queries: [
          { expr: failureRatio(vmOperationDuration, ["blixard.vm.operation"]), legend: legend("blixard.vm.operation") },
        ],
        emptyUntil: until,
      }),
      timeSeries({
        title: "Time, 95th percentile",
        description:
          "Compare with other nodes: one that is slower than the rest has a reason in the row above. Points are traces.",
        unit: "s",
        queries: [
          {
            expr: quantile(0.95, vmOperationDuration, ["blixard.vm.operation"]),
            legend: legend("blixard.vm.operation"),
            exemplars: true,
          },
        ],
        emptyUntil: until,
      }),
    ],
  };
}

function words(): Row {
  return {
    question: "What does it say?",
    collapsed: true,
    panels: [
      logs({
        title: "Log of the node",
        description: "Its log as it came to Loki by OTLP. A record with a trace has a link to it.",
        expr: '{service_name=~".+"} | service_instance_id=~"$instance"',
        emptyUntil: ["logs go to Loki, which is not part of every stack", "no logs in Loki"],
      }),
    ],
  };
}
