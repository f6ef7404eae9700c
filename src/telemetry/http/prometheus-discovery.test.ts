import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Node } from "#model/node.ts";
import { createManualClock } from "#test/support/manual-clock.ts";
import { aRegistration } from "#test/support/store-fixtures.ts";
import { createDiscovery, type KnownNodes, planTargetGroups } from "./prometheus-discovery.ts";

function aNode(id: string, overrides: Partial<Node> = {}): Node {
  const { metrics, ...registration } = aRegistration({ id });
  assert.ok(metrics !== undefined);
  const own = { ...metrics, address: `${id}:9090`, instance: `instance-of-${id}` };
  return { ...registration, metrics: own, alive: true, cordoned: false, ...overrides };
}

function known(nodes: readonly Node[], overrides: Partial<KnownNodes> = {}): KnownNodes {
  return { cluster: { id: "c1", name: "prod" }, ownNodeId: "node-1", nodes, confirmedTimeMs: 0, ...overrides };
}

describe("what Prometheus discovers", () => {
  test("is one target for each node, with the labels that OTLP gives its series, and more to choose by", () => {
    assert.deepEqual(planTargetGroups(known([aNode("node-1")])), [
      {
        targets: ["node-1:9090"],
        labels: {
          job: "blixard/blixard",
          instance: "instance-of-node-1",
          __scheme__: "http",
          __metrics_path__: "/metrics",
          __meta_blixard_node_id: "node-1",
          __meta_blixard_node_state: "ready",
          __meta_blixard_node_schedulable: "true",
          __meta_blixard_node_server: "true",
          __meta_blixard_node_version: "0.1.0",
          __meta_blixard_runtime_driver: "qemu",
          __meta_blixard_runtime_accelerator: "tcg",
          __meta_blixard_cluster_id: "c1",
          __meta_blixard_cluster_name: "prod",
        },
      },
    ]);
  });

  test("holds a node that is down, so that its up is 0 and not gone", () => {
    const groups = planTargetGroups(known([aNode("node-1"), aNode("node-2", { alive: false, cordoned: true })]));
    assert.deepEqual(targetsOf(groups), ["node-1:9090", "node-2:9090"]);
    assert.equal(groups[1]?.labels["__meta_blixard_node_state"], "down");
    assert.equal(groups[1]?.labels["__meta_blixard_node_schedulable"], "false");
  });

  test("leaves out who serves no page, and comes in the order of ids, whatever the store's", () => {
    const nodes = [aNode("node-3"), aNode("node-2", { metrics: undefined }), aNode("node-1")];
    assert.deepEqual(targetsOf(planTargetGroups(known(nodes))), ["node-1:9090", "node-3:9090"]);
  });

  test("never gives a page the labels of another node that says the same address", () => {
    const at = (id: string, overrides: Partial<Node> = {}): Node => {
      const node = aNode(id, overrides);
      return { ...node, metrics: node.metrics && { ...node.metrics, address: "127.0.0.1:9090" } };
    };
    const idsOf = (nodes: readonly Node[], ownNodeId: string): unknown[] =>
      planTargetGroups(known(nodes, { ownNodeId })).map(({ labels }) => labels["__meta_blixard_node_id"]);
    const down = { alive: false };
    assert.deepEqual(idsOf([at("node-1"), at("node-2"), at("node-3")], "node-2"), ["node-2"]);
    assert.deepEqual(idsOf([at("node-2"), at("node-1", down)], "node-1"), ["node-1"]);
    // A node that took the place of one that is gone.
    assert.deepEqual(idsOf([at("node-2", down), at("node-3"), aNode("node-1")], "node-1"), ["node-1", "node-3"]);
    const later = aRegistration().startTimeMs + 1;
    assert.deepEqual(idsOf([at("node-2"), at("node-3", { startTimeMs: later })], "node-1"), ["node-3"]);
  });
});

describe("the answer", () => {
  test("is none as long as nothing is known", () => {
    const discovery = createDiscovery(() => undefined, createManualClock());
    assert.equal(discovery.answer(), undefined);
  });

  test("is made at most once a second, and says how old what it knows is", async () => {
    const clock = createManualClock();
    let asked = 0;
    let nodes = [aNode("node-1")];
    const confirmedTimeMs = clock.now();
    const discovery = createDiscovery(() => {
      asked++;
      return known(nodes, { confirmedTimeMs });
    }, clock);
    const first = discovery.answer();
    assert.equal(first?.ageSeconds, 0);
    nodes = [aNode("node-1"), aNode("node-2")];
    assert.equal(discovery.answer()?.body, first?.body);
    assert.equal(asked, 1);
    // The store is away: the last list, and that it is an old one.
    await clock.advance(90_500);
    const later = discovery.answer();
    assert.equal(later?.ageSeconds, 90);
    assert.deepEqual(targetsOf(JSON.parse(later?.body.toString() ?? "")), ["node-1:9090", "node-2:9090"]);
    assert.equal(asked, 2);
  });
});

function targetsOf(groups: readonly { readonly targets: readonly string[] }[]): readonly string[] {
  return groups.flatMap(({ targets }) => targets);
}
