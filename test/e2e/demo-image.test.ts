// The demo image as a real guest under QEMU without KVM: what it promises on both machine types.

import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { type Socket, connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, describe, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { buildDemoImage, type DemoImage } from "../../images/demo/build.ts";
import { findCacheDir } from "../../scripts/setup/cache-dir.mjs";

const TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const DEADLINE_MS = 60_000;
const POLL_MS = 10;

type Message = Record<string, unknown>;

const workDir = mkdtempSync(join(tmpdir(), "blixard-demo-"));
const guests = new Set<Guest>();
let image: DemoImage;

before(async () => {
  image = await buildDemoImage({ cacheDir: findCacheDir(process.env), outDir: join(workDir, "image") });
});

after(async () => {
  await Promise.all([...guests].map((guest) => guest.kill()));
  rmSync(workDir, { recursive: true, force: true });
});

for (const machine of ["q35", "microvm"] as const) {
  describe(`a demo guest on ${machine}`, () => {
    test("says that it is ready, answers, serves a page and powers off", async (t) => {
      const guest = await startGuest({ machine });
      if (guest === undefined) return t.diagnostic("not run: the TSC frequency is not in the kernel log");
      const channel = await guest.openChannel();

      const ready = await channel.next("ready");
      assert.equal(ready["protocol"], 1);
      assert.match(String(ready["bootId"]), /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
      assert.equal(ready["traceparent"], TRACEPARENT);
      assert.equal(ready["baggage"], "user=alice,team=a%2Cb;p=1");
      const { init, modules, network, agent } = ready["marks"] as Record<string, number>;
      const order = [0, init, modules, network, agent, ready["uptimeSeconds"]] as number[];
      assert.deepEqual(
        order,
        order.toSorted((a, b) => a - b),
      );

      const pong = await channel.ask({ type: "ping", id: "p-1" });
      assert.equal(pong["type"], "pong");
      assert.ok(Number(pong["uptimeSeconds"]) >= Number(ready["uptimeSeconds"]));

      const stats = await channel.ask({ type: "stats", id: "s-1" });
      const total = Number(stats["memoryTotalBytes"]);
      assert.ok(total > 200 * 2 ** 20 && total < 256 * 2 ** 20, `total ${total}`);
      assert.ok(Number(stats["memoryAvailableBytes"]) > 0 && Number(stats["memoryAvailableBytes"]) < total);

      const page = await fetch(`http://127.0.0.1:${await guest.publishedPort()}/`);
      assert.match(await page.text(), /web-1.*up for \d+\.\d+ seconds/s);

      const bye = await channel.ask({ type: "poweroff", id: "o-1" });
      assert.equal(bye["type"], "bye");
      assert.equal(await guest.exitCode(), 0);
    });
  });
}

describe("the guest channel", () => {
  test("outlives its host: a new connection is greeted with the same boot and a greater uptime", async () => {
    const guest = await startQ35();
    const first = await guest.openChannel();
    const before = await first.next("ready");
    await first.close();

    const second = await guest.openChannel();
    second.send('{"type":"hello"}');
    const after = await second.next("ready");
    assert.equal(after["bootId"], before["bootId"]);
    assert.ok(Number(after["uptimeSeconds"]) >= Number(before["uptimeSeconds"]));
    await guest.kill();
  });

  test("refuses what it does not understand and goes on", async () => {
    const guest = await startQ35();
    const channel = await guest.openChannel();
    await channel.next("ready");
    const refused: [line: string, id: string][] = [
      ['{"type":"sh","id":"1","command":"reboot"}', "1"],
      ['{"id":"2"}', "2"],
      ['{"type":"ping","id":"a\\"b"}', ""],
      ['{"type":"poweroff$(reboot)","id":"`reboot`"}', ""],
      ['{"type":"ping', ""],
      ["not json", ""],
      [`{"type":"ping","id":"3","padding":"${"x".repeat(5000)}"}`, ""],
      ['{"type":null,"id":"4"}', "4"],
    ];
    for (const [line, id] of refused) {
      channel.send(line);
      const answer = await channel.next();
      assert.equal(answer["type"], "error", line);
      assert.equal(answer["id"], id, line);
    }
    const spaced = await channel.ask('{ "id" : "5" , "type" : "ping" }');
    assert.equal(spaced["type"], "pong");
    assert.equal(spaced["id"], "5");
    await guest.kill();
  });
});

describe("the switches on the kernel command line", () => {
  test("crash: the guest says ready, then panics, and the machine ends", async () => {
    const guest = await startQ35("blixard.workload=crash");
    const channel = await guest.openChannel();
    await channel.next("ready");
    await guest.sawEvent("GUEST_PANICKED");
    await guest.exitCode();
  });

  test("panic: the guest panics before it is ready", async () => {
    const guest = await startQ35("blixard.workload=panic");
    await guest.openChannel();
    await guest.sawEvent("GUEST_PANICKED");
    await guest.exitCode();
    assert.equal(guest.heardFromAgent(), false);
  });

  test("exit: the guest powers itself off", async () => {
    const guest = await startQ35("blixard.workload=exit:1");
    assert.equal(await guest.exitCode(), 0);
  });

  test("flood: the serial console never falls silent", async () => {
    const guest = await startQ35("blixard.workload=flood");
    const channel = await guest.openChannel();
    await channel.next("ready");
    await until("a serial log of 256 KiB", () => guest.serialLog().length > 256 * 1024);
    assert.equal((await channel.ask({ type: "ping", id: "alive" }))["type"], "pong");
    await guest.kill();
  });

  test("silent: the guest boots and never reports", async () => {
    const guest = await startQ35("blixard.workload=silent");
    await guest.openChannel();
    await guest.reachesShell();
    assert.equal(guest.heardFromAgent(), false);
    await guest.kill();
  });
});

test("dhcp: the guest takes the address that the network offers", async () => {
  const guest = await startQ35("blixard.network=dhcp");
  const channel = await guest.openChannel();
  await channel.next("ready");
  const page = await fetch(`http://127.0.0.1:${await guest.publishedPort()}/`);
  assert.equal(page.status, 200);
  await guest.kill();
});

test("the power button of the machine powers the guest off", async () => {
  const guest = await startQ35();
  await guest.reachesShell();
  await until("the button works", async () => {
    if (guest.hasExited()) return true;
    // The machine may end before it has answered.
    await guest.qmp("system_powerdown").catch(() => undefined);
    return guest.hasExited();
  });
  assert.equal(await guest.exitCode(), 0);
});

test("a guest without network or agent port boots to the shell on its serial console", async () => {
  const guest = await startQ35("", { devices: false });
  await guest.reachesShell();
  await guest.kill();
});

// --- a small driver for one QEMU process ---

interface GuestOptions {
  machine: "q35" | "microvm";
  cmdline?: string;
  devices?: boolean;
}

async function startQ35(cmdline = "", options: { devices?: boolean } = {}): Promise<Guest> {
  const guest = await startGuest({ machine: "q35", cmdline, ...options });
  assert.ok(guest);
  return guest;
}

/** Nothing on a microvm whose host hides its TSC frequency: such a guest hangs at random. */
async function startGuest({ machine, cmdline = "", devices = true }: GuestOptions): Promise<Guest | undefined> {
  const tscKhz = machine === "microvm" ? readTscKhz() : undefined;
  if (machine === "microvm" && tscKhz === undefined) return undefined;
  const dir = mkdtempSync(join(workDir, "guest-"));
  const bus = machine === "microvm" ? "device" : "pci";
  const words = [image.commandLine, cmdline, ...(tscKhz === undefined ? [] : [`tsc_early_khz=${tscKhz}`])];
  const child = spawn(
    "qemu-system-x86_64",
    [
      ["-M", machine, "-accel", "tcg", "-cpu", "qemu64", "-smp", "1", "-m", "256M"],
      ["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"],
      ["-global", "virtio-mmio.force-legacy=false"],
      ["-kernel", image.kernelPath, "-initrd", image.initrdPath, "-append", words.join(" ")],
      ["-qmp", `unix:${join(dir, "qmp")},server=on,wait=off`],
      ["-chardev", `socket,id=serial,path=${join(dir, "serial")},server=on,wait=off,logfile=${join(dir, "log")}`],
      ["-serial", "chardev:serial"],
      machine === "q35" ? ["-device", "pvpanic-pci"] : [],
      devices
        ? [
            ["-device", `virtio-serial-${bus}`],
            ["-chardev", `socket,id=agent,path=${join(dir, "agent")},server=on,wait=off`],
            ["-device", "virtserialport,chardev=agent,name=org.blixard.agent"],
            [
              "-netdev",
              "user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:0-:80",
              "-device",
              `virtio-net-${bus},netdev=net`,
            ],
            ["-device", `virtio-rng-${bus}`, "-device", `virtio-balloon-${bus}`],
            ["-fw_cfg", `name=opt/org.blixard/traceparent,string=${TRACEPARENT}`],
            ["-fw_cfg", "name=opt/org.blixard/name,string=web-1"],
            ["-fw_cfg", "name=opt/org.blixard/baggage,string=user=alice,,team=a%2Cb;p=1"],
          ].flat()
        : [],
    ].flat(),
    { stdio: ["ignore", "inherit", "inherit"] },
  );
  const guest = new Guest(child, dir);
  guests.add(guest);
  await guest.connectMonitor();
  return guest;
}

class Guest {
  readonly #child: ChildProcess;
  readonly #dir: string;
  readonly #exit: Promise<number | null>;
  readonly #events: string[] = [];
  #monitor: LineSocket | undefined;
  #heard = false;

  constructor(child: ChildProcess, dir: string) {
    this.#child = child;
    this.#dir = dir;
    this.#exit = once(child, "exit").then(([code]) => code as number | null);
  }

  async connectMonitor(): Promise<void> {
    this.#monitor = await this.#connect("qmp");
    await this.#monitor.next();
    await this.qmp("qmp_capabilities");
  }

  async qmp(command: string, args: Message = {}): Promise<unknown> {
    const monitor = this.#monitor;
    assert.ok(monitor);
    monitor.send(JSON.stringify({ execute: command, arguments: args }));
    for (;;) {
      const message = await monitor.next();
      if ("return" in message) return message["return"];
      if ("event" in message) this.#events.push(String(message["event"]));
      else throw new Error(JSON.stringify(message));
    }
  }

  async sawEvent(name: string): Promise<void> {
    const monitor = this.#monitor;
    while (!this.#events.includes(name)) {
      const message = await monitor?.next();
      if (message !== undefined && "event" in message) this.#events.push(String(message["event"]));
    }
  }

  async openChannel(): Promise<LineSocket> {
    const channel = await this.#connect("agent");
    channel.onLine(() => (this.#heard = true));
    return channel;
  }

  heardFromAgent(): boolean {
    return this.#heard;
  }

  async publishedPort(): Promise<number> {
    const text = await this.qmp("human-monitor-command", { "command-line": "info usernet" });
    const port = /HOST_FORWARD\]\s+\d+\s+127\.0\.0\.1\s+(\d+)/.exec(String(text))?.[1];
    assert.ok(port, String(text));
    return Number(port);
  }

  serialLog(): string {
    return existsSync(join(this.#dir, "log")) ? readFileSync(join(this.#dir, "log"), "latin1") : "";
  }

  /** Types into the serial console until the shell computes something for us. */
  async reachesShell(): Promise<void> {
    const console = connect(join(this.#dir, "serial"));
    console.resume();
    await until("a shell on the serial console", () => {
      console.write("echo answer-$((6*7))\n");
      return this.serialLog().includes("answer-42");
    });
    console.destroy();
  }

  hasExited(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  async exitCode(): Promise<number | null> {
    await until("the machine has ended", () => this.hasExited());
    return this.#exit;
  }

  async kill(): Promise<void> {
    this.#monitor?.destroy();
    if (!this.hasExited()) this.#child.kill("SIGKILL");
    await this.#exit;
    guests.delete(this);
  }

  async #connect(name: string): Promise<LineSocket> {
    const path = join(this.#dir, name);
    await until(`the socket ${name}`, () => {
      if (this.hasExited()) throw new Error(`QEMU ended with ${this.#child.exitCode}`);
      return existsSync(path);
    });
    const socket = connect(path);
    await once(socket, "connect");
    return new LineSocket(socket);
  }
}

/** One JSON object a line, both ways. */
class LineSocket {
  readonly #socket: Socket;
  readonly #lines: Message[] = [];
  readonly #listeners: (() => void)[] = [];

  constructor(socket: Socket) {
    this.#socket = socket;
    // The machine may end at any time; whoever waits for a line is told in next().
    socket.on("error", () => {});
    const lines = createInterface({ input: socket });
    lines.on("error", () => {});
    lines.on("line", (line) => {
      this.#lines.push(JSON.parse(line));
      for (const listener of this.#listeners) listener();
    });
  }

  onLine(listener: () => void): void {
    this.#listeners.push(listener);
  }

  send(line: string): void {
    this.#socket.write(`${line}\n`);
  }

  /** The next message, or the next of one type. */
  async next(type?: string): Promise<Message> {
    let found: Message | undefined;
    await until(`a message ${type ?? ""}`, () => {
      while (found === undefined && this.#lines.length > 0) {
        const message = this.#lines.shift();
        if (type === undefined || message?.["type"] === type) found = message;
      }
      if (found === undefined && this.#socket.destroyed) throw new Error("the machine closed its socket");
      return found !== undefined;
    });
    assert.ok(found);
    return found;
  }

  async ask(request: Message | string): Promise<Message> {
    this.send(typeof request === "string" ? request : JSON.stringify(request));
    const id = (typeof request === "string" ? (JSON.parse(request) as Message) : request)["id"];
    const answer = await this.next();
    assert.equal(answer["id"], id);
    return answer;
  }

  async close(): Promise<void> {
    this.#socket.destroy();
    await once(this.#socket, "close");
  }

  destroy(): void {
    this.#socket.destroy();
  }
}

async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + DEADLINE_MS;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`waited in vain for ${what}`);
    await pause(POLL_MS);
  }
}

function readTscKhz(): number | undefined {
  const log = spawnSync("dmesg", { encoding: "utf8" }).stdout ?? "";
  const mhz = /tsc: (?:Refined TSC clocksource calibration|Detected):? ([0-9.]+) MHz/.exec(log)?.[1];
  return mhz === undefined ? undefined : Math.round(Number(mhz) * 1000);
}
