/** The guardian as a real process, with small programs in the place of QEMU. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, readdir, rm, stat, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { type EnsuredGuardian, ensureGuardian } from "#guardian/ensure-guardian.ts";
import type { GuardianClient } from "#guardian/guardian-client.ts";
import type { GuestCommand, GuestReport } from "#guardian/protocol.ts";
import { endOffsetOf, listSegments, readSerialLog } from "#guardian/serial-log.ts";
import { readGuardianState } from "#guardian/state-file.ts";
import { isAlive, type ProcessIdentity, readUptimeSeconds } from "#process/identity.ts";
import { endProcess, signalProcess } from "#process/kill-ladder.ts";
import { spawnProcess } from "#process/spawn.ts";
import { waitFor } from "#test/support/wait-for.ts";

const entryPath = join(import.meta.dirname, "../../src/guardian/main.ts");

describe("the guardian", () => {
  let root: string;
  let exits: GuestReport[];
  let guardians: ProcessIdentity[];
  let clients: GuardianClient[];

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), "blixard-guardian-"));
    exits = [];
    guardians = [];
    clients = [];
  });
  afterEach(async () => {
    for (const client of clients) client.close();
    await Promise.all(guardians.map((identity) => endProcess(identity, { graceMs: 10_000 })));
    await rm(root, { recursive: true, force: true });
  });

  async function ensure(options: { idleTimeoutMs?: number; extraArguments?: string[] } = {}): Promise<EnsuredGuardian> {
    const ensured = await ensureGuardian({
      stateDir: join(root, "state"),
      socketPath: join(root, "run", "guardian.sock"),
      program: { entryPath, extraArguments: options.extraArguments ?? [] },
      onExited: (guest) => exits.push(guest),
      ...(options.idleTimeoutMs === undefined ? {} : { idleTimeoutMs: options.idleTimeoutMs }),
    });
    guardians.push(ensured.client.hello.identity);
    clients.push(ensured.client);
    return ensured;
  }

  async function guest(vmId: string, script: string, more: Partial<GuestCommand> = {}): Promise<GuestCommand> {
    const logDir = join(root, "vms", vmId);
    await mkdir(logDir, { recursive: true });
    return {
      vmId,
      instanceId: `${vmId}-1`,
      argv: ["/bin/sh", "-c", script],
      workingDir: logDir,
      logDir,
      channels: [],
      companions: [],
      files: [],
      fenced: false,
      metadata: { note: vmId },
      ...more,
    };
  }

  async function logText(vmId: string): Promise<string> {
    const pieces = await Array.fromAsync(readSerialLog(join(root, "vms", vmId), 0, Infinity));
    return Buffer.concat(pieces.map((piece) => piece.data)).toString();
  }

  function identityOf(report: GuestReport): ProcessIdentity {
    assert.ok(report.identity);
    return report.identity;
  }

  const exitOf = (instanceId: string): Promise<GuestReport> =>
    waitFor(`the exit of ${instanceId}`, () => exits.find((report) => report.instanceId === instanceId));

  it("reports how a guest ended, with its last words", async () => {
    const { client, adopted } = await ensure();
    assert.equal(adopted, false);
    await client.spawn(
      await guest("vm-a", "echo console; echo why >&2; echo monitor >&3; exit 3", { channels: ["qmp"] }),
    );
    const { exit, metadata } = await exitOf("vm-a-1");
    assert.ok(exit);
    assert.deepEqual([exit.code, exit.signal, exit.reason], [3, undefined, ""]);
    assert.deepEqual([exit.stderrTail, exit.channelTails], ["why\n", { qmp: "monitor\n" }]);
    assert.deepEqual(metadata, { note: "vm-a" });
    await waitFor("the log", async () => (await logText("vm-a")) === "console\n");
  });

  it("starts an instance once, and never two for one VM", async () => {
    const { client } = await ensure();
    const command = await guest("vm-a", "exec sleep 600");
    const first = await client.spawn(command);
    const [again, twice] = await Promise.all([client.spawn(command), client.spawn(command)]);
    assert.deepEqual(again.identity, first.identity);
    assert.deepEqual(twice.identity, first.identity);
    await assert.rejects(client.spawn({ ...command, instanceId: "vm-a-2" }), { code: "VM_STATE_CONFLICT" });
    await client.kill("vm-a-1", { reason: "forced", graceMs: 0 });
    assert.equal((await exitOf("vm-a-1")).exit?.reason, "forced");
    await client.spawn({ ...command, instanceId: "vm-a-2" });
  });

  it("leaves nothing behind when a program cannot be started", async () => {
    const { client } = await ensure();
    await assert.rejects(client.spawn(await guest("vm-a", "", { argv: ["/no/such/qemu"] })), { code: "TOOL_MISSING" });
    assert.deepEqual(await client.list(), []);
    assert.deepEqual(
      (await readdir(join(root, "state"))).filter((name) => name.startsWith("guest-")),
      [],
    );
  });

  it("keeps guests when the daemon goes, and tells the next one what ended meanwhile", async () => {
    const first = await ensure();
    const stays = await first.client.spawn(await guest("vm-a", "exec sleep 600"));
    await first.client.spawn(await guest("vm-b", "read line; exit 5"));
    const console = await first.client.openSerial({
      vmId: "vm-b",
      logDir: join(root, "vms/vm-b"),
      instanceId: "vm-b-1",
    });
    console.socket.write("go\n");
    first.client.close();
    await waitFor("the record of the end", async () =>
      (await readFile(join(root, "state/guest-vm-b-1.json"), "utf8")).includes('"code":5'),
    );
    const second = await ensure();
    assert.equal(second.adopted, true);
    const list = await second.client.list();
    assert.deepEqual(list.find((report) => report.vmId === "vm-a")?.identity, stays.identity);
    assert.equal(list.find((report) => report.vmId === "vm-b")?.exit?.code, 5);
    await second.client.acknowledge("vm-b-1");
    await second.client.acknowledge("vm-a-1");
    assert.deepEqual(
      (await second.client.list()).map((report) => report.vmId),
      ["vm-a"],
      "what runs is not forgotten",
    );
  });

  it("survives SIGHUP and has a session of its own", async () => {
    const { client } = await ensure();
    const { pid } = client.hello.identity;
    process.kill(pid, "SIGHUP");
    assert.deepEqual(await client.list(), []);
    const fields = (await readFile(`/proc/${pid}/stat`, "utf8")).split(") ")[1]?.split(" ") ?? [];
    assert.deepEqual(fields.slice(2, 4), [String(pid), String(pid)], "leads its own group and session");
  });

  it("takes its guests and their companions with it when it is killed, and the next one says so", async () => {
    const { client } = await ensure();
    const report = await client.spawn(
      await guest("vm-a", "exec sleep 600", { companions: [{ argv: ["/bin/sleep", "601"] }] }),
    );
    const guestIdentity = identityOf(report);
    await waitFor("the program", async () => (await readFile(`/proc/${guestIdentity.pid}/comm`, "utf8")) === "sleep\n");
    process.kill(client.hello.identity.pid, "SIGKILL");
    await client.closed;
    await waitFor("the end of the guest", () => !isAlive(guestIdentity));
    const next = await ensure();
    assert.equal(next.adopted, false);
    const list = await next.client.list();
    assert.deepEqual(
      list.map((entry) => [entry.instanceId, entry.exit?.reason]),
      [["vm-a-1", "guardian_lost"]],
    );
    assert.deepEqual(await pidsWithState(join(root, "state")), []);
  });

  it("kills what an earlier guardian left without the kernel's help", async () => {
    const orphan = await spawnProcess({
      command: "/bin/sleep",
      args: ["600"],
      environment: { BLIXARD_GUARDIAN_STATE: join(root, "state") },
    });
    await ensure();
    assert.equal((await orphan.exited).signal, "SIGKILL");
  });

  it("adopts nothing from an earlier boot", async () => {
    const earlier = await ensure({ extraArguments: ["--boot-id=an-earlier-boot"] });
    await earlier.client.spawn(await guest("vm-a", "exec sleep 600"));
    process.kill(earlier.client.hello.identity.pid, "SIGKILL");
    await earlier.client.closed;
    const { client } = await ensure();
    assert.deepEqual(
      (await client.list()).map((entry) => entry.exit?.reason),
      ["host_rebooted"],
    );
  });

  it("never gives the daemon a guardian whose pid was reused", async () => {
    const { client } = await ensure();
    const state = await readGuardianState(join(root, "state"));
    assert.ok(state);
    const { identity } = state;
    await client.shutdown({ force: false });
    await client.closed;
    await waitFor("its end", () => !isAlive(identity));
    const stale = { ...state, identity: { ...identity, pid: process.pid } };
    await writeFile(join(root, "state/guardian.json"), JSON.stringify(stale));
    assert.equal((await ensure()).adopted, false);
  });

  it("is started once when several daemons look for it at the same time", async () => {
    const all = await Promise.all([ensure(), ensure(), ensure()]);
    assert.equal(new Set(all.map(({ client }) => client.hello.identity.pid)).size, 1);
  });

  it("ends when it is asked to, but not over running guests", async () => {
    const { client } = await ensure();
    const report = await client.spawn(await guest("vm-a", "exec sleep 600"));
    await assert.rejects(client.shutdown({ force: false }), { code: "VM_STATE_CONFLICT" });
    await client.shutdown({ force: true });
    await client.closed;
    await waitFor("its end", () => !isAlive(client.hello.identity));
    assert.equal(isAlive(identityOf(report)), false);
    assert.equal(await readGuardianState(join(root, "state")), undefined);
    const next = await ensure();
    assert.equal((await next.client.list())[0]?.exit?.reason, "guardian_stopped");
  });

  it("ends by itself when it has neither guests nor clients, and stays for either", async () => {
    const { client } = await ensure({ idleTimeoutMs: 200 });
    const { identity } = client.hello;
    await client.spawn(await guest("vm-a", "read line"));
    client.close();
    // Longer than the timeout, by its own clock: the guest keeps it.
    const end = readUptimeSeconds() + 0.6;
    await waitFor("some time", () => readUptimeSeconds() > end);
    assert.equal(isAlive(identity), true);
    const again = await ensure();
    await again.client.kill("vm-a-1", { reason: "forced", graceMs: 0 });
    await exitOf("vm-a-1");
    again.client.close();
    await waitFor("its end", () => !isAlive(identity));
  });

  it("stays as a service, whatever there is to do, and is never started where it is one", async () => {
    const paths = { stateDir: join(root, "state"), socketPath: join(root, "run", "guardian.sock") };
    const find = { ...paths, program: undefined, onExited: () => {}, timeoutMs: 200 };
    await assert.rejects(ensureGuardian(find), { code: "GUARDIAN_UNAVAILABLE", message: /leaves it to a service/ });
    const service = await spawnProcess({
      command: process.execPath,
      args: [entryPath, "--service", `--state-dir=${paths.stateDir}`, `--socket=${paths.socketPath}`],
    });
    guardians.push(service.identity);
    const { client, adopted } = await ensureGuardian({ ...find, timeoutMs: 120_000 });
    assert.deepEqual([adopted, client.hello.identity], [true, service.identity]);
    await client.shutdown({ force: false });
    assert.deepEqual(await client.list(), [], "it serves on");
    client.close();
    signalProcess(service.identity, "SIGTERM");
    assert.equal((await service.exited).code, 0);
  });

  it("ends its guests in order on SIGTERM", async () => {
    const { client } = await ensure();
    const command = await guest("vm-a", "trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.01; done");
    await client.spawn(command);
    await waitFor("the guest", async () => (await logText("vm-a")) === "up\n");
    signalProcess(client.hello.identity, "SIGTERM");
    await client.closed;
    await waitFor("its end", () => !isAlive(client.hello.identity));
    assert.equal(await logText("vm-a"), "up\nbye\n");
  });

  it("kills at the deadline what may run elsewhere, and only that", async () => {
    const { client } = await ensure();
    await client.spawn(await guest("vm-a", "exec sleep 600", { fenced: true }));
    const held = await client.spawn(await guest("vm-b", "exec sleep 600"));
    await client.fence(readUptimeSeconds() + 600);
    await client.fence(readUptimeSeconds() + 0.3);
    assert.equal((await exitOf("vm-a-1")).exit?.reason, "fenced");
    assert.equal(isAlive(identityOf(held)), true);
    const late = await guest("vm-c", "exec sleep 600", { fenced: true });
    await assert.rejects(client.spawn(late), { code: "GUARDIAN_UNAVAILABLE" });
    await client.fence(readUptimeSeconds() + 600);
    await client.spawn(late);
    await client.fence(undefined);
  });

  it("keeps the deadline when the daemon is dead", async () => {
    const { client } = await ensure();
    const report = await client.spawn(await guest("vm-a", "exec sleep 600", { fenced: true }));
    await client.fence(readUptimeSeconds() + 0.3);
    client.close();
    await waitFor("the end of the guest", () => !isAlive(identityOf(report)));
  });

  describe("serial consoles", () => {
    it("carries output to all followers and input to the guest", async () => {
      const { client } = await ensure();
      await client.spawn(await guest("vm-a", "echo first; read line; echo got $line; read line; exit 0"));
      await waitFor("the first line", async () => (await logText("vm-a")) === "first\n");
      const logDir = join(root, "vms/vm-a");
      const console = await client.openSerial({ vmId: "vm-a", logDir, instanceId: "vm-a-1" });
      const follower = await client.openSerial({ vmId: "vm-a", logDir });
      assert.equal(console.offset, 6);
      console.socket.write("this\n");
      for (const stream of [console, follower]) {
        const frame = await stream.frames[Symbol.asyncIterator]().next();
        assert.deepEqual([frame.value?.offset, frame.value?.data.toString()], [6, "got this\n"]);
      }
      follower.socket.destroy();
    });

    it("ends a console with its instance, while a follower of the log goes on to the next", async () => {
      const { client } = await ensure();
      const command = await guest("vm-a", "read line; echo $line");
      const logDir = command.logDir;
      await client.spawn(command);
      const follower = await client.openSerial({ vmId: "vm-a", logDir });
      const texts: string[] = [];
      const following = (async () => {
        for await (const frame of follower.frames) texts.push(`${frame.offset}:${frame.data.toString()}`);
      })().catch(() => "closed");
      for (const instanceId of ["vm-a-1", "vm-a-2"]) {
        await client.spawn({ ...command, instanceId });
        const console = await client.openSerial({ vmId: "vm-a", logDir, instanceId });
        console.socket.write(`${instanceId}\n`);
        const frames = await Array.fromAsync(console.frames);
        assert.equal(frames.map((frame) => frame.data.toString()).join(""), `${instanceId}\n`);
        console.socket.destroy();
        await exitOf(instanceId);
      }
      await waitFor("both", () => texts.length === 2);
      assert.deepEqual(texts, ["0:vm-a-1\n", "7:vm-a-2\n"]);
      follower.socket.destroy();
      assert.equal(await following, "closed");
    });

    it("never lets a flooding guest fill the disk, with the daemon dead", async () => {
      const { client } = await ensure();
      await client.spawn(
        await guest("vm-a", "yes 0123456789abcdef | head -c 120000000; echo; echo the end; read line"),
      );
      client.close();
      const dir = join(root, "vms/vm-a");
      const size = async (): Promise<number> =>
        (await listSegments(dir)).reduce((sum, segment) => sum + segment.sizeBytes, 0);
      await waitFor("the end of the flood", async () => {
        assert.ok((await size()) <= 16 * 1024 * 1024);
        return endOffsetOf(await listSegments(dir)) === 120_000_009;
      });
      assert.ok((await size()) >= 8 * 1024 * 1024, "the newest half is kept");
      assert.match((await logText("vm-a")).slice(-20), /\nthe end\n$/);
      for (const name of await readdir(dir)) assert.equal((await stat(join(dir, name))).mode & 0o777, 0o600);
    });

    it("lets a slow follower miss bytes, says how many, and does not slow the guest", async () => {
      const { client } = await ensure();
      const total = 60_000_000;
      await client.spawn(await guest("vm-a", `read line; yes | head -c ${total}; while read line; do echo done; done`));
      const logDir = join(root, "vms/vm-a");
      const slow = await client.openSerial({ vmId: "vm-a", logDir, instanceId: "vm-a-1" });
      slow.socket.write("go\n");
      await waitFor("the whole output", async () => endOffsetOf(await listSegments(logDir)) === total);
      let end = 0;
      let skipped = 0;
      const reading = (async () => {
        for await (const frame of slow.frames) {
          skipped += frame.offset - end;
          end = frame.offset + frame.data.length;
          if (end > total) return;
        }
      })();
      // Once its queue is empty it is served again.
      await waitFor("output from behind the gap", () => {
        slow.socket.write("more\n");
        return end > total;
      });
      await reading;
      assert.ok(skipped > total / 2, `${skipped} bytes were skipped`);
    });
  });

  describe("channels", () => {
    it("hold what the guest says until somebody listens, and outlive daemons", async () => {
      const { client } = await ensure();
      const script = "echo early >&3; while read line <&3; do echo $line $line >&3; done";
      await client.spawn(await guest("vm-a", script, { channels: ["agent"] }));
      const first = await client.openChannel("vm-a-1", "agent");
      assert.equal(String(await once(first, "data")), "early\n");
      first.write("one\n");
      assert.equal(String(await once(first, "data")), "one one\n");
      client.close();
      const second = await (await ensure()).client.openChannel("vm-a-1", "agent");
      await once(first, "close");
      second.write("two\n");
      assert.equal(String(await once(second, "data")), "two two\n");
      second.destroy();
    });

    it("make a flooding guest wait when nobody listens", async () => {
      const { client } = await ensure();
      const script = "(yes >&3) & echo up; read line; kill %1 2>/dev/null; exit 0";
      const report = await client.spawn(await guest("vm-a", script, { channels: ["agent"] }));
      await waitFor("the guest", async () => (await logText("vm-a")) === "up\n");
      const memoryKib = async (): Promise<number> =>
        Number(/VmRSS:\s+(\d+)/.exec(await readFile(`/proc/${client.hello.identity.pid}/status`, "utf8"))?.[1]);
      const before = await memoryKib();
      await Promise.all(Array.from({ length: 100 }, () => client.list()));
      assert.ok((await memoryKib()) - before < 50_000);
      const console = await client.openSerial({
        vmId: "vm-a",
        logDir: join(root, "vms/vm-a"),
        instanceId: report.instanceId,
      });
      console.socket.write("end\n");
      assert.equal((await exitOf("vm-a-1")).exit?.channelTails["agent"]?.slice(-4), "y\ny\n");
    });

    it("link a companion to its guest", async () => {
      const { client } = await ensure();
      await client.spawn(
        await guest("vm-a", "echo hello >&4; until read line <&4; do sleep 0.01; done; echo $line; exit 0", {
          channels: ["qmp"],
          companions: [{ argv: ["/bin/sh", "-c", "read line <&3; echo companion got $line >&3; exec sleep 600"] }],
        }),
      );
      await exitOf("vm-a-1");
      assert.equal(await logText("vm-a"), "companion got hello\n");
      assert.deepEqual(await pidsWithState(join(root, "state")), []);
    });

    it("come before files, which the guest gets opened", async () => {
      const { client } = await ensure();
      const secret = join(root, "secret");
      await writeFile(secret, "content\n");
      await client.spawn(await guest("vm-a", "cat <&4", { channels: ["qmp"], files: [secret] }));
      await exitOf("vm-a-1");
      assert.equal(await logText("vm-a"), "content\n");
      const missing = await guest("vm-b", "cat <&3", { files: [join(root, "none")] });
      await assert.rejects(client.spawn(missing), { code: "INTERNAL", message: /none/ });
    });

    it("are refused for guests that are not there", async () => {
      const { client } = await ensure();
      await assert.rejects(client.openChannel("nobody", "qmp"), { code: "GUEST_CHANNEL_UNAVAILABLE" });
    });
  });

  it("answers garbage with errors and goes on serving", async () => {
    const { client } = await ensure();
    const socketPath = join(root, "run", "guardian.sock");
    assert.equal((await stat(socketPath)).mode & 0o777, 0o600);
    for (const garbage of [
      "\n\n{}\n",
      "[]\n",
      `${"x".repeat(300_000)}\n`,
      '{"id":1,"op":"spawn","guest":7}\n',
      "\xff\0\n",
    ]) {
      const socket = connect(socketPath);
      socket.write(garbage);
      const reply = JSON.parse(String(await once(socket, "data")));
      assert.ok(reply.error.code === "INVALID_ARGUMENT" || reply.error.code === "REQUEST_TOO_LARGE");
      socket.destroy();
    }
    assert.deepEqual(await client.list(), []);
  });
});

async function pidsWithState(stateDir: string): Promise<string[]> {
  const pids: string[] = [];
  for (const name of await readdir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const environment = await readFile(`/proc/${name}/environ`, "utf8").catch(() => "");
    if (environment.split("\0").includes(`BLIXARD_GUARDIAN_STATE=${stateDir}`)) pids.push(name);
  }
  return pids;
}
