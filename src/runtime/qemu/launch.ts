/**
 * Brings one VM up: disks, network, the guardian's child, the monitor's answer.
 * Either the machine runs when it is done, or nothing of it does.
 */
import type { GuardianClient } from "#guardian/guardian-client.ts";
import type { GuestCommand, GuestReport } from "#guardian/protocol.ts";
import { vmPhaseDuration } from "#gen/telemetry/metrics.ts";
import { guardianSpawn, qemuSpawn, vmDisks, vmNetwork } from "#gen/telemetry/spans.ts";
import type { Clock } from "#model/clock.ts";
import { BlixardError, toBlixardError, withContext } from "#model/errors.ts";
import { formatTraceparent } from "#model/trace-context.ts";
import type { FindToolOptions } from "#process/find-tool.ts";
import { findTool } from "#process/find-tool.ts";
import type { Telemetry } from "#telemetry/port.ts";
import type { LaunchRequest, RuntimeCapabilities } from "../runtime.ts";
import type { Confinement } from "./confinement.ts";
import type { InstanceNote } from "./instance-note.ts";
import { guestChannels, machineTypeFor, planOpenedFiles, planQemuArguments, type QemuDisk } from "./qemu-arguments.ts";
import type { QemuPlan } from "./qemu-arguments.ts";
import type { QemuMachine } from "./qemu-machine.ts";
import { planStartError } from "./start-error.ts";
import type { VmDirectory } from "./vm-directory.ts";
import { ensureDisks } from "./vm-disks.ts";
import { ensureNetwork, removeTap, type VmNetworkPlan } from "./vm-network.ts";

export interface LaunchHost {
  readonly capabilities: RuntimeCapabilities & { readonly accelerator: "kvm" | "tcg" };
  readonly machineType: "q35" | "microvm";
  readonly tscKhz: number | undefined;
  readonly qemuPath: string;
  readonly tools: FindToolOptions;
  readonly isRoot: boolean;
  readonly confinement: Confinement;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  readonly client: () => Promise<GuardianClient>;
  /** The machine of what the guardian has started, registered for its reports. */
  readonly adopt: (report: GuestReport, note: InstanceNote) => QemuMachine;
}

// A chosen port may be taken by somebody else before QEMU opens it.
const PORT_ATTEMPTS = 3;

/** @throws BlixardError HYPERVISOR_FAILED, DISK_FULL, PORT_TAKEN, TOOL_MISSING, GUARDIAN_UNAVAILABLE; the signal's reason */
export async function launchVm(
  request: LaunchRequest,
  directory: VmDirectory,
  host: LaunchHost,
  signal: AbortSignal,
): Promise<QemuMachine> {
  const disks = await timePhase("disks", host, () => makeDisks(request, directory, host, signal));
  for (let attempt = 1; ; attempt++) {
    signal.throwIfAborted();
    const network = await timePhase("network", host, () => makeNetwork(request, host));
    try {
      const parts = { disks, network };
      return await timePhase("vmm_spawn", host, () => startMachine(request, directory, host, parts, signal));
    } catch (error) {
      if (network.tapName !== undefined) await removeTap(network.tapName, host.tools).catch(() => undefined);
      const mayTryAgain = hasChosenPort(request) && toBlixardError(error).code === "PORT_TAKEN";
      if (!mayTryAgain || attempt === PORT_ATTEMPTS) throw error;
    }
  }
}

async function timePhase<T>(
  phase: "disks" | "network" | "vmm_spawn",
  { clock, telemetry }: LaunchHost,
  run: () => Promise<T>,
): Promise<T> {
  const startMs = clock.monotonicMs();
  const record = (failure: { "error.type"?: string }): void =>
    telemetry.metrics
      .bind(vmPhaseDuration, { "blixard.vm.phase": phase, ...failure })
      .record((clock.monotonicMs() - startMs) / 1000);
  try {
    const result = await run();
    record({});
    return result;
  } catch (error) {
    record({ "error.type": toBlixardError(error).code });
    throw error;
  }
}

function hasChosenPort({ spec: { network } }: LaunchRequest): boolean {
  return network.kind === "user" && network.ports.some((port) => port.hostPort === 0);
}

async function makeDisks(
  request: LaunchRequest,
  directory: VmDirectory,
  host: LaunchHost,
  signal: AbortSignal,
): Promise<readonly QemuDisk[]> {
  const { vmId, image, spec } = request;
  const ensure = (): Promise<readonly QemuDisk[]> =>
    ensureDisks({
      dir: directory.guest,
      image,
      disks: spec.disks,
      user: host.confinement.userOf(vmId),
      findQemuImg: () => findTool("qemu-img", host.tools),
      signal,
    });
  const count = spec.disks.length + (image.disk === undefined ? 0 : 1);
  if (count === 0) return ensure();
  const attributes = { ...identify(request), "blixard.vm.disk_count": count };
  return host.telemetry.tracing.span(vmDisks, { attributes }, ensure);
}

async function makeNetwork(request: LaunchRequest, host: LaunchHost): Promise<VmNetworkPlan> {
  const { vmId, spec } = request;
  const ensure = (): Promise<VmNetworkPlan> =>
    ensureNetwork({
      vmId,
      spec: spec.network,
      tools: host.tools,
      isRoot: host.isRoot,
      user: host.confinement.userOf(vmId),
    });
  if (spec.network.kind === "none") return ensure();
  const attributes = { ...identify(request), "blixard.vm.network_kind": spec.network.kind };
  return host.telemetry.tracing.span(vmNetwork, { attributes }, async (span) => {
    const plan = await ensure();
    const ports = plan.publishedPorts.map(
      ({ hostAddress, hostPort, guestPort, protocol }) => `${hostAddress}:${hostPort}:${guestPort}/${protocol}`,
    );
    if (ports.length > 0) span.setAttributes({ "blixard.vm.published_ports": ports.join(",") });
    return plan;
  });
}

interface MadeParts {
  readonly disks: readonly QemuDisk[];
  readonly network: VmNetworkPlan;
}

async function startMachine(
  request: LaunchRequest,
  directory: VmDirectory,
  host: LaunchHost,
  parts: MadeParts,
  signal: AbortSignal,
): Promise<QemuMachine> {
  const { tracing } = host.telemetry;
  const note = planNote(request, parts);
  const command = planCommand(request, directory, host, parts, note);
  const { client, report } = await tracing.span(guardianSpawn, { attributes: {} }, async (span) => {
    const guardian = await host.client();
    span.setAttributes({ "process.pid": guardian.hello.identity.pid, "blixard.guardian.adopted": true });
    return { client: guardian, report: await spawnOrEnd(guardian, command, host) };
  });
  const machine = host.adopt(report, note);
  try {
    const attributes = { ...identify(request), ...describe(request, host, command), "process.pid": machine.pid };
    await tracing.span(qemuSpawn, { attributes }, () => connectOrFail(machine, client, signal));
    await machine.begin();
    return machine;
  } catch (error) {
    await machine
      .abandon()
      .catch((failure: unknown) =>
        host.telemetry.logger.error("a guest that did not start could not be ended", identify(request), failure),
      );
    await client.acknowledge(request.instanceId).catch(() => undefined);
    signal.throwIfAborted();
    throw withContext(error, `cannot start ${request.vmName}`);
  }
}

/** Without a reply nobody knows whether it runs: it must not. */
async function spawnOrEnd(client: GuardianClient, command: GuestCommand, host: LaunchHost): Promise<GuestReport> {
  try {
    return await client.spawn(command);
  } catch (error) {
    if (toBlixardError(error).code === "GUARDIAN_UNAVAILABLE") {
      const next = await host.client();
      await next.kill(command.instanceId, { reason: "start_failed", graceMs: 0 });
    }
    throw error;
  }
}

/** QEMU's monitor answers, or it has ended and its last words say why. */
async function connectOrFail(machine: QemuMachine, client: GuardianClient, signal: AbortSignal): Promise<void> {
  const aborted = Promise.withResolvers<never>();
  const abort = (): void => aborted.reject(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  if (signal.aborted) abort();
  const failed = machine.ended.then((exit) => {
    throw planStartError(exit, machine.publishedPorts);
  });
  try {
    await Promise.race([failed, aborted.promise, connectOrAwaitEnd(machine, client, failed)]);
  } finally {
    signal.removeEventListener("abort", abort);
    failed.catch(() => undefined);
    aborted.promise.catch(() => undefined);
  }
}

/** A channel that breaks means that QEMU ends; the report of that, which says more, follows. */
async function connectOrAwaitEnd(machine: QemuMachine, client: GuardianClient, failed: Promise<never>): Promise<void> {
  try {
    await machine.connect(client);
  } catch (error) {
    const code = toBlixardError(error).code;
    const isEnding = code === "GUEST_CHANNEL_UNAVAILABLE" || code === "HYPERVISOR_UNRESPONSIVE";
    if (!isEnding) throw error;
    const late = new Promise<never>((_, reject) =>
      setTimeout(() => reject(toBlixardError(error)), END_WAIT_MS).unref(),
    );
    await Promise.race([failed, late]);
  }
}

const END_WAIT_MS = 3_000;

function planNote(request: LaunchRequest, { disks, network }: MadeParts): InstanceNote {
  const { spec, image, vmName } = request;
  return {
    version: 1,
    vmName,
    bootTimeoutMs: spec.bootTimeoutMs,
    expectsAgent: spec.guestAgent ?? image.guestAgent,
    publishedPorts: network.publishedPorts,
    disks: disks.map((disk) => disk.name),
    tapName: network.tapName,
  };
}

function planCommand(
  request: LaunchRequest,
  directory: VmDirectory,
  host: LaunchHost,
  { disks, network }: MadeParts,
  note: InstanceNote,
): GuestCommand {
  const { vmId, vmName, instanceId, spec, image, trace } = request;
  if (image.kernelPath === undefined && image.disk === undefined) {
    throw new BlixardError("IMAGE_INVALID", `image ${spec.image} has neither a kernel nor a disk`);
  }
  const hasKernel = image.kernelPath !== undefined;
  const commandLine = [image.commandLine, spec.commandLine].join(" ");
  const plan: QemuPlan = {
    vmId,
    vmName,
    accelerator: host.capabilities.accelerator,
    machineType: machineTypeFor(host.machineType, { hasKernel }),
    tscKhz: host.tscKhz,
    vcpus: spec.vcpus,
    memoryBytes: spec.memoryBytes,
    kernel: hasKernel ? { hasInitrd: image.initrdPath !== undefined, commandLine } : undefined,
    disks,
    network: network.network,
    traceparent: trace === undefined ? undefined : formatTraceparent(trace),
    baggage: trace?.baggage,
  };
  const paths = { kernel: image.kernelPath, initrd: image.initrdPath, disk: image.disk?.path };
  const wrapper = host.confinement.wrapperFor(vmId, { needsHostNetwork: network.needsHostNetwork });
  return {
    vmId,
    instanceId,
    argv: [...wrapper, host.qemuPath, ...planQemuArguments(plan)],
    workingDir: directory.guest,
    logDir: directory.root,
    channels: guestChannels,
    companions: network.companion === undefined ? [] : [{ argv: network.companion }],
    files: planOpenedFiles(plan).flatMap((file) => paths[file] ?? []),
    fenced: spec.onNodeLoss === "restart",
    metadata: note,
  };
}

function identify({ vmId, vmName }: LaunchRequest): { "blixard.vm.id": string; "blixard.vm.name": string } {
  return { "blixard.vm.id": vmId, "blixard.vm.name": vmName };
}

function describe({ instanceId, spec }: LaunchRequest, { capabilities }: LaunchHost, { argv }: GuestCommand) {
  const machine = argv[argv.indexOf("-machine") + 1];
  return {
    "blixard.vm.instance_id": instanceId,
    "blixard.vm.vcpu_count": spec.vcpus,
    "blixard.vm.memory_size": spec.memoryBytes,
    "blixard.runtime.driver": "qemu",
    "blixard.runtime.accelerator": capabilities.accelerator,
    "blixard.runtime.machine_type": machine?.split(",")[0],
    "blixard.runtime.hypervisor_version": capabilities.hypervisorVersion,
  } as const;
}
