/**
 * One run of the world: users ask, guests end, the store fails, the daemon is killed,
 * all from one seed; then everything heals and the world must come to rest as the
 * users' acknowledged requests say.
 */
import { setImmediate as nextTurn } from "node:timers/promises";
import type { ChangeKind } from "#control/operation-legality.ts";
import { BlixardError } from "#model/errors.ts";
import type { Vm } from "#model/vm.ts";
import { createImageRepository } from "#store/image-repository.ts";
import { STORE_PREFIX } from "#store/keys.ts";
import { createMemoryKeyValueStore } from "#store/memory/memory-key-value-store.ts";
import { createManualClock } from "#test/support/manual-clock.ts";
import { createMemoryTelemetry } from "#test/support/memory-telemetry.ts";
import { anImage } from "#test/support/store-fixtures.ts";
import { createFakeHost, type HostFaults } from "./fake-host.ts";
import { createFaultyStore, type StoreFaults } from "./faulty-store.ts";
import { createLife, type Life } from "./life.ts";
import { createSeededRandom } from "#test/support/seeded-random.ts";
import { createSimulatedNode, type SimulatedNode } from "./simulated-node.ts";

export interface ChaosReport {
  readonly seed: number;
  /** What must never be: empty in a good run. */
  readonly problems: readonly string[];
  readonly kills: number;
  readonly launches: number;
  readonly acknowledged: number;
}

export interface ChaosOptions {
  readonly seed: number;
  readonly actions: number;
  /** Of an action that it kills the daemon. */
  readonly killChance: number;
}

const VM_NAMES = ["ada", "bob", "cyd", "dee", "eve"];
const HEAL_LIMIT_MS = 40 * 60_000;
const HEAL_STEP_MS = 5000;

export async function runChaos(options: ChaosOptions): Promise<ChaosReport> {
  const random = createSeededRandom(options.seed);
  const clock = createManualClock();
  const store = createMemoryKeyValueStore({ clock });
  const storeFaults: StoreFaults = { outageUntilMs: 0, refusal: 0.02, lostAnswer: 0.02 };
  const hostFaults: HostFaults = { launchFailure: 0.05, hangingBoot: 0.03, ignoredStop: 0.1, deafHypervisor: 0.05 };
  const host = createFakeHost({ clock, random, faults: hostFaults });
  const telemetry = createMemoryTelemetry({ now: () => clock.now() });
  await createImageRepository(store).create(anImage());

  // --- The daemon ---------------------------------------------------------------

  let life: Life = createLife();
  let death = Promise.withResolvers<void>();
  let node: SimulatedNode | undefined;
  let kills = 0;
  let starts = 0;

  function startDaemon(): void {
    const current = createLife();
    life = current;
    death = Promise.withResolvers<void>();
    const born = createSimulatedNode({
      nodeId: "node-1",
      instanceId: `daemon-${starts++}`,
      store: createFaultyStore({ store, faults: storeFaults, clock, random, life: current }),
      runtime: host.runtimeFor(current),
      clock: current.clock(clock),
      random: random.next,
      telemetry,
    });
    current
      .settle(born.start())
      .then(() => (node = born))
      // A node that cannot start exits; its service manager starts it again.
      .catch(() => restartDaemon(1000));
  }

  function kill(): void {
    life.end();
    node = undefined;
    death.resolve();
  }

  function restartDaemon(afterMs: number): void {
    if (!life.alive) return;
    kill();
    void clock.delay(afterMs).then(startDaemon);
  }

  // --- The users ----------------------------------------------------------------

  const created = new Map<string, string>();
  const deleteAsked = new Set<string>();
  let acknowledged = 0;
  let underWay = 0;

  /** Asks until there is an answer, with one operation id, whatever dies meanwhile. */
  async function ask(work: (admission: SimulatedNode["admission"]) => Promise<Vm>): Promise<Vm | BlixardError> {
    for (;;) {
      const current = node;
      const answer =
        current === undefined ? undefined : await Promise.race([death.promise, attempt(() => work(current.admission))]);
      if (answer !== undefined && !(answer instanceof BlixardError && answer.fault !== "user")) return answer;
      await clock.delay(random.between(100, 1000));
    }
  }

  async function attempt(work: () => Promise<Vm>): Promise<Vm | BlixardError> {
    try {
      return await work();
    } catch (error) {
      if (error instanceof BlixardError) return error;
      throw error;
    }
  }

  async function userActs(serial: number): Promise<void> {
    const name = random.pick(VM_NAMES);
    const operationId = `user-${serial}`;
    const force = random.chance(0.2);
    const kind = random.pick([
      "create",
      "create",
      "create",
      "start",
      "stop",
      "restart",
      "pause",
      "resume",
      "delete",
    ] as const);
    const restartPolicy = random.pick(["never", "on-failure", "always"]);
    if (kind === "delete") deleteAsked.add(name);
    const answer = await ask((admission) =>
      kind === "create"
        ? admission.createVm({ name, operationId, spec: { image: "demo", restartPolicy, stopTimeoutMs: 5000 } })
        : admission.changeVm(kind satisfies ChangeKind, { vm: name, operationId, force }),
    );
    if (answer instanceof BlixardError) return;
    acknowledged++;
    if (kind === "create") created.set(answer.intent.id, name);
  }

  function act(serial: number): void {
    if (random.chance(options.killChance)) {
      if (life.alive) kills++;
      restartDaemon(random.between(0, 5000));
    } else if (random.chance(0.05)) {
      storeFaults.outageUntilMs = clock.now() + random.between(100, 20_000);
    } else if (random.chance(0.03)) {
      host.loseGuardian();
    } else if (random.chance(0.15) && host.runningVmIds.size > 0) {
      host.endGuest(
        random.pick([...host.runningVmIds]),
        random.pick(["panic", "crash", "shutdown", "killed"] as const),
      );
    } else {
      underWay++;
      void userActs(serial).finally(() => underWay--);
    }
  }

  // --- The end --------------------------------------------------------------------

  async function unrest(): Promise<readonly string[]> {
    const current = node;
    if (current === undefined || underWay > 0)
      return [`daemon ${current === undefined ? "down" : "up"}, ${underWay} requests under way`];
    const { entries } = await store.range(STORE_PREFIX);
    const keys = entries.map((entry) => entry.key);
    const view = current.cache.snapshot();
    const known = [...view.vms()];
    const ids = new Set(known.map((vm) => vm.intent.id));
    return [
      ...known.flatMap((vm) => unrestOf(vm, host)),
      ...[...host.runningVmIds].filter((id) => !ids.has(id)).map((id) => `machine of unknown VM ${id}`),
      ...[...host.keptVmIds].filter((id) => !ids.has(id)).map((id) => `something is kept of VM ${id}, which is gone`),
      ...[...created.keys()]
        .filter((id) => !ids.has(id) && keys.some((key) => key.includes(id)))
        .map((id) => `keys are left of VM ${id}, which is gone`),
    ];
  }

  startDaemon();
  for (let serial = 0; serial < options.actions; serial++) {
    await clock.advance(random.chance(0.3) ? random.between(0, 100) : random.between(0, 4000));
    act(serial);
  }
  Object.assign(storeFaults, { outageUntilMs: 0, refusal: 0, lostAnswer: 0 });
  Object.assign(hostFaults, { launchFailure: 0, hangingBoot: 0, ignoredStop: 0, deafHypervisor: 0 });
  let left = await unrest();
  for (let waitedMs = 0; left.length > 0 && waitedMs < HEAL_LIMIT_MS; waitedMs += HEAL_STEP_MS) {
    await clock.advance(HEAL_STEP_MS);
    left = await unrest();
  }
  const survivors = new Set(node?.cache.snapshot().intents.keys() ?? []);
  const lost = [...created].filter(([id, name]) => !survivors.has(id) && !deleteAsked.has(name));
  const broken = telemetry.logs.filter((log) => log.level === "error");
  kill();
  await nextTurn();
  return {
    seed: options.seed,
    problems: [
      ...host.violations,
      ...left.map((problem) => `no rest: ${problem}`),
      ...lost.map(([, name]) => `the acknowledged VM ${name} is lost`),
      ...broken.map((log) => `an error was logged: ${log.message} ${String(log.error)}`),
    ],
    kills,
    launches: host.launches,
    acknowledged,
  };
}

/** Why a VM is not yet as it was asked to be. */
function unrestOf(vm: Vm, host: ReturnType<typeof createFakeHost>): readonly string[] {
  const { intent, status } = vm;
  const label = `VM ${intent.name} wanted ${intent.desiredState} g${intent.generation}, is ${status.state} (${status.reason}) g${status.observedGeneration}`;
  if (intent.desiredState === "deleted") return [`${label}: still there`];
  if (status.observedGeneration !== intent.generation) return [`${label}: not acted on`];
  if (status.observedRestartGeneration < intent.restartGeneration && status.state !== "stopped")
    return [`${label}: not restarted`];
  const running = host.runningVmIds.has(intent.id);
  const down = (status.state === "stopped" || status.state === "failed") && status.nextRestartTimeMs === undefined;
  switch (intent.desiredState) {
    case "stopped":
      return status.state === "stopped" && !running ? [] : [label];
    case "running":
      if (status.state === "running" && running && !host.isPaused(intent.id)) return [];
      return down && !running && intent.spec.restartPolicy !== "always" ? [] : [label];
    case "paused":
      if (status.state === "paused" && running && host.isPaused(intent.id)) return [];
      return down && !running && intent.spec.restartPolicy !== "always" ? [] : [label];
  }
}
