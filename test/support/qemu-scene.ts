/** A QEMU runtime of its own for a test: directories, a guardian, the demo image; `end` leaves nothing behind. */
import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type GuardianState, readGuardianState } from "#guardian/state-file.ts";
import type { MaterializedImage } from "#model/image.ts";
import type { TraceContext } from "#model/trace-context.ts";
import type { VmExit, VmSpec } from "#model/vm.ts";
import { findCacheDir } from "#process/find-tool.ts";
import { endProcess } from "#process/kill-ladder.ts";
import { createQemuRuntime } from "#runtime/qemu/qemu-runtime.ts";
import type { LaunchRequest, Machine, MachineEvent, Runtime, RuntimeCapabilities } from "#runtime/runtime.ts";
import { createSystemClock } from "#telemetry/system-clock.ts";
import { buildDemoImage } from "../../images/demo/build.ts";
import { createMemoryTelemetry, type MemoryTelemetry } from "./memory-telemetry.ts";
import { waitFor } from "./wait-for.ts";

export const testTools = { path: process.env["PATH"] ?? "", cacheDir: findCacheDir(process.env) };
export const testTrace: TraceContext = { traceId: "1".repeat(32), spanId: "2".repeat(16), sampled: true };
export const isRoot = process.getuid?.() === 0;
export const never = new AbortController().signal;

export interface QemuScene {
  readonly root: string;
  readonly vmsDir: string;
  readonly telemetry: MemoryTelemetry;
  /** Another daemon's runtime over the same data. */
  startRuntime(): Promise<{ readonly runtime: Runtime; readonly capabilities: RuntimeCapabilities }>;
  guardianState(): Promise<GuardianState | undefined>;
  end(): Promise<void>;
}

/** @param existing the root of a scene in another process */
export async function createQemuScene(existing?: string): Promise<QemuScene> {
  const root = existing ?? (await mkdtemp(join(tmpdir(), "blixard-qemu-")));
  const telemetry = createMemoryTelemetry();
  const runtimes: Runtime[] = [];
  const guardianState = (): Promise<GuardianState | undefined> => readGuardianState(join(root, "data", "guardian"));
  return {
    root,
    vmsDir: join(root, "data", "vms"),
    telemetry,
    async startRuntime() {
      const runtime = createQemuRuntime({
        dataDir: join(root, "data"),
        runDir: join(root, "run"),
        guardianProgram: { entryPath: join(import.meta.dirname, "../../src/guardian/main.ts") },
        qemuBinary: "qemu-system-x86_64",
        tools: testTools,
        accelerator: "auto",
        machine: "auto",
        user: undefined,
        isRoot,
        clock: createSystemClock(),
        telemetry,
      });
      runtimes.push(runtime);
      return { runtime, capabilities: await runtime.start() };
    },
    guardianState,
    async end() {
      for (const runtime of runtimes) await runtime.stop();
      const state = await guardianState();
      if (state !== undefined) await endProcess(state.identity, { graceMs: 10_000 });
      await rm(root, { recursive: true, force: true });
    },
  };
}

/** The demo image in a folder that exists. */
export async function buildTestImage(outDir: string): Promise<MaterializedImage> {
  const { kernelPath, initrdPath, commandLine } = await buildDemoImage({ cacheDir: testTools.cacheDir, outDir });
  return { digest: "sha256:demo", kernelPath, initrdPath, disk: undefined, commandLine, guestAgent: true };
}

export function launchRequest(
  image: MaterializedImage,
  spec: Partial<VmSpec> = {},
  more: Partial<LaunchRequest> = {},
): LaunchRequest {
  const defaults: VmSpec = {
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
  };
  return {
    vmId: randomUUID(),
    vmName: "web-1",
    instanceId: randomUUID(),
    spec: { ...defaults, ...spec },
    image,
    trace: testTrace,
    ...more,
  };
}

export async function nextEvent(events: AsyncIterator<MachineEvent>): Promise<MachineEvent> {
  const result = await events.next();
  if (result.done === true) throw new Error("the events ended");
  return result.value;
}

export async function exitOf(machine: Machine): Promise<VmExit> {
  for await (const event of machine.events) if (event.kind === "exited") return event.exit;
  throw new Error("the events ended without an exit");
}

export async function logTextOf(runtime: Runtime, vmId: string): Promise<string> {
  const chunks = await Array.fromAsync(runtime.readLog(vmId, { follow: false, tailBytes: 0 }, never));
  return Buffer.concat(chunks.map((chunk) => chunk.data)).toString();
}

/** Types a line at the guest's shell and returns what the console showed until it was done. */
export async function runInGuest(runtime: Runtime, machine: Machine, line: string): Promise<string> {
  await waitFor("the shell on the console", async () => (await logTextOf(runtime, machine.vmId)).includes("/ # "));
  await using console = await machine.console(AbortSignal.timeout(30_000));
  await console.write(Buffer.from(`${line}; echo E''ND\n`));
  let seen = "";
  for await (const chunk of console.output) {
    seen += Buffer.from(chunk).toString();
    if (seen.includes("END")) return seen;
  }
  throw new Error(`the console ended: ${seen}`);
}
