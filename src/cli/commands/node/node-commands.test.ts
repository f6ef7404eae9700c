import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { NodeState } from "#gen/api/blixard/v1/node_pb.ts";
import { FakeCliIo } from "#test/support/fake-cli-io.ts";
import { FakeNode } from "#test/support/fake-node.ts";
import { runCli } from "../../run-cli.ts";

test("node list shows what is left, and why it runs guests as it does", async () => {
  const capacity = { vcpus: 8, memoryBytes: 8n << 30n, diskBytes: 100n << 30n };
  const allocated = { vcpus: 3, memoryBytes: 1n << 30n, diskBytes: 0n };
  await using node = await FakeNode.start({
    nodes: {
      listNodes: () => ({
        nodes: [
          {
            id: "node-1",
            state: NodeState.READY,
            schedulable: false,
            server: true,
            capacity,
            allocated,
            driver: "qemu",
            accelerator: "tcg",
            acceleratorReason: "the probe guest hung",
            vmCount: 2,
          },
        ],
      }),
    },
  });
  const io = new FakeCliIo({ environment: node.environment });
  assert.equal(await runCli(["node", "list"], io), 0);
  assert.match(
    io.output,
    /^node-1 +ready, cordoned +server +2 +3\/8 +1 GiB\/8 GiB +0 B\/100 GiB +qemu tcg +the probe guest hung$/m,
  );
});

test("a node is cordoned and uncordoned", async () => {
  await using node = await FakeNode.start({
    nodes: {
      cordonNode: ({ node: id }) => ({ node: { id } }),
      uncordonNode: ({ node: id }) => ({ node: { id, schedulable: true } }),
    },
  });
  const io = new FakeCliIo({ environment: node.environment });
  assert.equal(await runCli(["node", "cordon", "node-1"], io), 0);
  assert.equal(await runCli(["node", "uncordon", "node-1", "-o", "json"], io), 0);
  assert.match(io.output, /^node-1 is cordoned.*\n\{\n {2}"node": \{\n {4}"id": "node-1",\n {4}"schedulable": true/);
});

test("cluster status shows who leads", async () => {
  await using node = await FakeNode.start({
    cluster: {
      getClusterStatus: () => ({
        clusterId: "c1",
        name: "home",
        leaderNodeId: "node-1",
        storeKind: "embedded",
        storeVersion: "3.5.16",
        members: [
          {
            memberId: "8e9e",
            name: "node-1",
            leader: true,
            healthy: true,
            raftTerm: 4n,
            raftIndex: 120n,
            raftAppliedIndex: 120n,
            databaseSizeBytes: 20480n,
          },
        ],
      }),
    },
  });
  const io = new FakeCliIo({ environment: node.environment });
  assert.equal(await runCli(["cluster", "status"], io), 0);
  assert.match(io.output, /^Leader +node-1$/m);
  assert.match(io.output, /^node-1 +healthy +leader +4 +120 +120 +20 KiB$/m);
});

test("config check finds every problem and ends with 2; a file without is valid", async () => {
  await using node = await FakeNode.start({});
  const [good, bad] = [join(node.directory, "good.toml"), join(node.directory, "bad.toml")];
  await writeFile(good, `[node]\nid = "n"\n`);
  await writeFile(bad, `[node]\nidd = "n"\nbind = 1\n`);
  const io = new FakeCliIo();
  assert.equal(await runCli(["config", "check", good], io), 0);
  assert.equal(await runCli(["config", "check", bad], io), 2);
  assert.match(
    io.errors,
    /bad\.toml has 2 problems \(CONFIG_INVALID\):\n.*bad\.toml:2:1: unknown key .*"id"\?\n.*bad\.toml:3:8: node\.bind/,
  );
  assert.equal(await runCli(["config", "check", join(node.directory, "none.toml")], io), 2);
});

test("config show prints TOML with origins, and JSON", async () => {
  await using node = await FakeNode.start({});
  const file = join(node.directory, "node.toml");
  await writeFile(
    file,
    `[observability.tracing]\notlp_endpoint = "http://c:4317"\nbasic_auth = { username = "u", password = "swordfish" }\n`,
  );
  const environment = { BLIXARD_CONFIG: file, OTEL_SERVICE_NAME: "edge" };
  const people = new FakeCliIo({ environment });
  assert.equal(await runCli(["config", "show", "--data-dir", "/d", "--log-level", "debug"], people), 0, people.errors);
  assert.match(people.output, /^data_dir = "\/d" +# flag --data-dir$/m);
  assert.match(people.output, /^level = "debug" +# flag --log-level$/m);
  assert.match(people.output, /^service_name = "edge" +# environment OTEL_SERVICE_NAME$/m);
  assert.doesNotMatch(people.output, /swordfish/);
  const programs = new FakeCliIo({ environment });
  assert.equal(await runCli(["config", "show", "-o", "json"], programs), 0);
  assert.deepEqual(JSON.parse(programs.output)["observability.tracing.basic_auth.password"], {
    value: '"[redacted]"',
    origin: `${file}:3:32`,
  });
});

test("a wrong configuration starts no node", async () => {
  const io = new FakeCliIo({ environment: { BLIXARD_NODE__BIND: "everywhere" } });
  assert.equal(await runCli(["node", "run"], io), 2);
  assert.match(io.errors, /environment BLIXARD_NODE__BIND: node\.bind: expected host:port/);
});
