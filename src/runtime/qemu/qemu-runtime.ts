/**
 * The Runtime port over QEMU: real guests, held by the guardian so that they
 * outlive this daemon.
 *
 * The composition root makes it; the agent drives it. It keeps no list of what
 * runs: the guardian is the authority, and every machine here follows a report
 * of it. Files of a VM are below `<data>/vms/<id>`; an end stays with the
 * guardian until the VM's next launch or its removal, so `recover` tells it
 * again after every restart of the daemon.
 *
 *   start:   tools → probe → guardian
 *   launch:  disks → network → guardian spawns QEMU → its monitor answers → the processors run
 *   recover: the guardian's list → machines, ends
 *   stop:    lets go; guests run on; a guardian without guests ends
 */
import { chmod, mkdir, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { ensureGuardian, type GuardianProgram } from "#guardian/ensure-guardian.ts";
import type { GuardianClient } from "#guardian/guardian-client.ts";
import type { GuestExit, GuestReport } from "#guardian/protocol.ts";
import { nodeStartGuardian } from "#gen/telemetry/spans.ts";
import type { Clock } from "#model/clock.ts";
import { BlixardError } from "#model/errors.ts";
import { findTool, type FindToolOptions } from "#process/find-tool.ts";
import { readIdentity } from "#process/identity.ts";
import type { Telemetry } from "#telemetry/port.ts";
import type { RecoveredMachine, Runtime } from "../runtime.ts";
import { probeAccelerator } from "./accelerator-probe.ts";
import { createConfinement } from "./confinement.ts";
import { planVmExit } from "./exit-cause.ts";
import { createGuardianLink } from "./guardian-link.ts";
import { planMachineType, readHostTscKhz } from "./host-tsc.ts";
import { type InstanceNote, parseInstanceNote } from "./instance-note.ts";
import { type LaunchHost, launchVm } from "./launch.ts";
import { createQemuMachine, type QemuMachine } from "./qemu-machine.ts";
import { readQemuVersion } from "./qemu-version.ts";
import { readReadiness } from "./readiness-file.ts";
import { vmDirectoryOf } from "./vm-directory.ts";
import { readVmLog } from "./vm-log.ts";
import { removeTap } from "./vm-network.ts";

export interface QemuRuntimeOptions {
  /** VMs go to `vms/` in it, what the guardian keeps to `guardian/`. Must be locked by the caller. */
  readonly dataDir: string;
  /** Sockets; short, see `MAXIMUM_SOCKET_PATH_BYTES`. Those who run guests must be able to enter it. */
  readonly runDir: string;
  /** undefined: the guardian is run as a service; it is waited for, and never started from here. */
  readonly guardianProgram: GuardianProgram | undefined;
  /** How long a guardian stays that nobody needs; default 60 s. */
  readonly guardianIdleTimeoutMs?: number;
  /** Name or absolute path. */
  readonly qemuBinary: string;
  readonly tools: FindToolOptions;
  readonly accelerator: "auto" | "kvm" | "tcg";
  readonly machine: "auto" | "q35" | "microvm";
  /** One user for all guests; default: one of its own for each VM. Only as root. */
  readonly user: string | undefined;
  readonly isRoot: boolean;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
}

/** An end that the guardian still keeps. */
interface KeptEnd {
  readonly vmId: string;
  readonly note: InstanceNote;
}

export function createQemuRuntime(options: QemuRuntimeOptions): Runtime {
  const { clock, telemetry, tools, isRoot } = options;
  // The guardian has another working directory.
  const dataDir = resolve(options.dataDir);
  const runDir = resolve(options.runDir);
  const vmsDir = join(dataDir, "vms");
  const machines = new Map<string, QemuMachine>();
  const keptEnds = new Map<string, KeptEnd>();
  const launching = new Set<string>();
  /** Reported while the launch has not seen the guardian's reply yet. */
  const earlyEnds = new Map<string, GuestExit>();
  const tapRemovals = new Map<string, Promise<void>>();
  const session = sessionName();
  let host: LaunchHost | undefined;

  const link = createGuardianLink({
    ensure: (onExited) =>
      ensureGuardian({
        stateDir: join(dataDir, "guardian"),
        socketPath: join(runDir, "guardian.sock"),
        program: options.guardianProgram,
        onExited,
        ...(options.guardianIdleTimeoutMs === undefined ? {} : { idleTimeoutMs: options.guardianIdleTimeoutMs }),
      }),
    onExited: (report) => {
      if (report.exit === undefined) return;
      if (launching.has(report.vmId)) earlyEnds.set(report.instanceId, report.exit);
      endMachine(report.instanceId, report.exit);
    },
    onReconnected,
    clock,
    telemetry,
  });

  // --- Machines and their ends

  function adopt(report: GuestReport, note: InstanceNote): QemuMachine {
    const directory = vmDirectoryOf(vmsDir, report.vmId);
    const machine = createQemuMachine({
      report,
      note,
      logDir: directory.root,
      readinessPath: directory.readiness,
      client: link.client,
      session,
      clock,
      telemetry,
    });
    machines.set(report.instanceId, machine);
    const exit = report.exit ?? earlyEnds.get(report.instanceId);
    if (exit !== undefined) endMachine(report.instanceId, exit);
    return machine;
  }

  function endMachine(instanceId: string, exit: GuestExit): void {
    const machine = machines.get(instanceId);
    if (machine === undefined) return;
    machines.delete(instanceId);
    keepEnd(instanceId, { vmId: machine.vmId, note: machine.note });
    machine.end(exit);
  }

  function keepEnd(instanceId: string, end: KeptEnd): void {
    keptEnds.set(instanceId, end);
    const { tapName } = end.note;
    if (tapName === undefined) return;
    const removal = removeTap(tapName, tools).catch((error: unknown) =>
      telemetry.logger.warn("a tap interface could not be removed", { "blixard.vm.id": end.vmId }, error),
    );
    tapRemovals.set(end.vmId, removal);
  }

  /** The same guardian again, or another one that found what became of the guests of the last. */
  function onReconnected(client: GuardianClient, reports: readonly GuestReport[]): void {
    const known = new Map(reports.map((report) => [report.instanceId, report]));
    for (const machine of machines.values()) {
      const report = known.get(machine.instanceId);
      if (report === undefined) endMachine(machine.instanceId, lostExit(clock.now()));
      else if (report.exit !== undefined) endMachine(machine.instanceId, report.exit);
      else reconnectMachine(machine, client);
    }
    for (const report of reports) {
      // Of a launch that failed because the connection broke: nobody waits for it.
      const isUnknown = report.exit === undefined && !machines.has(report.instanceId);
      if (isUnknown && !launching.has(report.vmId)) void endUnknown(report, client);
    }
  }

  async function endUnknown({ vmId, instanceId }: GuestReport, client: GuardianClient): Promise<void> {
    telemetry.logger.warn("a guest of a launch that failed is ended", { "blixard.vm.id": vmId });
    await client.kill(instanceId, { reason: "start_failed", graceMs: 0 }).catch(() => undefined);
  }

  function reconnectMachine(machine: QemuMachine, client: GuardianClient): void {
    machine
      .connect(client)
      .catch((error: unknown) =>
        telemetry.logger.error("a guest's monitor does not answer", { "blixard.vm.id": machine.vmId }, error),
      );
  }

  /** The VM begins anew or is gone: what ended before is known by now. */
  async function acknowledgeEnds(vmId: string): Promise<void> {
    const ends = [...keptEnds].filter(([instanceId, end]) => end.vmId === vmId && !machines.has(instanceId));
    if (ends.length === 0) return;
    const client = await link.client();
    for (const [instanceId] of ends) {
      await client.acknowledge(instanceId);
      keptEnds.delete(instanceId);
    }
  }

  function runningMachineOf(vmId: string): QemuMachine | undefined {
    return [...machines.values()].find((machine) => machine.vmId === vmId);
  }

  async function recoverMachine(report: GuestReport, client: GuardianClient): Promise<RecoveredMachine> {
    const note = parseInstanceNote(report.metadata);
    const machine = adopt(report, note);
    const directory = vmDirectoryOf(vmsDir, report.vmId);
    try {
      await machine.connect(client);
      await machine.resumeWatch(await readReadiness(directory.readiness, report.instanceId));
    } catch (error) {
      // It is there all the same; whoever asks it for something gets this error.
      telemetry.logger.error("a guest of an earlier daemon does not answer", { "blixard.vm.id": report.vmId }, error);
    }
    return { kind: "running", vmId: report.vmId, machine };
  }

  function recoverEnd(report: GuestReport, exit: GuestExit): RecoveredMachine {
    keepEnd(report.instanceId, { vmId: report.vmId, note: parseInstanceNote(report.metadata) });
    return { kind: "exited", vmId: report.vmId, instanceId: report.instanceId, exit: planVmExit(exit) };
  }

  // --- Start

  async function prepareHost(): Promise<LaunchHost> {
    const qemuPath = findTool(options.qemuBinary, tools);
    const confinement = createConfinement({ tools, isRoot, user: options.user });
    await mkdir(runDir, { recursive: true });
    await mkdir(vmsDir, { recursive: true, mode: 0o700 });
    await chmod(vmsDir, 0o700);
    const { machineType, tscKhz } = planMachineType({ configured: options.machine, tscKhz: readHostTscKhz() });
    const [hypervisorVersion, choice] = await Promise.all([
      readQemuVersion(qemuPath),
      probeAccelerator({
        accelerator: options.accelerator,
        qemuPath,
        directory: runDir,
        wrapper: confinement.wrapperFor("probe", { needsHostNetwork: false }),
        clock,
      }),
    ]);
    const capabilities = {
      driver: "qemu" as const,
      accelerator: choice.accelerator,
      acceleratorReason: choice.reason,
      kvmUsable: choice.kvmUsable,
      hypervisorVersion,
      machineType,
    };
    const parts = { capabilities, machineType, tscKhz, qemuPath, tools, isRoot, confinement, clock, telemetry };
    return { ...parts, client: link.client, adopt };
  }

  function startedHost(): LaunchHost {
    if (host === undefined) throw new BlixardError("INTERNAL", "the runtime has not been started");
    return host;
  }

  return {
    driver: "qemu",

    async start() {
      host = await prepareHost();
      await telemetry.tracing.span(nodeStartGuardian, { attributes: {} }, async (span) => {
        span.setAttributes({ "blixard.guardian.adopted": (await link.start()).adopted });
      });
      return host.capabilities;
    },

    async recover() {
      const client = await link.client();
      const reports = latestOfEachVm(await client.list(), keepForgotten);
      return Promise.all(
        reports.map(async (report) =>
          report.exit === undefined ? recoverMachine(report, client) : recoverEnd(report, report.exit),
        ),
      );
    },

    async launch(request, signal) {
      const { vmId, instanceId } = request;
      if (launching.has(vmId) || runningMachineOf(vmId) !== undefined) {
        throw new BlixardError("HYPERVISOR_FAILED", `a machine of ${request.vmName} runs already`);
      }
      const directory = vmDirectoryOf(vmsDir, vmId);
      launching.add(vmId);
      try {
        await mkdir(directory.root, { recursive: true, mode: 0o700 });
        await tapRemovals.get(vmId);
        const machine = await launchVm(request, directory, startedHost(), signal);
        await acknowledgeEnds(vmId).catch((error: unknown) =>
          telemetry.logger.warn("an earlier end stays with the guardian", { "blixard.vm.id": vmId }, error),
        );
        return machine;
      } finally {
        launching.delete(vmId);
        tapRemovals.delete(vmId);
        earlyEnds.delete(instanceId);
      }
    },

    async remove(vmId) {
      if (runningMachineOf(vmId) !== undefined) {
        throw new BlixardError("VM_STATE_CONFLICT", "a machine that runs cannot be removed");
      }
      await tapRemovals.get(vmId);
      tapRemovals.delete(vmId);
      await acknowledgeEnds(vmId);
      await rm(vmDirectoryOf(vmsDir, vmId).root, { recursive: true, force: true });
    },

    readLog(vmId, readOptions, signal) {
      const logDir = vmDirectoryOf(vmsDir, vmId).root;
      return readVmLog({ ...readOptions, vmId, logDir, client: link.client, clock, signal });
    },

    async stop() {
      for (const machine of machines.values()) machine.letGo();
      machines.clear();
      await link.stop();
    },
  };

  /** An older end of a VM that has a newer report. */
  function keepForgotten(report: GuestReport): void {
    keptEnds.set(report.instanceId, { vmId: report.vmId, note: parseInstanceNote(report.metadata) });
  }
}

/** What runs comes before what ended, and the latest end before earlier ones. */
function latestOfEachVm(
  reports: readonly GuestReport[],
  onOlder: (report: GuestReport) => void,
): readonly GuestReport[] {
  const latest = new Map<string, GuestReport>();
  for (const report of reports) {
    const other = latest.get(report.vmId);
    const isNewer = other === undefined || report.exit === undefined || isLaterEnd(report, other);
    if (isNewer && other !== undefined) onOlder(other);
    if (isNewer) latest.set(report.vmId, report);
    else onOlder(report);
  }
  return [...latest.values()];
}

function isLaterEnd(report: GuestReport, other: GuestReport): boolean {
  return other.exit !== undefined && report.startTimeMs > other.startTimeMs;
}

function lostExit(timeMs: number): GuestExit {
  const unseen = { code: undefined, signal: undefined, stderrTail: "", channelTails: {} };
  return { ...unseen, timeMs, reason: "guardian_lost" };
}

/** Different for every daemon on this host. */
function sessionName(): string {
  const identity = readIdentity(process.pid);
  return `${identity?.pid ?? 0}-${identity?.startTicks ?? 0}`;
}
