/** The supervised member: real etcds that start, die, are damaged and come back. */
import assert from "node:assert/strict";
import { chmod, mkdir, mkdtemp, readdir, readFile, readlink, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { BlixardError, causeChain, type ErrorCode } from "#model/errors.ts";
import { isAlive, readIdentity } from "#process/identity.ts";
import { spawnProcess } from "#process/spawn.ts";
import { createEtcdSupervisor, type EtcdSupervisorOptions, type MemberExit } from "#store/etcd/supervisor.ts";
import { prepareTestEtcd, startTestEtcd, type TestEtcd } from "#test/support/etcd.ts";
import { waitFor } from "#test/support/wait-for.ts";

const put = { kind: "put", key: "/a", value: Buffer.from("x") } as const;

async function started(t: TestContext, overrides: Partial<EtcdSupervisorOptions> = {}): Promise<TestEtcd> {
  const etcd = await startTestEtcd(overrides);
  t.after(() => etcd[Symbol.asyncDispose]());
  return etcd;
}

async function prepared(t: TestContext, overrides: Partial<EtcdSupervisorOptions> = {}): Promise<TestEtcd> {
  const etcd = await prepareTestEtcd(overrides);
  t.after(() => etcd[Symbol.asyncDispose]());
  return etcd;
}

test("a member opens no TCP port, and only its owner can reach its sockets", async (t) => {
  const etcd = await started(t);
  assert.deepEqual(await listeningTcpSockets(etcd.supervisor.pid ?? 0), []);
  for (const name of await readdir(etcd.runDir)) {
    assert.equal((await stat(join(etcd.runDir, name))).mode & 0o077, 0, name);
  }
  assert.equal((await stat(join(etcd.dataDir, "etcd"))).mode & 0o077, 0);
});

test("what was written is there after a stop and a start, under the same member name", async (t) => {
  const etcd = await started(t);
  await etcd.store().transact({ compare: [], success: [put] });
  const member = await readFile(join(etcd.dataDir, "etcd", "member.json"), "utf8");
  await etcd.supervisor.stop();
  assert.equal(etcd.supervisor.state.kind, "stopped");

  const again = createEtcdSupervisor(etcd.options);
  t.after(() => again.stop());
  await again.start();
  assert.notEqual(await etcd.store().get("/a"), undefined);
  assert.equal(await readFile(join(etcd.dataDir, "etcd", "member.json"), "utf8"), member);
});

test("a member that is killed is started again, and those who use it go on", async (t) => {
  const exits: MemberExit[] = [];
  const etcd = await started(t, { onExit: (exit) => exits.push(exit) });
  const store = etcd.store({ timeoutMs: 20_000 });
  const { revision } = await store.transact({ compare: [], success: [put] });
  const stopping = new AbortController();
  const seen: bigint[] = [];
  const watching = (async () => {
    for await (const batch of store.watch("/a", revision + 1n, stopping.signal)) seen.push(batch.revision);
  })();
  const pid = etcd.supervisor.pid ?? 0;
  process.kill(pid, "SIGKILL");
  await waitFor("a new process", () => etcd.supervisor.state.kind === "ready" && etcd.supervisor.pid !== pid);

  assert.notEqual(await store.get("/a"), undefined);
  const second = await store.transact({ compare: [], success: [put] });
  await waitFor("the change in the watch from before", () => seen.includes(second.revision));
  assert.deepEqual(
    exits.map(({ pid: exitPid, restarting }) => [exitPid, restarting]),
    [[pid, true]],
  );
  stopping.abort();
  await watching;
});

test("a member dies with its daemon, however that dies, and the next daemon starts cleanly", async (t) => {
  const etcd = await prepared(t);
  const program = `
    import { createEtcdSupervisor } from ${JSON.stringify(import.meta.resolve("#store/etcd/supervisor.ts"))};
    import { createSystemClock } from ${JSON.stringify(import.meta.resolve("#telemetry/system-clock.ts"))};
    const nothing = () => {};
    const logger = { debug: nothing, info: nothing, warn: nothing, error: nothing, event: nothing };
    const supervisor = createEtcdSupervisor({
      ...JSON.parse(process.argv[1]), clock: createSystemClock(), random: Math.random, logger,
    });
    await supervisor.start();
    console.log(supervisor.pid);
    setInterval(nothing, 1000);
  `;
  const { etcdPath, dataDir, runDir } = etcd.options;
  const daemon = await spawnProcess({
    command: process.execPath,
    args: ["--input-type=module-typescript", "-e", program, JSON.stringify({ etcdPath, dataDir, runDir })],
    cwd: join(import.meta.dirname, "../.."),
    stdout: "pipe",
    parentDeathSignal: "KILL",
  });
  let output = "";
  daemon.stdout?.on("data", (chunk: Buffer) => (output += chunk.toString()));
  await waitFor("the member's pid", () => output.includes("\n"));
  const member = readIdentity(Number(output));
  assert.ok(member !== undefined);
  daemon.kill("SIGKILL");
  await daemon.exited;

  // At once, while the orphan may still be closing its files and sockets.
  await etcd.supervisor.start();
  assert.equal(isAlive(member), false);
  await etcd.store().transact({ compare: [], success: [put] });
});

test("a damaged data directory is reported as such, with what to do, and nothing is left running", async (t) => {
  const damages: Record<string, (data: string) => Promise<void>> = {
    "bits of the log have flipped": async (data) => {
      const path = await firstLogFile(data);
      const content = await readFile(path);
      // The head: damage further on may look like the end of a log that was being written.
      for (let at = 0; at < 64; at++) content.writeUInt8(content.readUInt8(at) ^ 0xff, at);
      await writeFile(path, content);
    },
    "the database is cut short": (data) => truncate(join(data, "member/snap/db"), 5000),
    "the database is something else": (data) => writeFile(join(data, "member/snap/db"), Buffer.alloc(65_536, 0x5a)),
    "the log is gone": (data) => rm(join(data, "member/wal"), { recursive: true }),
  };
  for (const [what, damage] of Object.entries(damages)) {
    await t.test(what, async (t2) => {
      const etcd = await started(t2);
      for (let index = 0; index < 20; index++) {
        await etcd.store().transact({ compare: [], success: [{ ...put, key: `/a/${index}` }] });
      }
      await etcd.supervisor.stop();
      await damage(join(etcd.dataDir, "etcd/data"));
      const again = createEtcdSupervisor(etcd.options);
      const error = await failureOf(again.start());
      assert.equal(error.code, "DATA_DIRECTORY_CORRUPT", causeChain(error).join("\n"));
      assert.ok(error.hint !== undefined);
      assert.equal(again.pid, undefined);
      assert.deepEqual(await processesIn(etcd.runDir), []);
    });
  }
});

test("data of a newer etcd is refused before anything is touched", async (t) => {
  const etcd = await started(t);
  await etcd.supervisor.stop();
  const path = join(etcd.dataDir, "etcd/member.json");
  const member = await readFile(path, "utf8");
  await writeFile(path, member.replace(/"etcdVersion":"[^"]+"/, '"etcdVersion":"3.99.1"'));
  const error = await failureOf(createEtcdSupervisor(etcd.options).start());
  assert.equal(error.code, "TOOL_TOO_OLD");
  assert.match(error.hint ?? "", /3\.99/);
});

test("a binary that is missing, too old or no etcd at all is told apart", async (t) => {
  const cases: [string, string | undefined, ErrorCode][] = [
    ["missing", undefined, "TOOL_MISSING"],
    ["too old", 'echo "etcd Version: 3.3.25"', "TOOL_TOO_OLD"],
    ["no etcd", "echo hello", "TOOL_MISSING"],
  ];
  for (const [what, script, code] of cases) {
    const etcdPath = script === undefined ? "/nowhere/etcd" : await fakeEtcd(t, script);
    const etcd = await prepared(t, { etcdPath });
    assert.equal((await failureOf(etcd.supervisor.start())).code, code, what);
  }
});

test("a full disk is reported as a full disk", async (t) => {
  const etcdPath = await fakeEtcd(
    t,
    'if [ "$1" = --version ]; then echo "etcd Version: 3.5.30"; exit 0; fi',
    'echo \'{"level":"fatal","msg":"cannot allocate","error":"write /d/wal/0.tmp: no space left on device"}\' >&2',
    "exit 1",
  );
  const etcd = await prepared(t, { etcdPath });
  const error = await failureOf(etcd.supervisor.start());
  assert.equal(error.code, "DISK_FULL");
  assert.match(causeChain(error).join("\n"), /no space left on device/);

  const measureDisk = (): Promise<never> => Promise.reject(Object.assign(new Error("ENOSPC"), { code: "ENOSPC" }));
  const full = await prepared(t, { measureDisk });
  assert.equal((await failureOf(full.supervisor.start())).code, "DISK_FULL");
});

test("a member that was removed from its cluster is never started again", async (t) => {
  const etcdPath = await fakeEtcd(
    t,
    'if [ "$1" = --version ]; then echo "etcd Version: 3.5.30"; exit 0; fi',
    'echo \'{"level":"warn","msg":"the member has been permanently removed from the cluster"}\' >&2',
    "exit 0",
  );
  const etcd = await prepared(t, { etcdPath });
  const error = await failureOf(etcd.supervisor.start());
  assert.equal(error.code, "DATA_DIRECTORY_UNUSABLE");
  assert.match(error.message, /removed from its cluster/);
});

test("a slow disk is said, and does not make a lone member wait longer for its own election", async (t) => {
  const etcd = await started(t, { measureDisk: async () => [1, 2, 35] });
  const commandLine = await readFile(`/proc/${etcd.supervisor.pid ?? 0}/cmdline`, "utf8");
  assert.match(commandLine, /--election-timeout=200/);
  const warning = etcd.telemetry.logs.find(({ level }) => level === "warn");
  assert.match(warning?.message ?? "", /35\.0 ms/);
});

test("a start that is cancelled leaves nothing running", async (t) => {
  const etcd = await prepared(t, {
    etcdPath: await fakeEtcd(t, 'if [ "$1" = --version ]; then echo 3.5.30; exit 0; fi', "exec sleep 600"),
  });
  const stopping = new AbortController();
  const starting = failureOf(etcd.supervisor.start(stopping.signal));
  await waitFor("the process", async () => (await processesIn(etcd.runDir)).length > 0);
  stopping.abort();
  assert.equal((await starting).code, "CANCELLED");
  assert.deepEqual(await processesIn(etcd.runDir), []);
});

test("a run directory whose path is too long for a socket is refused", () => {
  const runDir = `/tmp/${"x".repeat(100)}`;
  assert.throws(
    () => createEtcdSupervisor({ runDir, dataDir: "/tmp" } as EtcdSupervisorOptions),
    (error) => error instanceof BlixardError && error.code === "DATA_DIRECTORY_UNUSABLE",
  );
});

async function failureOf(promise: Promise<unknown>): Promise<BlixardError> {
  try {
    await promise;
  } catch (error) {
    assert.ok(error instanceof BlixardError, String(error));
    return error;
  }
  assert.fail("it should have failed");
}

/** A shell script in etcd's place. */
async function fakeEtcd(t: TestContext, ...lines: readonly string[]): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "blixard-fake-"));
  t.after(() => rm(folder, { recursive: true }));
  await mkdir(folder, { recursive: true });
  const path = join(folder, "etcd");
  await writeFile(path, ["#!/bin/sh", ...lines, ""].join("\n"));
  await chmod(path, 0o755);
  return path;
}

async function firstLogFile(data: string): Promise<string> {
  const folder = join(data, "member/wal");
  const [first] = (await readdir(folder)).filter((name) => name.endsWith(".wal")).toSorted();
  assert.ok(first !== undefined);
  return join(folder, first);
}

/** Pids whose working directory is this one. */
async function processesIn(folder: string): Promise<number[]> {
  const found: number[] = [];
  for (const name of await readdir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const cwd = await readlink(`/proc/${name}/cwd`).catch(() => "");
    if (cwd === folder) found.push(Number(name));
  }
  return found;
}

/** Local addresses of the TCP sockets on which the process listens, from /proc. */
async function listeningTcpSockets(pid: number): Promise<string[]> {
  const inodes = new Set<string>();
  for (const descriptor of await readdir(`/proc/${pid}/fd`)) {
    const target = await readlink(`/proc/${pid}/fd/${descriptor}`).catch(() => "");
    const inode = /^socket:\[(\d+)\]$/.exec(target)?.[1];
    if (inode !== undefined) inodes.add(inode);
  }
  assert.ok(inodes.size > 0);
  const LISTEN = "0A";
  const tables = await Promise.all(["tcp", "tcp6"].map((name) => readFile(`/proc/${pid}/net/${name}`, "utf8")));
  return tables
    .flatMap((table) => table.trim().split("\n").slice(1))
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => fields[3] === LISTEN && inodes.has(fields[9] ?? ""))
    .map((fields) => fields[1] ?? "");
}
