/** Between nodes: who reaches whom, and what goes over the network. */
import {
  nodeHeartbeatAge,
  nodeHeartbeatMissed,
  peerCount,
  raftHeartbeatFailures,
  systemNetworkErrors,
  systemNetworkIo,
  systemNetworkPacketDropped,
} from "../../src/gen/telemetry/metrics.ts";
import type { DashboardSpec, Row } from "./dashboard.ts";
import { nodeLink, uids } from "./links.ts";
import { runtimeMetrics } from "./machine.ts";
import { stat, table, timeSeries } from "./panels.ts";
import { increase, labelName, legend, max, named, rate, select, sum } from "./promql.ts";

const NODE = legend("blixard.node.id");
const alone = "A node alone has no peers: zeros are right there.";

export function peersDashboard(): DashboardSpec {
  return {
    uid: uids.peers,
    title: "Blixard / Peers",
    description: `Connections between nodes, and the network beneath. ${alone}`,
    rows: [connected(), heard(), network()],
  };
}

function connected(): Row {
  const of = (state: "connected" | "connecting" | "suspect" | "down"): string =>
    named(sum(["job", "instance"], select(peerCount, { "blixard.peer.state": state })));
  return {
    question: "Does every node reach every other?",
    panels: [
      stat({
        title: "Connections up",
        description: `Counted from both ends: with n nodes n × (n − 1). ${alone}`,
        width: 6,
        queries: [{ expr: sum([], select(peerCount, { "blixard.peer.state": "connected" })) }],
      }),
      stat({
        title: "Suspect",
        description: `Peers that have not answered for a while and may come back. ${alone}`,
        width: 6,
        steps: [[1, "orange"]],
        queries: [{ expr: sum([], select(peerCount, { "blixard.peer.state": "suspect" })) }],
      }),
      stat({
        title: "Down",
        description: `Peers that are given up on. One node in everybody's list is that node; a few on both sides of a line are the network. ${alone}`,
        width: 6,
        steps: [[1, "red"]],
        queries: [{ expr: sum([], select(peerCount, { "blixard.peer.state": "down" })) }],
      }),
      stat({
        title: "Reachability",
        description: `Share of connections that are up. Empty on a node alone: there is nothing to reach.`,
        width: 6,
        unit: "percentunit",
        decimals: 1,
        base: "red",
        steps: [
          [0.9, "orange"],
          [1, "green"],
        ],
        queries: [
          {
            expr: `${sum([], select(peerCount, { "blixard.peer.state": "connected" }))} / (${sum([], select(peerCount))} > 0)`,
          },
        ],
        emptyUntil: ["there is a second node", "a node alone"],
      }),
      table({
        title: "Peers as each node sees them",
        description: `A line that differs from the others points at that node's network. ${alone}`,
        width: 12,
        labels: { [labelName("blixard.node.id")]: "Node" },
        rowLink: { ...nodeLink("row"), column: "Node" },
        sortBy: "Down",
        columns: [
          { title: "Connected", expr: of("connected") },
          { title: "Connecting", expr: of("connecting") },
          { title: "Suspect", steps: [[1, "orange"]], expr: of("suspect") },
          { title: "Down", steps: [[1, "red"]], expr: of("down") },
        ],
      }),
      timeSeries({
        title: "Peers by state",
        description: `Over all nodes. ${alone}`,
        width: 12,
        height: 9,
        stacked: true,
        queries: [{ expr: sum(["blixard.peer.state"], select(peerCount)), legend: legend("blixard.peer.state") }],
      }),
    ],
  };
}

function heard(): Row {
  return {
    question: "Is everybody heard in time?",
    panels: [
      timeSeries({
        title: "Age of the last confirmed heartbeat",
        description:
          "How long the control plane has not confirmed a node. At the lease's TTL (15 s) the node counts as lost, and its VMs may be started elsewhere.",
        unit: "s",
        steps: [[10, "red"]],
        queries: [{ expr: named(max(["job", "instance"], select(nodeHeartbeatAge))), legend: NODE }],
        links: [nodeLink("series")],
      }),
      timeSeries({
        title: "Heartbeats not confirmed",
        description: "By the class of the error. A few around a change of leader are normal.",
        queries: [
          { expr: sum(["error.type"], increase(nodeHeartbeatMissed)), legend: `missed ${legend("error.type")}` },
        ],
        emptyUntil: ["a heartbeat was not confirmed", "all were confirmed"],
      }),
      timeSeries({
        title: "Late heartbeats between members",
        description:
          "That a leader could not send in time: a busy disk or processor on the leader, before the network.",
        queries: [{ expr: named(sum(["job", "instance"], increase(raftHeartbeatFailures))), legend: NODE }],
        links: [nodeLink("series")],
      }),
    ],
  };
}

function network(): Row {
  const notLoopback = { "network.interface.name": { not: "lo" } } as const;
  const byNode = ["job", "instance"] as const;
  return {
    question: "Is it the network?",
    panels: [
      timeSeries({
        title: "Received",
        description: "By node, without loopback.",
        unit: "Bps",
        queries: [
          {
            expr: named(sum(byNode, rate(systemNetworkIo, { ...notLoopback, "network.io.direction": "receive" }))),
            legend: NODE,
          },
        ],
        emptyUntil: runtimeMetrics,
      }),
      timeSeries({
        title: "Sent",
        description: "By node, without loopback. A node that sends much more than it did may be giving away images.",
        unit: "Bps",
        queries: [
          {
            expr: named(sum(byNode, rate(systemNetworkIo, { ...notLoopback, "network.io.direction": "transmit" }))),
            legend: NODE,
          },
        ],
        emptyUntil: runtimeMetrics,
      }),
      timeSeries({
        title: "Errors and drops",
        description: "Packets per second. Anything steady above 0 is a cable, a driver, or a queue that is too short.",
        unit: "pps",
        queries: [
          { expr: named(sum(byNode, rate(systemNetworkErrors, notLoopback))), legend: `${NODE} errors` },
          { expr: named(sum(byNode, rate(systemNetworkPacketDropped, notLoopback))), legend: `${NODE} drops` },
        ],
        emptyUntil: runtimeMetrics,
      }),
    ],
  };
}
