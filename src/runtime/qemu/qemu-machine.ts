/**
 * One QEMU under the guardian, as a Machine. It talks to QEMU's monitor and to
 * the guest's agent through the guardian's channels, says when the guest is
 * ready, watches over the boot, and ends it gracefully. It concludes that the
 * guest has ended only from the guardian's report.
 *
 *   connect ─► (begin: the processors run) ─► booting ─► ready ─► … ─► ended
 *                                                └─ too late ─► killed
 */
import type { GuardianClient } from "#guardian/guardian-client.ts";
import type { GuestExit, GuestReport } from "#guardian/protocol.ts";
import type { Clock } from "#model/clock.ts";
import { BlixardError } from "#model/errors.ts";
import type { VmExit } from "#model/vm.ts";
import { readUptimeSeconds } from "#process/identity.ts";
import type { Telemetry } from "#telemetry/port.ts";
import { createMachineEvents } from "../machine-events.ts";
import type { GuestBoot, Machine, MachineConsole, MachineUsage } from "../runtime.ts";
import { planVmExit } from "./exit-cause.ts";
import { createGuestAgent, type GuestAgent, type GuestMemory, type GuestReady } from "./guest-agent.ts";
import type { InstanceNote } from "./instance-note.ts";
import { parseBlockStats, readProcessUsage } from "./machine-usage.ts";
import { connectQmp, type QmpClient, type QmpEvent } from "./qmp-client.ts";
import { type Readiness, writeReadiness } from "./readiness-file.ts";
import { openConsole } from "./vm-console.ts";

export interface QemuMachine extends Machine {
  readonly note: InstanceNote;
  /** Resolves with the end, when the guardian has reported it. */
  readonly ended: Promise<VmExit>;
  /** Opens the channels, again after a connection was lost. @throws BlixardError when QEMU does not answer */
  connect(client: GuardianClient): Promise<void>;
  /** Lets the processors run. */
  begin(): Promise<void>;
  /** Takes up a guest that an earlier daemon has started. */
  resumeWatch(readiness: Readiness | undefined): Promise<void>;
  /** The guardian says that it has ended. */
  end(exit: GuestExit): void;
  /** Ends it because its start failed; resolves when it is gone. */
  abandon(): Promise<void>;
  /** The daemon lets go: no events follow, the guest runs on. */
  letGo(): void;
}

export interface QemuMachineOptions {
  readonly report: GuestReport;
  readonly note: InstanceNote;
  readonly logDir: string;
  readonly readinessPath: string;
  /** Waits for a guardian. */
  readonly client: () => Promise<GuardianClient>;
  /** Names what this daemon asks. */
  readonly session: string;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
}

// An agent that is there agrees at once; then the guest has the rest of the time to go down.
const AGENT_ANSWER_MS = 2_000;
const STATS_TIMEOUT_MS = 1_000;
// QEMU obeys SIGTERM at once and writes its disks' caches out.
const KILL_GRACE_MS = 2_000;
const KILL_WAIT_MS = 15_000;

export function createQemuMachine(options: QemuMachineOptions): QemuMachine {
  const { report, note, clock, telemetry, session } = options;
  const { vmId, instanceId, startTimeMs } = report;
  const attributes = { "blixard.vm.id": vmId, "blixard.vm.instance_id": instanceId };
  const states = createMachineEvents();
  const ended = Promise.withResolvers<VmExit>();
  const bootWatch = new AbortController();
  let qmp: QmpClient | undefined;
  let agent: GuestAgent | undefined;
  let isEnded = false;
  let isPaused = false;
  let isReady = false;
  let beginTimeMs = startTimeMs;

  // --- What QEMU and the guest say

  function onQmpEvent(event: QmpEvent): void {
    const timeMs = clock.now();
    if (event.name === "STOP" && !isPaused) {
      isPaused = true;
      states.push({ kind: "paused", timeMs });
    } else if (event.name === "RESUME" && isPaused) {
      isPaused = false;
      states.push({ kind: "resumed", timeMs });
    } else if (event.name === "BLOCK_IO_ERROR") {
      telemetry.logger.error("a disk of the guest failed; with a full disk the guest waits for space", attributes);
    }
  }

  function onGuestReady(ready: GuestReady): void {
    const receivedTimeMs = clock.now();
    becomeReady("guest", { ...ready, hypervisorStartTimeMs: beginTimeMs, receivedTimeMs }, receivedTimeMs);
  }

  function becomeReady(source: "guest" | "hypervisor", boot: GuestBoot | undefined, timeMs: number): void {
    if (isReady || isEnded) return;
    announceReady({ instanceId, source, boot, timeMs });
    writeReadiness(options.readinessPath, { instanceId, source, boot, timeMs }).catch((error: unknown) =>
      telemetry.logger.warn("that the guest is ready could not be noted", attributes, error),
    );
  }

  function announceReady({ source, boot, timeMs }: Readiness): void {
    isReady = true;
    bootWatch.abort();
    states.push({ kind: "ready", source, boot, timeMs });
  }

  async function watchBoot(): Promise<void> {
    const passedMs = (readUptimeSeconds() - report.startUptimeSeconds) * 1000;
    let leftMs = Math.max(0, note.bootTimeoutMs - passedMs);
    do {
      try {
        await clock.delay(leftMs, bootWatch.signal);
      } catch {
        return;
      }
      // A paused guest cannot boot: its time begins again.
      leftMs = note.bootTimeoutMs;
    } while (isPaused);
    const client = await options.client();
    await client.kill(instanceId, { reason: "boot_timeout", graceMs: 0 });
  }

  function startBootWatch(): void {
    if (!note.expectsAgent) {
      becomeReady("hypervisor", undefined, clock.now());
      return;
    }
    watchBoot().catch((error: unknown) =>
      telemetry.logger.error("a guest that is not ready in time could not be ended", attributes, error),
    );
  }

  async function begin(): Promise<void> {
    beginTimeMs = clock.now();
    await monitor().execute("cont");
    startBootWatch();
  }

  // --- Requests

  function monitor(): QmpClient {
    if (qmp === undefined) throw new BlixardError("HYPERVISOR_UNRESPONSIVE", "the hypervisor cannot be reached");
    return qmp;
  }

  async function askToPowerOff(timeoutMs: number): Promise<void> {
    const asked = note.expectsAgent ? agent?.powerOff(Math.min(AGENT_ANSWER_MS, timeoutMs)) : undefined;
    const agreed = await asked?.then(
      () => true,
      () => false,
    );
    if (agreed !== true && !isEnded) await monitor().execute("system_powerdown");
  }

  /** Whether it ended in this time. */
  async function endsWithin(timeoutMs: number): Promise<boolean> {
    const over = new AbortController();
    const late = clock.delay(timeoutMs, over.signal).catch(() => undefined);
    await Promise.race([ended.promise, late]);
    over.abort();
    return isEnded;
  }

  async function shutDownGracefully(timeoutMs: number): Promise<boolean> {
    const endMs = clock.monotonicMs() + timeoutMs;
    try {
      if (isPaused) await monitor().execute("cont");
      await askToPowerOff(timeoutMs);
    } catch (error) {
      telemetry.logger.warn("the guest could not be asked to power off", attributes, error);
    }
    return endsWithin(endMs - clock.monotonicMs());
  }

  async function kill(reason: "forced" | "start_failed", graceMs: number): Promise<void> {
    if (isEnded) return;
    await (await options.client()).kill(instanceId, { reason, graceMs });
    if (await endsWithin(KILL_WAIT_MS)) return;
    throw new BlixardError("HYPERVISOR_UNRESPONSIVE", "the hypervisor did not die when it was killed", {
      hint: "see whether its disks' file system hangs; the node tries again",
    });
  }

  async function guestMemory(): Promise<GuestMemory | undefined> {
    if (!isReady || isPaused || !note.expectsAgent) return undefined;
    return agent?.stats(STATS_TIMEOUT_MS).catch(() => undefined);
  }

  return {
    vmId,
    instanceId,
    startTimeMs,
    note,
    pid: report.identity?.pid,
    publishedPorts: note.publishedPorts,
    events: states.events,
    ended: ended.promise,

    async connect(client) {
      const [monitorStream, agentStream] = await Promise.all([
        client.openChannel(instanceId, "qmp"),
        client.openChannel(instanceId, "agent"),
      ]);
      const isAnew = agent !== undefined;
      agent = createGuestAgent({ stream: agentStream, session, onReady: onGuestReady });
      // It may have said so while the connection was broken.
      if (isAnew && !isReady) agent.hello();
      qmp = await connectQmp({ stream: monitorStream, session, onEvent: onQmpEvent });
    },
    begin,
    async resumeWatch(readiness) {
      const { status } = (await monitor().execute("query-status")) as { status?: string };
      if (status === "prelaunch") {
        // The earlier daemon died between its start and the first instruction.
        await begin();
        return;
      }
      if (readiness !== undefined) announceReady(readiness);
      else startBootWatch();
      if (status !== "running") onQmpEvent({ name: "STOP", data: {} });
      agent?.hello();
    },
    end(guestExit) {
      if (isEnded) return;
      isEnded = true;
      bootWatch.abort();
      qmp?.close();
      agent?.close();
      const exit = planVmExit(guestExit);
      ended.resolve(exit);
      states.push({ kind: "exited", exit });
    },
    async abandon() {
      bootWatch.abort();
      await kill("start_failed", 0);
    },
    letGo() {
      bootWatch.abort();
      qmp?.close();
      agent?.close();
      states.close();
    },

    pause: async () => void (await monitor().execute("stop")),
    resume: async () => void (await monitor().execute("cont")),
    async shutdown({ timeoutMs, force }) {
      if (isEnded) return { forced: false };
      if (!force && timeoutMs > 0 && (await shutDownGracefully(timeoutMs))) return { forced: false };
      await kill("forced", KILL_GRACE_MS);
      return { forced: true };
    },
    async usage(): Promise<MachineUsage> {
      if (report.identity === undefined || isEnded) {
        throw new BlixardError("HYPERVISOR_UNRESPONSIVE", "the hypervisor is gone");
      }
      const [memory, blockStats] = await Promise.all([
        guestMemory(),
        note.disks.length === 0 ? [] : monitor().execute("query-blockstats"),
      ]);
      return {
        ...readProcessUsage(report.identity.pid),
        uptimeSeconds: readUptimeSeconds() - report.startUptimeSeconds,
        guestMemory: memory,
        disks: parseBlockStats(blockStats, note.disks),
      };
    },
    async console(signal): Promise<MachineConsole> {
      return openConsole({ client: await options.client(), vmId, instanceId, logDir: options.logDir, signal });
    },
  };
}
