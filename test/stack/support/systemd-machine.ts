/**
 * A machine for tests: a real systemd as process 1, in namespaces and a control group of its own, on a copy of this
 * machine's file system that is thrown away. What is installed and started in it touches nothing outside.
 *
 * It boots next to nothing of this machine's own services: no generators, no units but those that `boot` needs.
 */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { mkdir, mkdtemp, readFile, readdir, rm, rmdir, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { waitFor } from "#test/support/wait-for.ts";

export interface CommandResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

const TIMEOUT_MS = 120_000;

// Holds the file system, over boots: everything that is written lies in the memory of one tmpfs.
const HOLD = `set -e
top=$1
mount -t tmpfs -o mode=755 machine "$top"
mkdir "$top/upper" "$top/work" "$top/root"
mount -t overlay -o "lowerdir=/,upperdir=$top/upper,workdir=$top/work" overlay "$top/root"
cd "$top/root"
rm -rf usr/lib/systemd/system-generators etc/systemd/system
find usr/lib/systemd/system -name '*.wants' -exec rm -r {} +
mkdir -p etc/systemd/system usr/lib/systemd/system/sysinit.target.wants usr/lib/systemd/system/sockets.target.wants
ln -s ../systemd-journald.service usr/lib/systemd/system/sysinit.target.wants/
ln -s ../systemd-journald.socket usr/lib/systemd/system/sockets.target.wants/
echo 00000000000000000000000000000001 > etc/machine-id
: > etc/fstab
echo held
read -r _`;

const BOOT = `set -e
root=$1
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount -t tmpfs -o mode=755 run "$root/run"
mount -t tmpfs -o mode=1777 tmp "$root/tmp"
mount -t tmpfs -o mode=755 dev "$root/dev"
mkdir "$root/dev/net" "$root/dev/shm" "$root/dev/pts"
for device in null zero full random urandom tty kmsg net/tun; do
  [ -e "/dev/$device" ] || continue
  : > "$root/dev/$device"
  mount --bind "/dev/$device" "$root/dev/$device"
done
# As udev makes it, of a group other than root: whatever it is here.
if [ -e /dev/kvm ]; then
  mknod -m 660 "$root/dev/kvm" c 10 232
  chgrp 993 "$root/dev/kvm"
fi
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
ip link set lo up
# An address of its own, and a way out that ends nowhere.
ip link add net0 type veth peer name net1
ip address add 192.0.2.2/24 dev net0
ip link set net0 up
ip link set net1 up
ip route add default via 192.0.2.1
cd "$root"
mkdir -p old
pivot_root . old
umount -l /old
exec env -i container=test PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \\
  "$2" --system --unit=basic.target --log-target=console --show-status=0`;

export class SystemdMachine implements AsyncDisposable {
  readonly #systemd: string;
  readonly #top: string;
  readonly #holder: ChildProcess;
  readonly #cgroup: string;
  #unshare: ChildProcess | undefined;
  #console = "";

  private constructor(systemd: string, top: string, holder: ChildProcess, cgroup: string) {
    this.#systemd = systemd;
    this.#top = top;
    this.#holder = holder;
    this.#cgroup = cgroup;
  }

  /** @throws where the machine lacks what it takes: root and a mounted cgroup2 */
  static async create(systemd: string): Promise<SystemdMachine> {
    const groups = findControlGroups();
    if (groups === undefined) throw new Error("a machine with systemd takes a mounted cgroup2");
    const top = await mkdtemp(join(tmpdir(), "blixard-machine-"));
    // A run of the stack has a root of mounts, through which no overlay looks: process 1 has the machine's.
    const onMachine = ["--target=1", "--root", "--wd", "--", "unshare", "--mount", "--propagation=private"];
    const holder = spawn("nsenter", [...onMachine, "sh", "-c", HOLD, "sh", top], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    const cgroup = join(groups, basename(top));
    const machine = new SystemdMachine(systemd, top, holder, cgroup);
    try {
      await mkdir(cgroup);
      await Promise.race([once(holder.stdout, "data"), endOf(holder)]);
      if (holder.exitCode !== null) throw new Error("the file system of the machine cannot be made");
    } catch (error) {
      await machine[Symbol.asyncDispose]();
      throw error;
    }
    return machine;
  }

  /** A file's path in it, as seen from here: for reading and for putting files there before and after boots. */
  path(inside: string): string {
    return join(`/proc/${this.#holder.pid}/root`, this.#top, "root", inside);
  }

  /** What process 1 has said. */
  get console(): string {
    return this.#console;
  }

  /** Starts process 1, and waits until it takes commands. */
  async boot(): Promise<void> {
    const namespaces = [
      "--mount",
      "--propagation=private",
      "--pid",
      "--fork",
      "--kill-child",
      "--uts",
      "--ipc",
      "--cgroup",
      "--net",
    ];
    const inside = ["unshare", ...namespaces, "--", "sh", "-c", BOOT, "sh", join(this.#top, "root"), this.#systemd];
    // The control group's path is of this side, so it is joined before the mounts are others.
    const enter = `echo $$ > "$1/cgroup.procs"; shift; exec nsenter --target=${this.#holder.pid} --mount -- "$@"`;
    this.#unshare = spawn("sh", ["-c", enter, "sh", this.#cgroup, ...inside], { stdio: ["ignore", "pipe", "pipe"] });
    for (const stream of [this.#unshare.stdout, this.#unshare.stderr])
      stream?.on("data", (chunk: Buffer) => (this.#console += chunk.toString()));
    await waitFor(
      "process 1",
      async () => {
        if (this.#unshare?.exitCode !== null) throw new Error(`the machine does not boot:\n${this.#console}`);
        if (this.#initPid === undefined) return false;
        return (await this.tryRun("systemctl", "is-active", "basic.target")).exitCode === 0;
      },
      TIMEOUT_MS,
    );
  }

  /** Shuts it down as an operator does; resolves when nothing of it runs any more. */
  async powerOff(): Promise<void> {
    const machine = this.#unshare;
    if (machine === undefined) return;
    await this.run("systemctl", "poweroff", "--no-block");
    await endOf(machine);
    this.#unshare = undefined;
  }

  /** Runs a command in it. @throws with everything it printed when it fails */
  async run(...command: string[]): Promise<string> {
    const result = await this.tryRun(...command);
    if (result.exitCode !== 0)
      throw new Error(`${command.join(" ")}: exit ${result.exitCode}\n${result.stderr}${result.stdout}`);
    return result.stdout;
  }

  tryRun(...command: string[]): Promise<CommandResult> {
    const init = this.#initPid;
    if (init === undefined) throw new Error("the machine does not run");
    const environment = ["env", "-i", "PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root"];
    const args = [`--target=${init}`, "--all", "--root", "--", ...environment, ...command];
    return new Promise((resolve) => {
      execFile("nsenter", args, { timeout: TIMEOUT_MS, killSignal: "SIGKILL" }, (error, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === "number" ? error.code : 128;
        resolve({ exitCode: code, stdout, stderr });
      });
    });
  }

  /** Processes of a unit, by its control group: pids as the machine sees them, with their command lines. */
  async processesOf(unit: string): Promise<ReadonlyMap<number, string>> {
    const text = await this.run(
      "sh",
      "-c",
      `for pid in $(cat /sys/fs/cgroup/system.slice/${unit}/cgroup.procs); do printf '%s ' $pid; tr '\\0' ' ' < /proc/$pid/cmdline; echo; done`,
    );
    return new Map(
      text
        .split("\n")
        .filter((line) => line !== "")
        .map((line) => [Number.parseInt(line, 10), line.slice(line.indexOf(" ") + 1)]),
    );
  }

  /** On this side: the only child of `unshare`. */
  get #initPid(): number | undefined {
    const pid = this.#unshare?.pid;
    if (pid === undefined) return undefined;
    try {
      const [child = ""] = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ");
      return child === "" ? undefined : Number(child);
    } catch {
      return undefined;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Process 1 goes with `unshare`, and with it everything in there.
    for (const child of [this.#unshare, this.#holder]) {
      if (child === undefined) continue;
      child.kill("SIGKILL");
      await endOf(child);
    }
    await rm(this.#top, { recursive: true, force: true });
    await waitFor("the end of its control group", () => removeGroup(this.#cgroup), TIMEOUT_MS);
  }
}

async function endOf(child: ChildProcess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
}

/** Where cgroup2 is mounted on this side. */
function findControlGroups(): string | undefined {
  const mounts = readFileSync("/proc/self/mountinfo", "utf8").split("\n");
  return mounts.find((line) => / - cgroup2 /.test(line))?.split(" ")[4];
}

/** Whether it is gone; busy groups are killed again. */
async function removeGroup(group: string): Promise<boolean> {
  if (!existsSync(group)) return true;
  await writeFile(join(group, "cgroup.kill"), "1").catch(() => {});
  try {
    for (const entry of await readdir(group, { withFileTypes: true }))
      if (entry.isDirectory()) await removeGroup(join(group, entry.name));
    await rmdir(group);
    return true;
  } catch {
    return false;
  }
}

/** For messages of failed tests. */
export async function describeUnits(machine: SystemdMachine, ...units: readonly string[]): Promise<string> {
  const reports = units.map(async (unit) => {
    const { stdout } = await machine.tryRun("journalctl", "--no-pager", "-n", "60", "-u", unit);
    return stdout;
  });
  const log = await readFile(machine.path("/var/lib/blixard/guardian/guardian.log"), "utf8").catch(() => "");
  return [...(await Promise.all(reports)), log].join("\n");
}
