import assert from "node:assert/strict";
import { test } from "node:test";
import type { Node } from "#model/node.ts";
import { aRegistration } from "#test/support/store-fixtures.ts";
import { createKnownNodesBoard } from "./known-nodes.ts";

test("nothing is known before this node is registered and in the view; then what the view has", () => {
  const nodes: Node[] = [{ ...aRegistration({ id: "node-2" }), alive: true, cordoned: false }];
  const cluster = { id: "c1", name: "prod", createTimeMs: 0 };
  const heartbeats: number[] = [];
  const board = createKnownNodesBoard();
  assert.equal(board.read(), undefined);

  const view = (): { cluster: typeof cluster; nodes: () => Node[] } => ({ cluster, nodes: () => nodes });
  board.follow({ nodeId: "node-1", view, confirmedTimeMs: () => heartbeats[0] });
  assert.equal(board.read(), undefined);
  heartbeats.push(5);
  // An answer now would be without this node, and Prometheus would drop it.
  assert.equal(board.read(), undefined);
  nodes.push({ ...aRegistration({ id: "node-1" }), alive: true, cordoned: false });
  assert.deepEqual(board.read(), { cluster, ownNodeId: "node-1", nodes, confirmedTimeMs: 5 });
});
