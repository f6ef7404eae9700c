/** Rows of the fleet: what room is left, and who uses the most. */
import {
  nodeAllocationUtilization,
  nodeFragmentation,
  schedulerQueueSize,
  schedulerQueueAge,
  vmCpuTime,
  vmMemoryUsage,
  vmDiskIo,
} from "../../src/gen/telemetry/metrics.ts";
import type { Row } from "./dashboard.ts";
import { nodeLink, vmLink } from "./links.ts";
import { timeSeries } from "./panels.ts";
import { legend, max, named, rate, select, sum, topk } from "./promql.ts";

export function room(): Row {
  const given = (title: string, resource: "cpu" | "memory" | "disk", advice: string) =>
    timeSeries({
      title,
      description: `Share of what VMs may be given that they were given, by node. ${advice}`,
      unit: "percentunit",
      max: 1,
      steps: [[0.95, "red"]],
      width: 6,
      queries: [
        {
          expr: named(select(nodeAllocationUtilization, { "blixard.node.resource": resource })),
          legend: legend("blixard.node.id"),
        },
      ],
      links: [nodeLink("series")],
    });
  return {
    question: "Is there room left?",
    panels: [
      given("CPU given to VMs", "cpu", "At 100 % no VM with a vCPU fits any more."),
      given("Memory given to VMs", "memory", "Memory is never given twice: at 100 % nothing fits."),
      given("Disk given to VMs", "disk", "What disks may grow to, not what they take now."),
      timeSeries({
        title: "Largest VM that fits",
        description:
          "As a share of the node's free room. Low with much free means that it is split between resources: plenty of memory, no CPU.",
        unit: "percentunit",
        max: 1,
        width: 6,
        queries: [{ expr: named(select(nodeFragmentation)), legend: legend("blixard.node.id") }],
        links: [nodeLink("series")],
      }),
      timeSeries({
        title: "Waiting for a node",
        description:
          "VMs without a node. More than none for minutes: add room, or `blixard vm get NAME` to see what none can give.",
        width: 12,
        queries: [{ expr: sum([], select(schedulerQueueSize)), legend: "VMs" }],
      }),
      timeSeries({
        title: "Longest wait for a node",
        description: "Age of the oldest VM that has no node.",
        unit: "s",
        width: 12,
        queries: [{ expr: max([], select(schedulerQueueAge)), legend: "oldest" }],
      }),
    ],
  };
}

export function costs(): Row {
  const perVm = ["job", "blixard.vm.name"] as const;
  return {
    question: "Which VMs use the most?",
    panels: [
      timeSeries({
        title: "CPU, ten highest",
        description: "Processors that the hypervisors of these VMs keep busy, the guest's work and their own.",
        queries: [{ expr: topk(10, sum(perVm, rate(vmCpuTime))), legend: legend("blixard.vm.name") }],
        links: [vmLink("series")],
        emptyUntil: ["a VM runs", "no VM runs"],
      }),
      timeSeries({
        title: "Memory, ten highest",
        description: "Memory of the machine that these VMs really occupy.",
        unit: "bytes",
        queries: [
          {
            expr: topk(10, sum(perVm, select(vmMemoryUsage, { "blixard.vm.memory_state": "resident" }))),
            legend: legend("blixard.vm.name"),
          },
        ],
        links: [vmLink("series")],
        emptyUntil: ["a VM runs", "no VM runs"],
      }),
      timeSeries({
        title: "Disk, ten highest",
        description: "Bytes read and written by guests.",
        unit: "Bps",
        queries: [{ expr: topk(10, sum(perVm, rate(vmDiskIo))), legend: legend("blixard.vm.name") }],
        links: [vmLink("series")],
        emptyUntil: ["a VM with a disk runs", "no VM with a disk runs"],
      }),
    ],
  };
}
