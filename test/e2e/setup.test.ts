// Set-up for real, into an empty cache: that it comes through being killed and being run twice at once, and
// that the machine is otherwise the same afterwards. Needs the Debian mirror.

import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import {
  accessSync,
  constants,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { after, describe, test } from "node:test";
import { findCacheDir } from "../../scripts/setup/cache-dir.mjs";

const repositoryDir = join(import.meta.dirname, "..", "..");
const MARK = "BLIXARD_SETUP_TEST";

const workDir = mkdtempSync(join(tmpdir(), "blixard-setup-"));
const mark = randomUUID();
const started = new Set<ChildProcess>();

after(() => {
  for (const child of started) killGroup(child);
  rmSync(workDir, { recursive: true, force: true });
});

test("set-up survives a kill and a twin, fills the cache, and leaves the machine as it was", async () => {
  const cacheDir = join(workDir, "cache");
  const before = describeMachine();

  const killed = startSetup({ BLIXARD_CACHE_DIR: cacheDir });
  await killed.says("unpacking");
  killGroup(killed.child);
  await killed.exitCode();
  assert.equal(existsSync(join(cacheDir, "root")), false, "nothing half-made is in place");
  const [damaged] = readdirSync(join(cacheDir, "downloads")).filter((name) => name.startsWith("etcd-server"));
  assert.ok(damaged);
  const { size } = statSync(join(cacheDir, "downloads", damaged));
  writeFileSync(join(cacheDir, "downloads", damaged), Buffer.alloc(size));

  const twins = [startSetup({ BLIXARD_CACHE_DIR: cacheDir }), startSetup({ BLIXARD_CACHE_DIR: cacheDir })];
  assert.deepEqual(await Promise.all(twins.map((twin) => twin.exitCode())), [0, 0]);
  const outputs = twins.map((twin) => twin.output());
  assert.equal(outputs.filter((text) => text.includes("another set-up is running")).length, 1, outputs.join("\n"));
  assert.equal(outputs.filter((text) => text.includes("unpacking")).length, 1, "the work is done once");

  for (const tool of ["bin/etcd", "bin/etcdctl", "bin/prometheus", "bin/promtool", "bin/passt", "bin/python3"]) {
    accessSync(join(cacheDir, "root", "usr", tool), constants.X_OK);
  }
  assert.equal(readFileSync(join(cacheDir, "kernel", "vmlinux")).toString("latin1", 0, 4), "\x7fELF");
  const release = readFileSync(join(cacheDir, "kernel", "version"), "utf8").trim();
  assert.match(readlinkSync(join(cacheDir, "kernel", "vmlinuz")), new RegExp(`vmlinuz-${release}$`));
  assert.ok(existsSync(join(cacheDir, "kernel", "modules", "kernel")));
  assert.deepEqual(readdirSync(cacheDir).toSorted(), ["generations", "kernel", "root", "setup.lock"]);

  const again = startSetup({ BLIXARD_CACHE_DIR: cacheDir });
  assert.equal(await again.exitCode(), 0);
  assert.match(again.output(), /^\[setup \S+ s\] nothing is missing\n$/);

  assert.deepEqual(describeMachine(), before);
  assert.deepEqual(findMarkedProcesses(), [], "no process of set-up lives on, so none holds a port");
});

test("the packages that are installed bring no service", () => {
  const packages = ["qemu-system-x86", "qemu-system-common", "qemu-system-data", "qemu-utils", "seabios", "ipxe-qemu"];
  const listing = spawnSync("dpkg", ["--listfiles", ...packages], { encoding: "utf8" });
  assert.match(listing.stdout, /\/usr\/bin\/qemu-system-x86_64\n/);
  assert.doesNotMatch(listing.stdout, /\/systemd\/system\/|\/etc\/init\.d\/./);
});

describe("on a machine without QEMU", () => {
  test("BLIXARD_SETUP=manual prints the commands and touches nothing", async () => {
    const { home, env } = createBareMachine();
    const setup = startSetup({ ...env, BLIXARD_SETUP: "manual" }, home);
    assert.equal(await setup.exitCode(), 2, "so that nothing runs after it");
    assert.match(setup.output(), /apt-get .*install --no-install-recommends -y qemu-system-x86 qemu-utils/);
    assert.match(setup.output(), /apt-get download .*etcd-server.*linux-image-cloud-amd64/);
    assert.deepEqual(readdirSync(home).toSorted(), ["package-lock.json", "path", "scripts"]);
  });

  test("without root or sudo it names the command for the owner of the machine", async () => {
    const { home, env } = createBareMachine();
    const isRoot = process.getuid?.() === 0;
    if (isRoot) assert.equal(spawnSync("chown", ["-R", "65534:65534", home]).status, 0);
    const setup = startSetup(env, home, isRoot ? { uid: 65534, gid: 65534 } : {});
    assert.equal(await setup.exitCode(), 2);
    assert.match(setup.output(), /neither root nor sudo.*\n.*apt-get .*install .*qemu-system-x86/);
  });
});

describe("installing QEMU", () => {
  for (const [lists, expected] of [
    ["present", ["install"]],
    ["absent", ["install", "update", "install"]],
  ] as const) {
    test(`with the package lists ${lists}, apt-get is asked to ${expected.join(", ")}`, async () => {
      const { home, env } = createBareMachine();
      const path = join(home, "path");
      // An apt-get that knows packages only once its lists are there, and then "installs" QEMU.
      const commands = `for arg; do case $arg in install | update) what=$arg ;; esac; done
        echo "$what $RUNLEVEL $DEBIAN_FRONTEND" >>"${home}/calls"
        if [ "$what" = update ]; then : >"${home}/lists"; exit 0; fi
        [ -e "${home}/lists" ] || exit 100
        for tool in qemu-system-x86_64 qemu-img; do echo >"${path}/$tool"; /bin/chmod +x "${path}/$tool"; done`;
      writeFileSync(join(path, "apt-get"), `#!/bin/sh\n${commands}\n`, { mode: 0o755 });
      writeFileSync(join(path, "sudo"), '#!/bin/sh\nshift\nexec "$@"\n', { mode: 0o755 });
      if (lists === "present") writeFileSync(join(home, "lists"), "");
      const setup = startSetup({ ...env, BLIXARD_CACHE_DIR: findCacheDir(process.env) }, home);
      assert.equal(await setup.exitCode(), 0, setup.output());
      const calls = readFileSync(join(home, "calls"), "utf8").trim().split("\n");
      assert.deepEqual(
        calls,
        expected.map((what) => `${what} 1 noninteractive`),
      );
    });
  }
});

/** A checkout without dependencies, and a PATH that has what set-up itself runs and no more. */
function createBareMachine(): { home: string; env: Record<string, string> } {
  const home = mkdtempSync(join(tmpdir(), "blixard-bare-"));
  after(() => rmSync(home, { recursive: true, force: true }));
  cpSync(join(repositoryDir, "scripts", "setup"), join(home, "scripts", "setup"), { recursive: true });
  writeFileSync(join(home, "package-lock.json"), '{ "packages": {} }');
  const path = join(home, "path");
  mkdirSync(path);
  for (const command of ["flock", "env"]) {
    const found = (process.env["PATH"] ?? "").split(delimiter).map((folder) => join(folder, command));
    symlinkSync(found.find((file) => existsSync(file)) ?? command, join(path, command));
  }
  return { home, env: { PATH: path, BLIXARD_CACHE_DIR: join(home, "cache") } };
}

interface Setup {
  child: ChildProcess;
  output(): string;
  says(text: string): Promise<void>;
  exitCode(): Promise<number | null>;
}

function startSetup(
  env: Record<string, string>,
  home = repositoryDir,
  identity: { uid?: number; gid?: number } = {},
): Setup {
  const child = spawn(process.execPath, [join(home, "scripts", "setup", "main.mjs")], {
    cwd: home,
    env: { ...process.env, ...env, [MARK]: mark },
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
    ...identity,
  });
  started.add(child);
  const closed = once(child, "close").then(([code]) => code as number | null);
  let output = "";
  let wake = (): void => {};
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text;
      wake();
    });
  }
  return {
    child,
    output: () => output,
    says: async (text) => {
      while (!output.includes(text)) {
        assert.ok(child.exitCode === null && child.signalCode === null, `ended before it said ${text}:\n${output}`);
        const more = new Promise<void>((resolve) => (wake = resolve));
        await Promise.race([more, closed]);
      }
    },
    exitCode: () => closed,
  };
}

/** The child and all it started: it leads a process group of its own. */
function killGroup(child: ChildProcess): void {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
  } catch {
    // all of them have ended
  }
}

/** What set-up must not change: the boot folder, the services, the installed packages. */
function describeMachine(): Record<string, string[]> {
  const folders = ["/boot", "/etc/systemd/system", "/lib/systemd/system", "/etc/init.d", "/etc/apt"];
  const runlevels = ["0", "1", "2", "3", "4", "5", "6", "S"].map((level) => `/etc/rc${level}.d`);
  return {
    files: [...folders, ...runlevels].flatMap(listFolder),
    packages: statePackages(),
  };
}

function listFolder(folder: string): string[] {
  if (!existsSync(folder)) return [];
  const names = readdirSync(folder, { recursive: true, encoding: "utf8" }).map((name) => join(folder, name));
  return names.toSorted().map((file) => {
    const { mode, size, mtimeMs } = lstatSync(file);
    return `${file} ${mode} ${size} ${mtimeMs}`;
  });
}

function statePackages(): string[] {
  const { size, mtimeMs } = statSync("/var/lib/dpkg/status");
  return [`${size} ${mtimeMs}`];
}

/** Every process that inherited our mark, however far it has gone from its parent. */
function findMarkedProcesses(): string[] {
  const found = [];
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      const environment = readFileSync(`/proc/${pid}/environ`, "latin1");
      if (environment.includes(`${MARK}=${mark}`)) found.push(readFileSync(`/proc/${pid}/cmdline`, "latin1"));
    } catch {
      // gone, or of another user
    }
  }
  return found;
}
