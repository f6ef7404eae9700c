/** The units of deploy/systemd on a real systemd, with real guests: restarting the node leaves its guests alone. */
import assert from "node:assert/strict";
import { copyFile, cp, mkdir, readFile, realpath, symlink, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { findCacheDir } from "../../scripts/setup/cache-dir.mjs";
import { useBackend } from "#test/stack/support/backends.ts";
import { demoImage } from "#test/support/demo-image.ts";
import { waitFor } from "#test/support/wait-for.ts";
import { describeUnits, SystemdMachine } from "#test/stack/support/systemd-machine.ts";

const repositoryDir = join(import.meta.dirname, "../..");
const NODE = "blixard.service";
const GUARDIAN = "blixard-guardian.service";
const ETCD = /^\S*\betcd\b/;
const TIMEOUT_MS = 120_000;

const TOML = `
[node]
id = "node-1"
[observability.metrics.http_server]
bind = "127.0.0.1:9090"
`;

interface Vm {
  readonly id: string;
  readonly status: {
    readonly state: string;
    readonly restarts?: number;
    readonly lastExit?: { readonly cause: string };
    readonly publishedPorts?: readonly { readonly hostPort: number }[];
  };
}

let missing: string | undefined;
const systemd = useBackend({ skip: (reason) => (missing = reason) }, "systemd") ?? "";

describe("under systemd", { skip: missing ?? false }, () => {
  let machine: SystemdMachine;

  before(async () => {
    machine = await SystemdMachine.create(systemd);
    await install(machine);
    await machine.boot();
    await machine.run("systemctl", "enable", "--now", "blixard").catch(async (error: unknown) => {
      throw new Error(await describeUnits(machine, NODE, GUARDIAN), { cause: error });
    });
  });
  after(async () => {
    await machine[Symbol.asyncDispose]();
  });

  const blixard = (...args: string[]): Promise<string> => machine.run("blixard", ...args);
  const getVm = async (name: string): Promise<Vm> =>
    (JSON.parse(await blixard("vm", "get", name, "-o", "json")) as { vm: Vm }).vm;

  /** The pid of the VM's QEMU, which is in the guardian's control group and nowhere else. */
  async function guestOf(vm: Vm): Promise<number | undefined> {
    const isGuest = (commandLine: string): boolean => /qemu-system/.test(commandLine) && commandLine.includes(vm.id);
    const others = [...(await machine.processesOf(NODE)).values()].filter(isGuest);
    assert.deepEqual(others, [], "no guest is in the node's control group");
    return [...(await machine.processesOf(GUARDIAN))].find(([, commandLine]) => isGuest(commandLine))?.[0];
  }

  async function pidOf(unit: string, program: RegExp): Promise<number | undefined> {
    return [...(await machine.processesOf(unit))].find(([, commandLine]) => program.test(commandLine))?.[0];
  }

  /** When it started tells a process from a later one of the same number. */
  async function startOf(pid: number): Promise<string> {
    const fields = (await machine.run("cat", `/proc/${pid}/stat`)).replace(/^.*\) /, "").split(" ");
    return fields[19] ?? "";
  }

  async function importDemo(): Promise<void> {
    const { kernelPath, initrdPath, commandLine } = await demoImage();
    const files = ["--kernel", inMachine(kernelPath), "--initrd", inMachine(initrdPath)];
    await blixard("image", "import", "demo", ...files, "--cmdline", commandLine, "--guest-agent");
  }

  const property = async (unit: string, name: string): Promise<string> =>
    (await machine.run("systemctl", "show", "--value", "-p", name, unit)).trim();

  /** A guest may be ready a moment before its network is. */
  async function waitUntilAnswering(port: number): Promise<void> {
    const url = `http://127.0.0.1:${port}/`;
    await waitFor(`an answer at ${url}`, async () => (await askGuest(url)).exitCode === 0, TIMEOUT_MS);
  }

  const askGuest = (url: string) => machine.tryRun("curl", "--silent", "--fail", "--max-time", "10", url);

  async function waitUntilRunning(name: string): Promise<number> {
    return waitFor(
      `${name} to run`,
      async () => {
        const answer = await machine.tryRun("blixard", "vm", "get", name, "-o", "json");
        if (answer.exitCode !== 0) return false;
        const { vm } = JSON.parse(answer.stdout) as { vm: Vm };
        return vm.status.state === "VM_STATE_RUNNING" && guestOf(vm);
      },
      TIMEOUT_MS,
    );
  }

  test("both units say that they are ready, and a guest starts in the guardian's control group", async () => {
    for (const unit of [NODE, GUARDIAN]) assert.equal(await property(unit, "ActiveState"), "active");
    assert.match(await property(NODE, "StatusText"), /node node-1 ready/);
    // The probe gets as far as it does without the sandbox: whether KVM works is another question.
    const nodes = await blixard("node", "list");
    assert.doesNotMatch(nodes, /denied|not permitted/i);
    await importDemo();
    await blixard("vm", "create", "web", "--image", "demo", "--publish", "18080:80", "--restart", "always", "--wait");
    const vm = await getVm("web");
    const pid = await guestOf(vm);
    assert.ok(pid !== undefined, "the guest is a process of the guardian's unit");
    await waitUntilAnswering(18080);
    const status = await machine.run("cat", `/proc/${pid}/status`);
    assert.match(status, /^CapEff:\t0+$/m);
    assert.match(status, /^NoNewPrivs:\t1$/m);
    assert.match(status, /^Seccomp:\t2$/m);
    assert.doesNotMatch(status, /^Uid:\t0\t/m);
    assert.ok(await pidOf(NODE, ETCD), "etcd is a process of the node's unit");
  });

  test("restarting the node leaves its guests alone, and gives it an etcd of its own again", async () => {
    const vm = await getVm("web");
    const guest = await waitUntilRunning("web");
    const [guestStart, guardian, etcd, daemon] = [
      await startOf(guest),
      await property(GUARDIAN, "MainPID"),
      await pidOf(NODE, ETCD),
      await property(NODE, "MainPID"),
    ];
    await machine.run("systemctl", "restart", "blixard");
    assert.notEqual(await property(NODE, "MainPID"), daemon);
    assert.equal(await waitUntilRunning("web"), guest);
    assert.equal(await startOf(guest), guestStart);
    assert.equal(await property(GUARDIAN, "MainPID"), guardian);
    assert.notEqual(await pidOf(NODE, ETCD), etcd);
    const after = await getVm("web");
    assert.deepEqual([after.id, after.status.restarts ?? 0], [vm.id, 0]);
    await waitUntilAnswering(18080);
  });

  test("a stopped node leaves nothing of itself, and its guests to the guardian", async () => {
    const guest = await waitUntilRunning("web");
    await machine.run("systemctl", "stop", "blixard");
    assert.equal(await property(NODE, "Result"), "success");
    assert.equal((await machine.tryRun("pgrep", "--exact", "etcd")).stdout, "");
    assert.ok([...(await machine.processesOf(GUARDIAN)).keys()].includes(guest));
    await machine.run("systemctl", "start", "blixard");
    assert.equal(await waitUntilRunning("web"), guest);
  });

  test("a node that is killed comes back to the same guests, with one etcd", async () => {
    const guest = await waitUntilRunning("web");
    const daemon = await property(NODE, "MainPID");
    await machine.run("systemctl", "kill", "--kill-whom=main", "--signal=KILL", "blixard");
    await waitFor("another node", async () => !["0", daemon].includes(await property(NODE, "MainPID")), TIMEOUT_MS);
    assert.equal(await waitUntilRunning("web"), guest);
    assert.equal([...(await machine.processesOf(NODE)).values()].filter((line) => ETCD.test(line)).length, 1);
    assert.equal((await machine.run("pgrep", "--exact", "--count", "etcd")).trim(), "1");
  });

  test("a guardian that is killed takes its guests along; systemd starts another, and they start again in it", async () => {
    const guest = await waitUntilRunning("web");
    const guardian = await property(GUARDIAN, "MainPID");
    await machine.run("systemctl", "kill", "--kill-whom=main", "--signal=KILL", "blixard-guardian");
    const next = await waitFor(
      "the guest, started again",
      async () => {
        const pid = await waitUntilRunning("web");
        return pid === guest ? false : pid;
      },
      TIMEOUT_MS,
    );
    assert.ok(next);
    assert.notEqual(await property(GUARDIAN, "MainPID"), guardian);
    assert.equal(await property(NODE, "ActiveState"), "active");
  });

  test("a guest that may reach the network does so through passt, in the same sandbox", async () => {
    await blixard("vm", "create", "out", "--image", "demo", "--egress", "--publish", "18081:80", "--wait");
    const vm = await getVm("out");
    assert.ok(await guestOf(vm));
    assert.ok(await pidOf(GUARDIAN, /\bpasst\b/));
    await waitUntilAnswering(18081);
  });

  test("stopping the guardian ends the guests in order; the node stays, says so, and starts them again with it", async () => {
    const guest = await waitUntilRunning("web");
    await machine.run("systemctl", "stop", "blixard-guardian");
    assert.equal(await property(GUARDIAN, "Result"), "success");
    assert.equal((await machine.tryRun("test", "-e", `/proc/${guest}`)).exitCode, 1);
    assert.equal(await property(NODE, "ActiveState"), "active");
    const log = await readFile(machine.path("/var/lib/blixard/guardian/guardian.log"), "utf8");
    const lines = log.split("\n").slice(-4).join("\n");
    assert.match(lines, /"ending","why":"SIGTERM","guests":2/);
    assert.match(lines, /"guest ended".*"guardian_stopped"/);
    await machine.run("systemctl", "start", "blixard-guardian");
    assert.notEqual(await waitUntilRunning("web"), guest);
  });

  test("a reboot stops node and guests in order, and both are back after it", async () => {
    await waitUntilRunning("web");
    await machine.powerOff();
    const log = await readFile(machine.path("/var/lib/blixard/guardian/guardian.log"), "utf8");
    assert.match(log.split("\n").slice(-4).join("\n"), /"guest ended".*"guardian_stopped"/);
    await machine.boot();
    await machine.run("systemctl", "start", "multi-user.target");
    assert.ok(await waitUntilRunning("web"));
    const journal = await machine.run("journalctl", "--no-pager", "-u", "blixard", "-u", "blixard-guardian");
    assert.doesNotMatch(journal, /Killing process|SIGKILL|Failed with result 'timeout'/);
  });
});

/** As docs/install.md has it, with this machine's QEMU, etcd and passt. */
async function install(machine: SystemdMachine): Promise<void> {
  const modules = machine.path("/usr/local/lib/node_modules");
  await mkdir(join(modules, "blixard"), { recursive: true });
  for (const name of ["bin", "dist", "package.json"])
    await cp(join(repositoryDir, name), join(modules, "blixard", name), { recursive: true });
  const nodePackage = dirname(dirname(await realpath(join(repositoryDir, "node_modules/.bin/node"))));
  await cp(nodePackage, join(modules, `node-linux-${process.arch}`), { recursive: true });
  await symlink("../lib/node_modules/blixard/bin/blixard", machine.path("/usr/local/bin/blixard"));
  for (const tool of ["etcd", "passt"])
    await copyFile(join(findCacheDir(process.env), "root/usr/bin", tool), machine.path(`/usr/local/bin/${tool}`));
  for (const unit of [NODE, GUARDIAN])
    await copyFile(join(repositoryDir, "deploy/systemd", unit), machine.path(`/etc/systemd/system/${unit}`));
  await mkdir(machine.path("/etc/blixard"), { recursive: true });
  await writeFile(machine.path("/etc/blixard/blixard.toml"), TOML);
  const image = await demoImage();
  await mkdir(machine.path("/srv/demo"), { recursive: true });
  for (const path of [image.kernelPath, image.initrdPath]) await copyFile(path, machine.path(inMachine(path)));
}

function inMachine(path: string): string {
  return join("/srv/demo", basename(path));
}
