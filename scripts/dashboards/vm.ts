/** One VM (or some): what it uses, and what it takes to bring VMs up. */
import {
  vmCpuTime,
  vmDiskIo,
  vmDiskOperations,
  vmDowntime,
  vmFailed,
  vmMemoryLimit,
  vmMemoryUsage,
  vmOperationActive,
  vmOperationDuration,
  vmPhaseDuration,
  vmPlacementDuration,
  vmRecoveryDuration,
  vmRecoveries,
  vmRestarts,
  vmStateTransitions,
  vmUptime,
  vmUsageAge,
  vmVcpuLimit,
} from "../../src/gen/telemetry/metrics.ts";
import { type DashboardSpec, labelVariable, lokiVariable, type Row } from "./dashboard.ts";
import { nodeLink, uids } from "./links.ts";
import { heatmap, logs, stat, table, timeSeries } from "./panels.ts";
import { buckets, increase, labelName, legend, max, named, quantile, rate, select, sum } from "./promql.ts";

const chosen = { "blixard.vm.name": "$vm" } as const;
const NAME = legend("blixard.vm.name");
const running = ["a chosen VM runs", "no VM runs"] as const;

export function vmDashboard(): DashboardSpec {
  return {
    uid: uids.vm,
    title: "Blixard / VM",
    description:
      "What VMs use, and what it takes to bring them up. Which state a VM is in, and why: `blixard vm get NAME`, `blixard vm trace NAME`.",
    variables: [
      labelVariable({
        name: "vm",
        label: "VM",
        // Unlike its uptime it is there of a VM that is down.
        metric: vmFailed,
        of: "blixard.vm.name",
        where: 'job=~"$job", instance=~"$instance"',
      }),
      lokiVariable(),
    ],
    rows: [which(), uses(), bringUp(), staysUp(), words()],
  };
}

function which(): Row {
  const perVm = ["job", "instance", "blixard.vm.name", "blixard.vm.id"] as const;
  return {
    question: "Which VMs are these, and where do they run?",
    panels: [
      stat({
        title: "Up",
        description: "Since the guest that runs now was started. Short and again short is a crash loop.",
        width: 6,
        unit: "s",
        graph: false,
        queries: [{ expr: select(vmUptime, chosen), legend: NAME }],
        emptyUntil: running,
      }),
      stat({
        title: "Age of its numbers",
        description:
          "Since the VM last answered for what it uses. A guest or hypervisor that hangs does not; its last numbers stay.",
        width: 6,
        unit: "s",
        steps: [
          [30, "orange"],
          [120, "red"],
        ],
        queries: [{ expr: select(vmUsageAge, chosen), legend: NAME }],
        emptyUntil: running,
      }),
      table({
        title: "Where",
        description: "The node that runs each of them; its name opens it.",
        width: 12,
        height: 4,
        labels: {
          [labelName("blixard.vm.name")]: "VM",
          [labelName("blixard.node.id")]: "Node",
          [labelName("blixard.vm.id")]: "Id",
        },
        rowLink: { ...nodeLink("row"), column: "Node" },
        sortBy: "vCPUs",
        emptyUntil: running,
        columns: [
          { title: "vCPUs", expr: named(max(perVm, select(vmVcpuLimit, chosen))) },
          { title: "Memory", unit: "bytes", expr: named(max(perVm, select(vmMemoryLimit, chosen))) },
        ],
      }),
    ],
  };
}

function uses(): Row {
  return {
    question: "What do they use?",
    panels: [
      timeSeries({
        title: "CPU",
        description:
          "Processors the hypervisor keeps busy, the guest's work and its own, beside the vCPUs the VM may use. At the limit the guest wants more than it has.",
        limits: ["/limit$/"],
        queries: [
          { expr: sum(["blixard.vm.name"], rate(vmCpuTime, chosen)), legend: NAME },
          { expr: sum(["blixard.vm.name"], select(vmVcpuLimit, chosen)), legend: `${NAME} limit` },
        ],
        emptyUntil: running,
      }),
      timeSeries({
        title: "CPU by mode",
        description: "User is the guest's own work; much system is input and output, or an emulated guest.",
        stacked: true,
        queries: [
          {
            expr: sum(["blixard.vm.name", "cpu.mode"], rate(vmCpuTime, chosen)),
            legend: `${NAME} ${legend("cpu.mode")}`,
          },
        ],
        emptyUntil: running,
      }),
      timeSeries({
        title: "Memory",
        description:
          "`resident` is what the machine really gave; `guest_used` and `guest_available` are the guest's own account, which only a guest with an agent gives. Little available: the guest starts to kill.",
        unit: "bytes",
        limits: ["/limit$/"],
        queries: [
          {
            expr: sum(["blixard.vm.name", "blixard.vm.memory_state"], select(vmMemoryUsage, chosen)),
            legend: `${NAME} ${legend("blixard.vm.memory_state")}`,
          },
          { expr: sum(["blixard.vm.name"], select(vmMemoryLimit, chosen)), legend: `${NAME} limit` },
        ],
        emptyUntil: running,
      }),
      timeSeries({
        title: "Disk: bytes",
        description: "What guests read and write, by disk.",
        unit: "Bps",
        width: 12,
        queries: [
          {
            expr: sum(["blixard.vm.name", "blixard.vm.disk_name", "disk.io.direction"], rate(vmDiskIo, chosen)),
            legend: `${NAME} ${legend("blixard.vm.disk_name", "disk.io.direction")}`,
          },
        ],
        emptyUntil: ["a chosen VM has a disk", "no VM with a disk"],
      }),
      timeSeries({
        title: "Disk: operations",
        description: "Many small ones cost more than few large ones: compare with the bytes.",
        unit: "iops",
        width: 12,
        queries: [
          {
            expr: sum(["blixard.vm.name", "blixard.vm.disk_name", "disk.io.direction"], rate(vmDiskOperations, chosen)),
            legend: `${NAME} ${legend("blixard.vm.disk_name", "disk.io.direction")}`,
          },
        ],
        emptyUntil: ["a chosen VM has a disk", "no VM with a disk"],
      }),
    ],
  };
}

function bringUp(): Row {
  const until = ["a VM was brought up", "no VM was brought up yet"] as const;
  return {
    question: "What takes the time when VMs come up? (all VMs of the chosen nodes)",
    panels: [
      timeSeries({
        title: "Phases, median",
        description:
          "Time of each part of bringing a VM up: the highest line is what to improve. For one VM, `blixard vm trace NAME` shows the same as a waterfall. Points are traces.",
        unit: "s",
        queries: [
          {
            expr: quantile(0.5, vmPhaseDuration, ["blixard.vm.phase"]),
            legend: legend("blixard.vm.phase"),
            exemplars: true,
          },
        ],
        emptyUntil: until,
      }),
      timeSeries({
        title: "Phases, 95th percentile",
        description:
          "Where this is far from the median, some VMs wait for something that others do not: a cold image, a busy disk.",
        unit: "s",
        queries: [
          {
            expr: quantile(0.95, vmPhaseDuration, ["blixard.vm.phase"]),
            legend: legend("blixard.vm.phase"),
            exemplars: true,
          },
        ],
        emptyUntil: until,
      }),
      heatmap({
        title: "Time until the guest is ready",
        description: "Of creates; each point is a trace.",
        unit: "s",
        expr: buckets(vmOperationDuration, { "blixard.vm.operation": "create" }),
        emptyUntil: until,
      }),
      timeSeries({
        title: "Time to find a node, 95th percentile",
        description: "From the stored intent to the assignment.",
        unit: "s",
        queries: [{ expr: quantile(0.95, vmPlacementDuration), legend: "placement", exemplars: true }],
        emptyUntil: until,
      }),
      timeSeries({
        title: "Operations under way",
        description:
          "By what was asked for. One that stays up does not end: `blixard vm list` shows a VM in between states.",
        queries: [
          { expr: sum(["blixard.vm.operation"], select(vmOperationActive)), legend: legend("blixard.vm.operation") },
        ],
        emptyUntil: until,
      }),
      timeSeries({
        title: "Changes of state",
        description: "Into which state, and why. Failed with one reason over and over is one cause for many VMs.",
        queries: [
          {
            expr: sum(["blixard.vm.state", "blixard.vm.state_reason"], increase(vmStateTransitions)),
            legend: legend("blixard.vm.state", "blixard.vm.state_reason"),
          },
        ],
        emptyUntil: until,
      }),
    ],
  };
}

function staysUp(): Row {
  const until = ["a guest that should run has ended", "none has ended yet"] as const;
  const by = ["blixard.vm.exit_cause"] as const;
  return {
    question: "Do VMs stay up? (causes and times: all VMs of the chosen nodes)",
    panels: [
      timeSeries({
        title: "Down",
        description:
          "VMs that should run and are failed: `blixard vm get NAME` says why. One that comes and goes is a crash loop.",
        width: 12,
        queries: [{ expr: sum(["blixard.vm.name"], select(vmFailed, chosen)), legend: NAME }],
        emptyUntil: running,
      }),
      timeSeries({
        title: "Restarts, by VM",
        description: "That nodes did by themselves. Pauses between restarts grow to five minutes.",
        width: 12,
        queries: [{ expr: `${sum(["blixard.vm.name"], increase(vmRecoveries, chosen))} > 0`, legend: NAME }],
        emptyUntil: until,
      }),
      timeSeries({
        title: "Restarts, by cause",
        description:
          "That nodes did by themselves. `crash` and `killed` are the hypervisor's end, `panic` the guest's, `boot_timeout` a guest that never said it was ready.",
        queries: [{ expr: `${sum(by, increase(vmRestarts))} > 0`, legend: legend(...by) }],
        emptyUntil: until,
      }),
      timeSeries({
        title: "Time to recover, 95th percentile",
        description:
          "From the end of a guest until it runs again. Pauses before a restart grow with each failure and count too.",
        unit: "s",
        queries: [{ expr: quantile(0.95, vmRecoveryDuration, by), legend: legend(...by), exemplars: true }],
        emptyUntil: until,
      }),
      timeSeries({
        title: "VMs down",
        description: "That should run and did not, on average over the window.",
        queries: [{ expr: `${sum(by, rate(vmDowntime))} > 0`, legend: legend(...by) }],
        emptyUntil: until,
      }),
    ],
  };
}

function words(): Row {
  return {
    question: "What is said about them?",
    collapsed: true,
    panels: [
      logs({
        title: "Log records that name these VMs",
        description:
          "States, exits and restarts as events, and whatever was logged with the VM. A record with a trace has a link to it.",
        expr: `{service_name=~".+"} | ${labelName("blixard.vm.name")}=~"$vm"`,
        emptyUntil: ["logs go to Loki, which is not part of every stack", "no logs in Loki"],
      }),
    ],
  };
}
