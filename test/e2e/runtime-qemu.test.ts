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
import type { MaterializedImage } from "#model/image.ts";
import { findTool } from "#process/find-tool.ts";
import { isAlive, readIdentity } from "#process/identity.ts";
import { guestChannels, planQemuArguments, type QemuPlan } from "#runtime/qemu/qemu-arguments.ts";
import type { Machine } from "#runtime/runtime.ts";
import {
  buildTestImage,
  createQemuScene,
  exitOf,
  isRoot,
  launchRequest,
  never,
  nextEvent,
  type QemuScene,
  runInGuest,
  testTools,
  testTrace,
} from "#test/support/qemu-scene.ts";
import { waitFor } from "#test/support/wait-for.ts";

describe("the QEMU runtime", () => {
  let images: string;
  let image: MaterializedImage;
  let scene: QemuScene;

  before(async () => {
    images = await mkdtemp(join(tmpdir(), "blixard-images-"));
    image = await buildTestImage(images);
  });
  after(() => rm(images, { recursive: true, force: true }));
  beforeEach(async () => {
    scene = await createQemuScene();
  });
  afterEach(() => scene.end());

  it("runs a guest from its start to its graceful stop, across a restart of the daemon", async () => {
    const first = await scene.startRuntime();
    assert.match(first.capabilities.hypervisorVersion, /^\d+\.\d+/);
    assert.ok(first.capabilities.acceleratorReason.length > 5);
    const launched = launchRequest(image, {
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
    const ready = await nextEvent(events);
    assert.ok(ready.kind === "ready" && ready.boot !== undefined);
    assert.equal(ready.source, "guest");
    assert.equal(ready.boot.traceparent, `00-${testTrace.traceId}-${testTrace.spanId}-01`);
    assert.deepEqual(Object.keys(ready.boot.marks), ["init", "modules", "network", "agent"]);
    assert.ok(ready.boot.hypervisorStartTimeMs >= machine.startTimeMs);
    assert.ok(ready.boot.receivedTimeMs - ready.boot.hypervisorStartTimeMs >= ready.boot.uptimeSeconds * 1000 - 500);

    await assertConfined(machine, join(scene.vmsDir, vmId));
    await assertPublished(machine);
    assert.deepEqual(
      scene.telemetry.spans.map((span) => span.name).filter((name) => !name.startsWith("node.")),
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
    assert.equal((await nextEvent(events)).kind, "paused");
    await machine.resume();
    assert.equal((await nextEvent(events)).kind, "resumed");

    // Its console, and its log.
    assert.match(await runInGuest(first.runtime, machine, "echo $((6*7))-answer"), /42-answer/);

    // The daemon goes, another comes.
    await first.runtime.stop();
    const second = await scene.startRuntime();
    const [recovered, ...others] = await second.runtime.recover();
    assert.ok(recovered?.kind === "running");
    assert.deepEqual(others, []);
    const again = recovered.machine;
    assert.deepEqual(
      [again.instanceId, again.pid, again.startTimeMs, again.publishedPorts],
      [machine.instanceId, machine.pid, machine.startTimeMs, machine.publishedPorts],
    );
    const readyAgain = await nextEvent(again.events[Symbol.asyncIterator]());
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
    assert.deepEqual(await readdir(scene.vmsDir), []);
    const guardian = await scene.guardianState();
    assert.ok(guardian);
    await second.runtime.stop();
    await waitFor("the end of a guardian without guests", () => !isAlive(guardian.identity));
  });

  it("takes up a guest whose daemon died between its start and its first instruction", async () => {
    const { runtime } = await scene.startRuntime();
    const { vmId, vmName, instanceId } = launchRequest(image);
    const vmDir = join(scene.vmsDir, vmId);
    await mkdir(vmDir, { recursive: true });
    const state = await scene.guardianState();
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
      argv: [findTool("qemu-system-x86_64", testTools), ...planQemuArguments(plan)],
      files: [image.kernelPath ?? "", image.initrdPath ?? ""],
      metadata: { vmName, expectsAgent: true },
    });
    guardian.close();
    const [recovered] = await runtime.recover();
    assert.ok(recovered?.kind === "running");
    assert.equal((await nextEvent(recovered.machine.events[Symbol.asyncIterator]())).kind, "ready");
  });

  it("reports a panic, and a guest that is never ready, by their causes", async () => {
    const { runtime } = await scene.startRuntime();
    const [panicking, silent] = await Promise.all([
      runtime.launch(launchRequest(image, { commandLine: "blixard.workload=panic" }), never),
      runtime.launch(launchRequest(image, { commandLine: "blixard.workload=silent", bootTimeoutMs: 4_000 }), never),
    ]);
    assert.equal((await exitOf(panicking)).cause, "panic");
    const late = await exitOf(silent);
    assert.equal(late.cause, "boot_timeout");
    assert.match(late.detail, /not say that it is ready/);
  });

  it("stops a guest without an agent by its power button", async () => {
    const { runtime } = await scene.startRuntime();
    const machine = await runtime.launch(launchRequest(image, { guestAgent: false }), never);
    await runInGuest(runtime, machine, "until pidof acpid; do usleep 10000; done");
    assert.deepEqual(await machine.shutdown({ timeoutMs: 60_000, force: false }), { forced: false });
    assert.equal((await exitOf(machine)).cause, "shutdown");
  });

  it("says that the guardian was lost when it is killed, and launches under the next", async () => {
    const { runtime } = await scene.startRuntime();
    const machine = await runtime.launch(launchRequest(image, { guestAgent: false }), never);
    const ready = await nextEvent(machine.events[Symbol.asyncIterator]());
    assert.ok(ready.kind === "ready" && ready.source === "hypervisor");
    const hypervisor = readIdentity(machine.pid ?? 0);
    const state = await scene.guardianState();
    assert.ok(state !== undefined && hypervisor !== undefined);
    process.kill(state.identity.pid, "SIGKILL");
    assert.equal((await exitOf(machine)).cause, "guardian_lost");
    assert.equal(isAlive(hypervisor), false);
    const successor = await runtime.launch(launchRequest(image, { guestAgent: false }), never);
    assert.deepEqual(await successor.shutdown({ timeoutMs: 0, force: true }), { forced: true });
    assert.equal((await exitOf(successor)).cause, "killed");
  });

  it("refuses a taken port and leaves nothing behind", async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const hostPort = (server.address() as AddressInfo).port;
    const { runtime } = await scene.startRuntime();
    const port = { hostAddress: "127.0.0.1", hostPort, guestPort: 80, protocol: "tcp" as const };
    const refused = launchRequest(image, { network: { kind: "user", ports: [port], egress: false } });
    await assert.rejects(runtime.launch(refused, never), { code: "PORT_TAKEN" });
    server.close();
    assert.deepEqual(await runtime.recover(), []);
  });

  it("says why QEMU could not start, and leaves nothing behind", async () => {
    const { runtime } = await scene.startRuntime();
    const broken = join(scene.root, "broken-kernel");
    await writeFile(broken, "not a kernel");
    const refused = launchRequest({ ...image, kernelPath: broken });
    await assert.rejects(runtime.launch(refused, never), { code: "HYPERVISOR_FAILED" });
    const missing = launchRequest({ ...image, kernelPath: join(scene.root, "nothing") });
    await assert.rejects(runtime.launch(missing, never));
    assert.deepEqual(await runtime.recover(), []);
  });

  it("calls off a launch when it is aborted", async () => {
    const { runtime } = await scene.startRuntime();
    const controller = new AbortController();
    const launching = runtime.launch(launchRequest(image), controller.signal);
    controller.abort(new Error("no longer wanted"));
    await assert.rejects(launching, { message: "no longer wanted" });
    assert.deepEqual(await runtime.recover(), []);
  });

  it("refuses a bridge that does not exist, in words", async () => {
    const { runtime } = await scene.startRuntime();
    const refused = launchRequest(image, { network: { kind: "bridge", bridge: "no-such-br0", macAddress: undefined } });
    await assert.rejects(runtime.launch(refused, never), { code: "HYPERVISOR_FAILED", message: /bridge/ });
  });

  async function assertConfined(machine: Machine, vmDir: string): Promise<void> {
    const status = await readFile(`/proc/${machine.pid}/status`, "utf8");
    assert.match(status, /NoNewPrivs:\t1\n/);
    assert.match(status, /Seccomp:\t2\n/);
    const disk = await stat(join(vmDir, "guest", "disk-scratch.raw"));
    assert.equal(disk.mode & 0o777, 0o600);
    if (!isRoot) return;
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
});
