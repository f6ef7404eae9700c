/** The QEMU runtime with real guests under a real guardian. Guests are few: each boots for some seconds. */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { mkdir, mkdtemp, readFile, readdir, rm, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import { connectGuardian } from "#guardian/guardian-client.ts";
import { readGuardianState } from "#guardian/state-file.ts";
import type { MaterializedImage } from "#model/image.ts";
import type { TraceContext } from "#model/trace-context.ts";
import type { VmExit, VmSpec } from "#model/vm.ts";
import { findCacheDir, findTool } from "#process/find-tool.ts";
import { isAlive, readIdentity } from "#process/identity.ts";
import { endProcess } from "#process/kill-ladder.ts";
import { guestChannels, planQemuArguments, type QemuPlan } from "#runtime/qemu/qemu-arguments.ts";
import { createQemuRuntime } from "#runtime/qemu/qemu-runtime.ts";
import type { LaunchRequest, Machine, MachineEvent, Runtime, RuntimeCapabilities } from "#runtime/runtime.ts";
import { createSystemClock } from "#telemetry/system-clock.ts";
import { createMemoryTelemetry, type MemoryTelemetry } from "#test/support/memory-telemetry.ts";
import { waitFor } from "#test/support/wait-for.ts";
import { buildDemoImage } from "../../images/demo/build.ts";

const never = new AbortController().signal;
const tools = { path: process.env["PATH"] ?? "", cacheDir: findCacheDir(process.env) };
const trace: TraceContext = { traceId: "1".repeat(32), spanId: "2".repeat(16), sampled: true };

describe("the QEMU runtime", () => {
  let images: string;
  let image: MaterializedImage;
  let root: string;
  let telemetry: MemoryTelemetry;
  let runtimes: Runtime[];

  before(async () => {
    images = await mkdtemp(join(tmpdir(), "blixard-images-"));
    const demo = await buildDemoImage({ cacheDir: tools.cacheDir, outDir: images });
    image = {
      digest: "sha256:demo",
      kernelPath: demo.kernelPath,
      initrdPath: demo.initrdPath,
      disk: undefined,
      commandLine: demo.commandLine,
      guestAgent: true,
    };
  });
  after(() => rm(images, { recursive: true, force: true }));

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), "blixard-qemu-"));
    telemetry = createMemoryTelemetry();
    runtimes = [];
  });
  afterEach(async () => {
    for (const runtime of runtimes) await runtime.stop();
    const state = await readGuardianState(join(root, "data", "guardian"));
    if (state !== undefined) await endProcess(state.identity, { graceMs: 10_000 });
    await rm(root, { recursive: true, force: true });
  });

  async function startRuntime(): Promise<{ runtime: Runtime; capabilities: RuntimeCapabilities }> {
    const runtime = createQemuRuntime({
      dataDir: join(root, "data"),
      runDir: join(root, "run"),
      guardianProgram: { entryPath: join(import.meta.dirname, "../../src/guardian/main.ts") },
      qemuBinary: "qemu-system-x86_64",
      tools,
      accelerator: "auto",
      machine: "auto",
      user: undefined,
      isRoot: process.getuid?.() === 0,
      clock: createSystemClock(),
      telemetry,
    });
    runtimes.push(runtime);
    return { runtime, capabilities: await runtime.start() };
  }

  function request(spec: Partial<VmSpec> = {}, more: Partial<LaunchRequest> = {}): LaunchRequest {
    return {
      vmId: randomUUID(),
      vmName: "web-1",
      instanceId: randomUUID(),
      spec: {
        vcpus: 1,
        memoryBytes: 128 * 1024 * 1024,
        image: "demo",
        commandLine: "",
        network: { kind: "none" },
        disks: [],
        onNodeLoss: "restart",
        acceptDiskLoss: false,
        labels: {},
        restartPolicy: "never",
        bootTimeoutMs: 120_000,
        stopTimeoutMs: 15_000,
        guestAgent: undefined,
        ...spec,
      },
      image,
      trace,
      ...more,
    };
  }

  it("runs a guest from its start to its graceful stop, across a restart of the daemon", async () => {
    const first = await startRuntime();
    assert.match(first.capabilities.hypervisorVersion, /^\d+\.\d+/);
    assert.ok(first.capabilities.acceleratorReason.length > 5);
    const launched = request({
      network: {
        kind: "user",
        ports: [{ hostAddress: "127.0.0.1", hostPort: 0, guestPort: 80, protocol: "tcp" }],
        egress: false,
      },
      disks: [{ name: "scratch", sizeBytes: 64 * 1024 * 1024, kind: "persistent" }],
    });
    const { vmId } = launched;
    const machine = await first.runtime.launch(launched, never);
    await assert.rejects(first.runtime.launch({ ...launched, instanceId: randomUUID() }, never), {
      code: "HYPERVISOR_FAILED",
    });
    await assert.rejects(first.runtime.remove(vmId), { code: "VM_STATE_CONFLICT" });

    // It is ready, and tells of its boot and of the trace it belongs to.
    const events = machine.events[Symbol.asyncIterator]();
    const ready = await next(events);
    assert.ok(ready.kind === "ready" && ready.boot !== undefined);
    assert.equal(ready.source, "guest");
    assert.equal(ready.boot.traceparent, `00-${trace.traceId}-${trace.spanId}-01`);
    assert.deepEqual(Object.keys(ready.boot.marks), ["init", "modules", "network", "agent"]);
    assert.ok(ready.boot.hypervisorStartTimeMs >= machine.startTimeMs);
    assert.ok(ready.boot.receivedTimeMs - ready.boot.hypervisorStartTimeMs >= ready.boot.uptimeSeconds * 1000 - 500);

    await assertConfined(machine, join(root, "data", "vms", vmId));
    await assertPublished(machine);
    assert.deepEqual(
      telemetry.spans.map((span) => span.name).filter((name) => !name.startsWith("node.")),
      ["vm.disks", "vm.network", "guardian.spawn", "qemu.spawn"],
    );

    // Its usage.
    const usage = await machine.usage();
    assert.ok(usage.cpuSeconds.user > 0.2 && usage.memoryResidentBytes > 30e6 && usage.uptimeSeconds > 0.5);
    assert.ok((usage.guestMemory?.totalBytes ?? 0) > 80e6);
    assert.deepEqual(
      usage.disks.map((disk) => disk.name),
      ["scratch"],
    );

    // Paused and resumed.
    await machine.pause();
    assert.equal((await next(events)).kind, "paused");
    await machine.resume();
    assert.equal((await next(events)).kind, "resumed");

    // Its console, and its log.
    const console = await machine.console(never);
    await waitForShell(first.runtime, vmId);
    await console.write(Buffer.from("echo $((6*7))-answer\n"));
    let seen = "";
    for await (const chunk of console.output) {
      seen += Buffer.from(chunk).toString();
      if (seen.includes("42-answer")) break;
    }

    // The daemon goes, another comes.
    await first.runtime.stop();
    const second = await startRuntime();
    const [recovered, ...others] = await second.runtime.recover();
    assert.ok(recovered?.kind === "running");
    assert.deepEqual(others, []);
    const again = recovered.machine;
    assert.deepEqual(
      [again.instanceId, again.pid, again.startTimeMs, again.publishedPorts],
      [machine.instanceId, machine.pid, machine.startTimeMs, machine.publishedPorts],
    );
    const readyAgain = await next(again.events[Symbol.asyncIterator]());
    assert.ok(readyAgain.kind === "ready" && readyAgain.boot?.bootId === ready.boot.bootId);
    assert.ok((await again.usage()).uptimeSeconds > usage.uptimeSeconds);
    assert.ok((await again.usage()).guestMemory !== undefined, "the guest's agent answers the new daemon");

    // The log goes on to the end of the guest for those who follow.
    const following = new AbortController();
    let log = "";
    const followed = (async () => {
      for await (const chunk of second.runtime.readLog(vmId, { follow: true, tailBytes: 0 }, following.signal)) {
        log += Buffer.from(chunk.data).toString();
      }
    })();
    assert.deepEqual(await again.shutdown({ timeoutMs: 60_000, force: false }), { forced: false });
    assert.equal((await exitOf(again)).cause, "shutdown");
    await waitFor("the log", () => log.includes("42-answer") && /reboot: Power down|System halted|power/i.test(log));
    following.abort();
    await followed;
    await assert.rejects(again.usage(), { code: "HYPERVISOR_UNRESPONSIVE" });

    // The end is told until the VM is removed, and then nothing is left.
    const [ended] = await second.runtime.recover();
    assert.ok(ended?.kind === "exited" && ended.exit.cause === "shutdown");
    await second.runtime.remove(vmId);
    await second.runtime.remove(vmId);
    assert.deepEqual(await second.runtime.recover(), []);
    assert.deepEqual(await readdir(join(root, "data", "vms")), []);
    const guardian = await readGuardianState(join(root, "data", "guardian"));
    assert.ok(guardian);
    await second.runtime.stop();
    await waitFor("the end of a guardian without guests", () => !isAlive(guardian.identity));
  });

  it("takes up a guest whose daemon died between its start and its first instruction", async () => {
    const { runtime } = await startRuntime();
    const { vmId, vmName, instanceId } = request();
    const vmDir = join(root, "data", "vms", vmId);
    await mkdir(vmDir, { recursive: true });
    const state = await readGuardianState(join(root, "data", "guardian"));
    assert.ok(state);
    // What a launch sends to the guardian, and then nothing more.
    const plan: QemuPlan = {
      ...{ vmId, vmName, accelerator: "tcg", machineType: "q35", tscKhz: undefined, vcpus: 1 },
      memoryBytes: 128 * 1024 * 1024,
      kernel: { hasInitrd: true, commandLine: image.commandLine },
      ...{ disks: [], network: undefined, traceparent: undefined },
    };
    const guardian = await connectGuardian({ state, onExited: () => {} });
    await guardian.spawn({
      ...{ vmId, instanceId, workingDir: vmDir, logDir: vmDir, channels: guestChannels, companions: [], fenced: false },
      argv: [findTool("qemu-system-x86_64", tools), ...planQemuArguments(plan)],
      files: [image.kernelPath ?? "", image.initrdPath ?? ""],
      metadata: { vmName, expectsAgent: true },
    });
    guardian.close();
    const [recovered] = await runtime.recover();
    assert.ok(recovered?.kind === "running");
    assert.equal((await next(recovered.machine.events[Symbol.asyncIterator]())).kind, "ready");
  });

  it("reports a panic, and a guest that is never ready, by their causes", async () => {
    const { runtime } = await startRuntime();
    const [panicking, silent] = await Promise.all([
      runtime.launch(request({ commandLine: "blixard.workload=panic" }), never),
      runtime.launch(request({ commandLine: "blixard.workload=silent", bootTimeoutMs: 4_000 }), never),
    ]);
    assert.equal((await exitOf(panicking)).cause, "panic");
    const late = await exitOf(silent);
    assert.equal(late.cause, "boot_timeout");
    assert.match(late.detail, /not say that it is ready/);
  });

  it("says that the guardian was lost when it is killed, and launches under the next", async () => {
    const { runtime } = await startRuntime();
    const machine = await runtime.launch(request({ guestAgent: false }), never);
    const ready = await next(machine.events[Symbol.asyncIterator]());
    assert.ok(ready.kind === "ready" && ready.source === "hypervisor");
    const hypervisor = readIdentity(machine.pid ?? 0);
    const state = await readGuardianState(join(root, "data", "guardian"));
    assert.ok(state !== undefined && hypervisor !== undefined);
    process.kill(state.identity.pid, "SIGKILL");
    assert.equal((await exitOf(machine)).cause, "guardian_lost");
    assert.equal(isAlive(hypervisor), false);
    const successor = await runtime.launch(request({ guestAgent: false }), never);
    assert.deepEqual(await successor.shutdown({ timeoutMs: 0, force: true }), { forced: true });
    assert.equal((await exitOf(successor)).cause, "killed");
  });

  it("refuses a taken port and leaves nothing behind", async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const hostPort = (server.address() as AddressInfo).port;
    const { runtime } = await startRuntime();
    const port = { hostAddress: "127.0.0.1", hostPort, guestPort: 80, protocol: "tcp" as const };
    const refused = request({ network: { kind: "user", ports: [port], egress: false } });
    await assert.rejects(runtime.launch(refused, never), { code: "PORT_TAKEN" });
    server.close();
    assert.deepEqual(await runtime.recover(), []);
  });

  it("says why QEMU could not start, and leaves nothing behind", async () => {
    const { runtime } = await startRuntime();
    const broken = join(root, "broken-kernel");
    await writeFile(broken, "not a kernel");
    const refused = request({}, { image: { ...image, kernelPath: broken } });
    await assert.rejects(runtime.launch(refused, never), { code: "HYPERVISOR_FAILED" });
    const missing = request({}, { image: { ...image, kernelPath: join(root, "nothing") } });
    await assert.rejects(runtime.launch(missing, never));
    assert.deepEqual(await runtime.recover(), []);
  });

  it("calls off a launch when it is aborted", async () => {
    const { runtime } = await startRuntime();
    const controller = new AbortController();
    const launching = runtime.launch(request(), controller.signal);
    controller.abort(new Error("no longer wanted"));
    await assert.rejects(launching, { message: "no longer wanted" });
    assert.deepEqual(await runtime.recover(), []);
  });

  it("refuses a bridge that does not exist, in words", async () => {
    const { runtime } = await startRuntime();
    const refused = request({ network: { kind: "bridge", bridge: "no-such-br0", macAddress: undefined } });
    await assert.rejects(runtime.launch(refused, never), { code: "HYPERVISOR_FAILED", message: /bridge/ });
  });

  async function assertConfined(machine: Machine, vmDir: string): Promise<void> {
    const status = await readFile(`/proc/${machine.pid}/status`, "utf8");
    assert.match(status, /NoNewPrivs:\t1\n/);
    assert.match(status, /Seccomp:\t2\n/);
    const disk = await stat(join(vmDir, "guest", "disk-scratch.raw"));
    assert.equal(disk.mode & 0o777, 0o600);
    if (process.getuid?.() !== 0) return;
    assert.match(status, new RegExp(`Uid:\t${disk.uid}\t${disk.uid}\t${disk.uid}\t`));
    assert.ok(disk.uid >= 0x70000000 || disk.uid === 65534);
    assert.match(status, /CapEff:\t0+\n/);
    assert.match(status, /Groups:\t\s*\n/);
    assert.equal((await stat(vmDir)).uid, 0);
    assert.equal((await stat(vmDir)).mode & 0o777, 0o700);
  }

  async function assertPublished(machine: Machine): Promise<void> {
    const [port] = machine.publishedPorts;
    assert.ok(port !== undefined && port.hostPort > 0);
    const answer = await fetch(`http://127.0.0.1:${port.hostPort}/cgi-bin/index.cgi`);
    assert.equal(answer.status, 200);
  }

  async function waitForShell(runtime: Runtime, vmId: string): Promise<void> {
    await waitFor("the shell on the console", async () => {
      let text = "";
      for await (const chunk of runtime.readLog(vmId, { follow: false, tailBytes: 0 }, never)) {
        text += Buffer.from(chunk.data).toString();
      }
      return text.includes("/ # ");
    });
  }
});

async function next(events: AsyncIterator<MachineEvent>): Promise<MachineEvent> {
  const result = await events.next();
  assert.ok(result.done !== true, "the events ended");
  return result.value;
}

async function exitOf(machine: Machine): Promise<VmExit> {
  for await (const event of machine.events) if (event.kind === "exited") return event.exit;
  throw new Error("the events ended without an exit");
}
