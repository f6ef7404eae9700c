/** What an operator sees when a node cannot start: a clear error, the right exit code, nothing left running. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { pidsMentioning, runCli, TestNode, type CliResult } from "#test/support/test-node.ts";
import { waitFor } from "#test/support/wait-for.ts";
import { hasCapability } from "#test/support/capability.ts";

/** Exit code 2: usage or configuration; 3: something of the machine or ours. */
async function startAndFail(node: TestNode, environment: Record<string, string> = {}): Promise<CliResult> {
  const result = await runCli(["node", "run", "--config", node.configFile, "--data-dir", node.dataDirectory], {
    environment: { ...node.environment, ...environment },
    timeoutMs: 30_000,
  });
  assert.notEqual(result.exitCode, 0);
  assert.notEqual(result.exitCode, 128, `the node did not end by itself:\n${result.stderr}`);
  const places = [node.dataDirectory, await node.runDirectory()];
  // A guardian that was made in vain ends a moment after its node.
  await waitFor("nothing to be left running", async () => (await pidsMentioning(...places)).length === 0, 10_000);
  assert.doesNotMatch(result.stderr, /\n\s+at .*:\d+:\d+/, "no stack trace");
  return result;
}

const withBinds = (api: string, metrics: string): string =>
  `[node]\nid = "node-1"\nbind = "${api}"\n[observability.metrics.http_server]\nenabled = true\nbind = "${metrics}"\n`;

for (const which of ["api", "metrics"] as const) {
  test(`a taken ${which} port is named, and what to change`, async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await new Promise((listening) => server.once("listening", listening));
    const address = server.address();
    assert.ok(address !== null && typeof address === "object");
    const taken = `127.0.0.1:${address.port}`;
    await using node = await TestNode.prepare({
      toml: which === "api" ? withBinds(taken, "127.0.0.1:0") : withBinds("127.0.0.1:0", taken),
    });
    const result = await startAndFail(node);
    server.close();
    assert.match(result.stderr, /PORT_TAKEN/);
    assert.match(result.stderr, new RegExp(String(address.port)));
    assert.equal(result.exitCode, 2);
  });
}

for (const [tool, key] of [
  ["etcd", "etcd_binary"],
  ["qemu-system-x86_64", "qemu_binary"],
] as const) {
  test(`a missing ${tool} is named, and how to get it`, async () => {
    const section = key === "etcd_binary" ? "store" : "runtime";
    await using node = await TestNode.prepare({
      toml: `${withBinds("127.0.0.1:0", "127.0.0.1:0")}[${section}]\n${key} = "no-such-${tool}"\n`,
    });
    const result = await startAndFail(node);
    assert.match(result.stderr, /TOOL_MISSING/);
    assert.match(result.stderr, new RegExp(`no-such-${tool}`));
    assert.equal(result.exitCode, 2);
  });
}

test("a data directory of a live node is refused and that node goes on", async () => {
  await using node = await TestNode.start();
  const second = await runCli(["node", "run", "--config", node.configFile, "--data-dir", node.dataDirectory], {
    timeoutMs: 30_000,
  });
  assert.equal(second.exitCode, 2);
  assert.match(second.stderr, /DATA_DIRECTORY_LOCKED/);
  assert.match(second.stderr, new RegExp(`${node.daemonPid}`));
  assert.equal((await node.cli(["vm", "list"])).exitCode, 0);
});

test("a corrupt store is reported as such", async () => {
  await using node = await TestNode.start();
  await node.endDaemon();
  const directory = join(node.dataDirectory, "etcd", "member", "snap");
  const files = await readdir(directory, { recursive: true }).catch(async () => {
    const found = execFileSync("find", [node.dataDirectory, "-name", "db", "-path", "*snap*"]).toString().trim();
    return [found];
  });
  const database = files.find((file) => file.endsWith("db"));
  assert.ok(database !== undefined, "the store's database is where the test looks");
  const path = database.startsWith("/") ? database : join(directory, database);
  await writeFile(path, "this is not a database");
  const result = await startAndFail(node);
  assert.match(result.stderr, /DATA_DIRECTORY_CORRUPT/);
  assert.equal(result.exitCode, 2);
});

test("a full disk is reported before anything is started", async (context) => {
  if (!hasCapability(context, "root", process.getuid?.() === 0)) return;
  const mount = await mkdtemp(join(tmpdir(), "blixard-full-"));
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=16m", "tmpfs", mount], { stdio: "ignore" });
  try {
    await mkdir(join(mount, "data"));
    await using node = await TestNode.prepare();
    const result = await runCli(["node", "run", "--config", node.configFile, "--data-dir", join(mount, "data")], {
      timeoutMs: 30_000,
    });
    assert.equal(result.exitCode, 2);
    assert.match(result.stderr, /DISK_FULL/);
    await waitFor("nothing to be left running", async () => (await pidsMentioning(mount)).length === 0, 10_000);
  } finally {
    execFileSync("umount", [mount]);
    await rm(mount, { recursive: true });
  }
});

test("a configuration with several mistakes is refused with all of them", async () => {
  await using node = await TestNode.prepare({ toml: '[node]\nidd = "x"\nbind = 7\n[nod]\n' });
  const result = await startAndFail(node);
  assert.equal(result.exitCode, 2);
  assert.match(result.stderr, /blixard\.toml:2:1/);
  assert.match(result.stderr, /blixard\.toml:3:/);
  assert.match(result.stderr, /blixard\.toml:4:/);
});
