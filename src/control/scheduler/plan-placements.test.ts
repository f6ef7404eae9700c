import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { MAXIMUM_REFUSALS, type PendingVm, planPlacements, type SchedulableNode } from "./plan-placements.ts";

const MEBIBYTE = 1024 ** 2;

const node = (id: string, overrides: Partial<SchedulableNode> = {}): SchedulableNode => ({
  id,
  capacity: { vcpus: 8, memoryBytes: 1024 * MEBIBYTE, diskBytes: 10_000 * MEBIBYTE },
  allocated: { vcpus: 0, memoryBytes: 0, diskBytes: 0 },
  vmCount: 0,
  alive: true,
  cordoned: false,
  ...overrides,
});
const vm = (vmId: string, overrides: Partial<PendingVm> = {}): PendingVm => ({
  vmId,
  vcpus: 1,
  memoryBytes: 256 * MEBIBYTE,
  diskBytes: 0,
  createTimeMs: 0,
  ...overrides,
});
const plan = (nodes: readonly SchedulableNode[], pending: readonly PendingVm[], maximumVmsPerNode = 100) =>
  planPlacements({ nodes, pending, maximumVmsPerNode });

describe("placements", () => {
  test("spread VMs over nodes", () => {
    const decisions = plan([node("a"), node("b")], [vm("1"), vm("2"), vm("3"), vm("4")]);
    assert.deepEqual(
      decisions.map((decision) => decision.nodeId),
      ["a", "b", "a", "b"],
    );
  });

  test("prefer the node whose scarcest resource is least used", () => {
    const tightInMemory = node("a", { allocated: { vcpus: 0, memoryBytes: 700 * MEBIBYTE, diskBytes: 0 } });
    const tightInCpus = node("b", { allocated: { vcpus: 4, memoryBytes: 0, diskBytes: 0 } });
    assert.equal(plan([tightInMemory, tightInCpus], [vm("1")])[0]?.nodeId, "b");
  });

  test("serve the oldest first, and do not hold up what fits behind what does not", () => {
    const decisions = plan(
      [node("a")],
      [
        vm("young", { createTimeMs: 2, memoryBytes: 1024 * MEBIBYTE }),
        vm("huge", { createTimeMs: 0, memoryBytes: 4096 * MEBIBYTE }),
        vm("old", { createTimeMs: 1 }),
      ],
    );
    assert.deepEqual(
      decisions.map(({ vmId, nodeId }) => [vmId, nodeId]),
      [
        ["huge", undefined],
        ["old", "a"],
        ["young", undefined],
      ],
    );
  });

  test("say for each node why it does not take a VM, in words and for machines", () => {
    const full = { vcpus: 8, memoryBytes: 0, diskBytes: 0 };
    const [decision] = plan(
      [
        node("a", { allocated: full }),
        node("b", { allocated: { vcpus: 0, memoryBytes: 900 * MEBIBYTE, diskBytes: 0 } }),
        node("c", { cordoned: true }),
        node("d", { alive: false }),
        node("e", { vmCount: 100 }),
        node("f", { allocated: { vcpus: 0, memoryBytes: 0, diskBytes: 9999 * MEBIBYTE } }),
      ],
      [vm("1", { diskBytes: 10 * MEBIBYTE })],
    );
    assert.deepEqual(
      decision?.refusals.map(({ nodeId, reason }) => [nodeId, reason]),
      [
        ["a", "insufficient_vcpus"],
        ["b", "insufficient_memory"],
        ["c", "cordoned"],
        ["d", "not_alive"],
        ["e", "too_many_vms"],
        ["f", "insufficient_disk"],
      ],
    );
    assert.equal(decision.refusals[1]?.message, "b has 124 MiB of 1024 MiB of memory free, 256 MiB are needed");
  });

  test("say so when there is no node at all", () => {
    assert.equal(plan([], [vm("1")])[0]?.refusals[0]?.reason, "no_nodes");
  });

  test("count the nodes beyond those that are named", () => {
    const nodes = Array.from({ length: 500 }, (_, index) => node(`node-${index}`, { cordoned: index % 2 === 0 }));
    const [decision] = plan(nodes, [vm("1", { memoryBytes: 2048 * MEBIBYTE })]);
    assert.ok(decision !== undefined && decision.refusals.length <= MAXIMUM_REFUSALS + 2);
    assert.equal(decision.refusals.filter(({ nodeId }) => nodeId !== "").length, MAXIMUM_REFUSALS);
    assert.match(decision.refusals.at(-1)?.message ?? "", /^24\d more nodes: /);
  });

  test("ignore disk space for VMs without disks", () => {
    const noDisk = node("a", { capacity: { vcpus: 8, memoryBytes: 1024 * MEBIBYTE, diskBytes: 0 } });
    assert.equal(plan([noDisk], [vm("1")])[0]?.nodeId, "a");
  });
});

test("a plan never gives out more than there is, never leaves out a VM, and always says why it does not place one", () => {
  const resources = (most: number) =>
    fc.record({
      vcpus: fc.integer({ min: 0, max: most }),
      memoryBytes: fc.integer({ min: 0, max: most }),
      diskBytes: fc.integer({ min: 0, max: most }),
    });
  const nodes = fc.uniqueArray(
    fc.record({
      id: fc.stringMatching(/^[a-z]{1,3}$/),
      capacity: resources(16),
      allocated: resources(8),
      vmCount: fc.integer({ min: 0, max: 6 }),
      alive: fc.boolean(),
      cordoned: fc.boolean(),
    }),
    { selector: ({ id }) => id, maxLength: 6 },
  );
  const pending = fc.uniqueArray(
    fc.record({
      vmId: fc.uuid(),
      vcpus: fc.integer({ min: 1, max: 6 }),
      memoryBytes: fc.integer({ min: 1, max: 6 }),
      diskBytes: fc.integer({ min: 0, max: 3 }),
      createTimeMs: fc.integer({ min: 0, max: 3 }),
    }),
    { selector: ({ vmId }) => vmId, maxLength: 15 },
  );
  fc.assert(
    fc.property(nodes, pending, (someNodes, somePending) => {
      const decisions = plan(someNodes, somePending, 8);
      assert.deepEqual(decisions.map(({ vmId }) => vmId).toSorted(), somePending.map(({ vmId }) => vmId).toSorted());
      for (const { id, capacity, allocated, alive, cordoned, vmCount } of someNodes) {
        const taken = decisions.flatMap((decision) =>
          decision.nodeId === id ? somePending.filter((one) => one.vmId === decision.vmId) : [],
        );
        if (taken.length === 0) continue;
        assert.ok(alive && !cordoned && vmCount + taken.length <= 8);
        const sum = (key: "vcpus" | "memoryBytes" | "diskBytes") => taken.reduce((total, one) => total + one[key], 0);
        assert.ok(allocated.vcpus + sum("vcpus") <= capacity.vcpus);
        assert.ok(allocated.memoryBytes + sum("memoryBytes") <= capacity.memoryBytes);
        if (sum("diskBytes") > 0) assert.ok(allocated.diskBytes + sum("diskBytes") <= capacity.diskBytes);
      }
      for (const { nodeId, refusals } of decisions) {
        assert.equal(nodeId === undefined, refusals.length > 0);
        if (nodeId === undefined) assert.equal(refusals.length, Math.max(1, someNodes.length));
      }
      // The order in which nodes and VMs are handed in does not matter.
      assert.deepEqual(plan(someNodes.toReversed(), somePending.toReversed(), 8), decisions);
    }),
    { numRuns: 500, seed: 1 },
  );
});
