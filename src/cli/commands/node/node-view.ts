/** Nodes for reading. */
import { type Node, NodeState } from "#gen/api/blixard/v1/node_pb.ts";
import { approximateSize } from "#model/quantity.ts";
import { enumText } from "../../output/enum-text.ts";
import { renderTable, type TableLayout } from "../../output/table.ts";
import { ageText } from "../../output/time.ts";

export function nodeTable(nodes: readonly Node[], nowMs: number, layout: TableLayout): readonly string[] {
  return renderTable(
    [
      { title: "NODE", value: (node) => node.id },
      {
        title: "STATE",
        value: nodeState,
        style: (node) => (node.state === NodeState.READY ? (node.schedulable ? "green" : "yellow") : "red"),
      },
      { title: "ROLE", value: (node) => (node.server ? "server" : "agent") },
      { title: "VMS", align: "right", value: (node) => String(node.vmCount) },
      { title: "VCPUS", align: "right", value: (node) => `${node.allocated?.vcpus ?? 0}/${node.capacity?.vcpus ?? 0}` },
      {
        title: "MEMORY",
        align: "right",
        value: (node) => share(node.allocated?.memoryBytes, node.capacity?.memoryBytes),
      },
      { title: "DISK", align: "right", value: (node) => share(node.allocated?.diskBytes, node.capacity?.diskBytes) },
      { title: "RUNS UNDER", value: (node) => `${node.driver} ${node.accelerator}`.trim() },
      { title: "VERSION", value: (node) => node.version },
      { title: "UP", align: "right", value: (node) => ageText(node.startTime, nowMs) },
      { title: "WHY", value: (node) => node.acceleratorReason },
    ],
    nodes,
    layout,
  );
}

function nodeState(node: Node): string {
  const state = enumText(NodeState, node.state) || "unknown";
  return node.schedulable ? state : `${state}, cordoned`;
}

function share(used: bigint | undefined, total: bigint | undefined): string {
  return `${approximateSize(Number(used ?? 0n))}/${approximateSize(Number(total ?? 0n))}`;
}
