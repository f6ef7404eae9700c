/** One node (or some): is it fit, is it short of something, and is the daemon itself well? */
import {
  nodeCpuAllocated,
  nodeCpuLimit,
  nodeCpuReserved,
  nodeDiskAllocated,
  nodeDiskLimit,
  nodeDiskReserved,
  nodeGuardianConnected,
  nodeGuardianExits,
  nodeHeartbeatAge,
  nodeHeartbeatMissed,
  nodeKvmUsable,
  nodeMemoryAllocated,
  nodeMemoryLimit,
  nodeMemoryReserved,
  nodePressure,
  nodeSchedulable,
  nodeState,
  nodejsEventloopDelayP99,
  nodejsEventloopUtilization,
  processCpuTime,
  processMemoryUsage,
  processUnixFileDescriptorCount,
  processUptime,
  storeMemberRestarts,
  storeReachable,
  systemCpuUtilization,
  systemDiskIo,
  systemDiskIoTime,
  systemFilesystemUtilization,
  systemMemoryUtilization,
  systemNetworkErrors,
  systemNetworkIo,
  systemNetworkPacketDropped,
  v8jsGcDuration,
  v8jsMemoryHeapUsed,
  vmCpuTime,
  vmMemoryLimit,
  vmMemoryUsage,
  vmOperationDuration,
  vmUptime,
  vmUsageAge,
  vmVcpuLimit,
} from "../../src/gen/telemetry/metrics.ts";
import { type DashboardSpec, type Row, lokiVariable } from "./dashboard.ts";
import { uids, vmLink } from "./links.ts";
import { logs, stat, states, stateTimeline, table, timeSeries, yesNo } from "./panels.ts";
import {
  failureRatio,
  increase,
  labelName,
  legend,
  max,
  type Metric,
  named,
  quantile,
  rate,
  rateOfSum,
  select,
  sum,
} from "./promql.ts";

const NODE = legend("blixard.node.id");
/** What Node.js, the process and the host say is off by default. */
const runtimeMetrics = [
  "`runtime_metrics = true` is set under `[observability.metrics]`",
  "runtime_metrics is off",
] as const;

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
          "Whether a guest ran under KVM when the node was probed. Without it guests are emulated, many times slower; `blixard node list` says why.",
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
      stateTimeline({
        title: "State",
        description: "States of the nodes over time. Gaps are times without metrics.",
        width: 12,
        mappings: [states([1, "ready", "green"], [0, "not ready", "orange"])],
        queries: [{ expr: named(select(nodeState, { "blixard.node.state": "ready" })), legend: NODE }],
      }),
      timeSeries({
        title: "What went wrong beneath",
        description:
          "Heartbeats that were not confirmed, guardians and consensus members that ended while the node ran. Each should stay at 0; the annotations show what happened at the same time.",
        width: 12,
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

function short(): Row {
  const pressure = (title: string, resource: "cpu" | "memory" | "io", limit: number, advice: string) =>
    timeSeries({
      title,
      description: `Share of time in which somebody waited (some), or everybody (full), over a minute. ${advice}`,
      unit: "percentunit",
      steps: [[limit, "red"]],
      queries: [
        {
          expr: max(
            ["blixard.node.pressure_kind"],
            select(nodePressure, { "blixard.node.resource": resource, "blixard.node.pressure_window": "60s" }),
          ),
          legend: legend("blixard.node.pressure_kind"),
        },
      ],
      emptyUntil: ["the kernel accounts for pressure (PSI)", "this kernel does not account for pressure"],
    });
  return {
    question: "Is the machine short of something?",
    panels: [
      pressure("Waiting for CPU", "cpu", 0.2, "Guests compete: move some, or give fewer vCPUs."),
      pressure(
        "Waiting for memory",
        "memory",
        0.05,
        "The machine reclaims: guests slow down before anything is killed.",
      ),
      pressure("Waiting for disk", "io", 0.2, "The consensus member suffers first: see its fsync."),
      timeSeries({
        title: "CPU",
        description:
          "What the processors spend their time on. Much steal means that this machine is a guest that is not given its share.",
        emptyUntil: runtimeMetrics,
        unit: "percentunit",
        stacked: true,
        queries: [
          {
            expr: `avg by (${labelName("cpu.mode")}) (${select(systemCpuUtilization, { "cpu.mode": { not: "idle" } })})`,
            legend: legend("cpu.mode"),
          },
        ],
      }),
      timeSeries({
        title: "Memory",
        description: "What the machine's memory is used for.",
        emptyUntil: runtimeMetrics,
        unit: "percentunit",
        stacked: true,
        queries: [
          {
            expr: `avg by (${labelName("system.memory.state")}) (${select(systemMemoryUtilization)})`,
            legend: legend("system.memory.state"),
          },
        ],
      }),
      timeSeries({
        title: "File systems",
        description: "The fullest file systems. Below 10 % free, images and disks of VMs fail first.",
        emptyUntil: runtimeMetrics,
        unit: "percentunit",
        max: 1,
        steps: [[0.9, "red"]],
        queries: [
          {
            expr: `topk(5, ${max(["system.filesystem.mountpoint"], select(systemFilesystemUtilization))})`,
            legend: legend("system.filesystem.mountpoint"),
          },
        ],
      }),
      timeSeries({
        title: "Disks",
        description: "Bytes read and written, by device; 100 % busy is full.",
        emptyUntil: runtimeMetrics,
        unit: "Bps",
        queries: [
          {
            expr: sum(["system.device.name", "disk.io.direction"], rate(systemDiskIo)),
            legend: legend("system.device.name", "disk.io.direction"),
          },
        ],
      }),
      timeSeries({
        title: "Disks: time busy",
        description: "Share of time in which a device had something to do.",
        emptyUntil: runtimeMetrics,
        unit: "percentunit",
        steps: [[0.9, "red"]],
        queries: [{ expr: max(["system.device.name"], rate(systemDiskIoTime)), legend: legend("system.device.name") }],
      }),
      timeSeries({
        title: "Network",
        description: "Bytes by direction without loopback; errors and drops in packets per second.",
        emptyUntil: runtimeMetrics,
        unit: "Bps",
        queries: [
          {
            expr: sum(["network.io.direction"], rate(systemNetworkIo, { "network.interface.name": { not: "lo" } })),
            legend: legend("network.io.direction"),
          },
          { expr: sum([], rate(systemNetworkErrors)), legend: "errors" },
          { expr: sum([], rate(systemNetworkPacketDropped)), legend: "drops" },
        ],
      }),
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

function daemon(): Row {
  return {
    question: "Is the daemon itself well?",
    panels: [
      timeSeries({
        title: "Event loop: busy",
        description:
          "Share of time in which the daemon's one thread had work. Above 80 % everything it answers gets slower.",
        emptyUntil: runtimeMetrics,
        unit: "percentunit",
        max: 1,
        steps: [[0.8, "red"]],
        queries: [{ expr: named(select(nodejsEventloopUtilization)), legend: NODE }],
      }),
      timeSeries({
        title: "Event loop: delay, 99th percentile",
        description: "How late the thread comes to what is due. Over 100 ms, heartbeats and answers are late too.",
        emptyUntil: runtimeMetrics,
        unit: "s",
        steps: [[0.1, "red"]],
        queries: [{ expr: named(select(nodejsEventloopDelayP99)), legend: NODE }],
      }),
      timeSeries({
        title: "Garbage collection",
        description: "Share of time spent on it, by kind.",
        emptyUntil: runtimeMetrics,
        unit: "percentunit",
        queries: [{ expr: sum(["v8js.gc.type"], rateOfSum(v8jsGcDuration)), legend: legend("v8js.gc.type") }],
      }),
      timeSeries({
        title: "CPU of the daemon",
        description: "Processors it keeps busy; guests, guardian and consensus member are not in it.",
        emptyUntil: runtimeMetrics,
        queries: [{ expr: named(sum(["job", "instance"], rate(processCpuTime))), legend: NODE }],
      }),
      timeSeries({
        title: "Memory of the daemon",
        description: "What it occupies, and the heap in use. A heap that only grows is a leak: tell us.",
        emptyUntil: runtimeMetrics,
        unit: "bytes",
        queries: [
          { expr: named(select(processMemoryUsage)), legend: `${NODE} occupied` },
          { expr: named(sum(["job", "instance"], select(v8jsMemoryHeapUsed))), legend: `${NODE} heap` },
        ],
      }),
      timeSeries({
        title: "Open files of the daemon",
        description: "Sockets included. One that only grows meets the limit some day.",
        emptyUntil: runtimeMetrics,
        queries: [{ expr: named(select(processUnixFileDescriptorCount)), legend: NODE }],
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
        expr: '{service_name="blixard", service_instance_id=~"$instance"}',
        emptyUntil: ["logs go to Loki, which is not part of every stack", "no logs in Loki"],
      }),
    ],
  };
}
