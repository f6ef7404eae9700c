/** `blixard guardian run`: the guardian as a service of its own, beside a node that only finds it. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, readFile, writeFile } from "node:fs/promises";
import { delimiter, join, resolve } from "node:path";
import { after, before, test } from "node:test";
import { readGuardianState } from "#guardian/state-file.ts";
import { runCli, TestNode } from "#test/support/test-node.ts";
import { waitFor } from "#test/support/wait-for.ts";

const LAUNCHER = resolve(import.meta.dirname, "../../bin/blixard");
const TIMEOUT_MS = 120_000;
const TOML = `
[node]
id = "node-1"
bind = "127.0.0.1:0"
[runtime]
guardian = "service"
accelerator = "tcg"
[observability.metrics.http_server]
bind = "127.0.0.1:0"
`;

let node: TestNode;
before(async () => {
  node = await TestNode.prepare({ toml: TOML, readyTimeoutMs: TIMEOUT_MS });
});
after(async () => {
  await node[Symbol.asyncDispose]();
});

test("a guardian run as a service keeps its pid, tells its service manager, and outlives every node", async () => {
  const args = ["guardian", "run", "--config", node.configFile, "--data-dir", node.dataDirectory];
  const said = join(node.directory, "said");
  const tool = join(node.directory, "systemd-notify");
  await writeFile(tool, `#!/bin/sh\necho "$PPID $NOTIFY_SOCKET $*" >> ${said}\n`);
  await chmod(tool, 0o755);
  const guardian = spawn(LAUNCHER, args, {
    env: {
      ...process.env,
      PATH: [node.directory, process.env["PATH"]].join(delimiter),
      NOTIFY_SOCKET: "/run/systemd/notify",
      GRAFANA_CLOUD_TOKEN: "a secret",
    },
    stdio: "ignore",
  });
  const { pid } = guardian;
  assert.ok(pid !== undefined);
  try {
    await waitFor("its word", async () => (await readFile(said, "utf8").catch(() => "")) !== "", TIMEOUT_MS);
    assert.equal(await readFile(said, "utf8"), `${pid} /run/systemd/notify --no-block READY=1\n`);
    assert.doesNotMatch(await readFile(`/proc/${pid}/environ`, "utf8"), /GRAFANA_CLOUD_TOKEN/);
    assert.equal((await readGuardianState(join(node.dataDirectory, "guardian")))?.identity.pid, pid);

    const second = await runCli(args, { timeoutMs: TIMEOUT_MS });
    assert.equal(second.exitCode, 2);
    assert.match(second.stderr, /^DATA_DIRECTORY_LOCKED: /);

    for (let start = 1; start <= 2; start++) {
      await node.startDaemon();
      // It has no guests: a guardian that a node has started ends with the node.
      assert.equal(await node.endDaemon(), 0);
      assert.equal((await readGuardianState(join(node.dataDirectory, "guardian")))?.identity.pid, pid);
    }
    assert.equal(guardian.exitCode, null);
  } finally {
    guardian.kill("SIGTERM");
    if (guardian.exitCode === null && guardian.signalCode === null) await once(guardian, "exit");
  }
  assert.equal(guardian.exitCode, 0);
  assert.match(await readFile(said, "utf8"), /STOPPING=1\n$/);
});
