/** Rows of the node: is the machine short of something, and is the daemon itself well? */
import {
  nodePressure,
  nodejsEventloopDelayP99,
  nodejsEventloopUtilization,
  v8jsGcDuration,
  v8jsMemoryHeapUsed,
  processCpuTime,
  processMemoryUsage,
  processUnixFileDescriptorCount,
  systemCpuUtilization,
  systemMemoryUtilization,
  systemDiskIo,
  systemDiskIoTime,
  systemFilesystemUtilization,
  systemNetworkIo,
  systemNetworkPacketDropped,
  systemNetworkErrors,
} from "../../src/gen/telemetry/metrics.ts";
import type { Row } from "./dashboard.ts";
import { timeSeries } from "./panels.ts";
import { labelName, legend, max, named, rate, rateOfSum, select, sum, topk } from "./promql.ts";

const NODE = legend("blixard.node.id");
/** What Node.js, the process and the host say is off by default. */
export const runtimeMetrics = [
  "`runtime_metrics = true` is set under `[observability.metrics]`",
  "runtime_metrics is off",
] as const;

export function short(): Row {
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
            expr: topk(5, max(["system.filesystem.mountpoint"], select(systemFilesystemUtilization))),
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

export function daemon(): Row {
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
