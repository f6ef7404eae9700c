/**
 * The daemon is killed with SIGKILL at random moments of create, stop and delete.
 * Whatever was acknowledged holds afterwards, no guest runs twice, nothing is left over.
 * `BLIXARD_TEST_KILLS` sets how often (the suite does fewer than `npm run test:kill`);
 * `BLIXARD_TEST_SEED` repeats a run's choices.
 */
import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { importDemoImage } from "#test/support/demo-image.ts";
import { createSeededRandom, testSeed, type SeededRandom } from "#test/support/seeded-random.ts";
import { TestNode } from "#test/support/test-node.ts";
import { waitFor } from "#test/support/wait-for.ts";

const KILLS = Number(process.env["BLIXARD_TEST_KILLS"] ?? 8);
const SEED = testSeed();
/** Longest time from the request to the kill: a create is over by then, boot included. */
const MAXIMUM_DELAY_MS = 3_500;

type Expectation = "running" | "stopped" | "gone";

interface VmJson {
  readonly id: string;
  readonly name: string;
  readonly status: { readonly state: string; readonly restarts?: number };
}

let node: TestNode;
before(async () => {
  node = await TestNode.start();
  await importDemoImage(node);
});
after(async () => {
  await node?.[Symbol.asyncDispose]();
});

test(`${KILLS} kills of the daemon lose nothing, double nothing, leave nothing`, async (context) => {
  context.diagnostic(`seed ${SEED}`);
  const random = createSeededRandom(SEED);
  const expected = new Map<string, Expectation>();
  for (let round = 0; round < KILLS; round++) {
    const { name, verb } = chooseOperation(random, expected, round);
    const delayMs = random.below(MAXIMUM_DELAY_MS);
    const what = `round ${round}: ${verb} ${name}, killed after ${delayMs} ms (seed ${SEED})`;
    const request = node.cli(argumentsOf(verb, name), { timeoutMs: 30_000 });
    await delay(delayMs);
    await node.endDaemon("SIGKILL");
    const answer = await request;
    await node.startDaemon();
    // An operation that was not acknowledged may or may not have happened; either way it must settle.
    if (answer.exitCode === 0) expected.set(name, outcomeOf(verb));
    else await settleUnacknowledged(name, verb, expected);
    await converges(what, expected);
    await hasNoStrangers(what, expected);
  }
  for (const name of [...expected.keys()])
    await node.cli(["vm", "delete", name, "--force", "--wait"], { timeoutMs: 60_000 });
  await hasNoStrangers("after all was deleted", new Map());
});

function chooseOperation(
  random: SeededRandom,
  expected: ReadonlyMap<string, Expectation>,
  round: number,
): { readonly name: string; readonly verb: "create" | "stop" | "delete" } {
  const running = [...expected].filter(([, state]) => state === "running").map(([name]) => name);
  const present = [...expected].filter(([, state]) => state !== "gone").map(([name]) => name);
  if (running.length > 0 && random.chance(0.3)) return { name: random.pick(running), verb: "stop" };
  if (present.length > 3 || (present.length > 0 && random.chance(0.4))) {
    return { name: random.pick(present), verb: "delete" };
  }
  return { name: `kill-${round}`, verb: "create" };
}

function argumentsOf(verb: "create" | "stop" | "delete", name: string): string[] {
  return verb === "create" ? ["vm", "create", name, "--image", "demo", "--memory", "128MiB"] : ["vm", verb, name];
}

function outcomeOf(verb: "create" | "stop" | "delete"): Expectation {
  return verb === "create" ? "running" : verb === "stop" ? "stopped" : "gone";
}

async function settleUnacknowledged(
  name: string,
  verb: "create" | "stop" | "delete",
  expected: Map<string, Expectation>,
): Promise<void> {
  const vm = (await listVms()).find((one) => one.name === name);
  if (vm === undefined) expected.set(name, "gone");
  else if (verb === "create") expected.set(name, "running");
  // Stored or not: asking again brings about what was asked for.
  else {
    const again = await node.cli(argumentsOf(verb, name));
    const isGone = verb === "delete" && again.exitCode === 1;
    assert.ok(again.exitCode === 0 || isGone, again.stderr);
    expected.set(name, outcomeOf(verb));
  }
}

const stateNames: Readonly<Record<Exclude<Expectation, "gone">, string>> = {
  running: "VM_STATE_RUNNING",
  stopped: "VM_STATE_STOPPED",
};

async function converges(what: string, expected: ReadonlyMap<string, Expectation>): Promise<void> {
  await waitFor(
    `${what}: every VM to be as acknowledged`,
    async () => {
      const vms = new Map((await listVms()).map((vm) => [vm.name, vm]));
      return [...expected].every(([name, state]) =>
        state === "gone" ? !vms.has(name) : vms.get(name)?.status.state === stateNames[state],
      );
    },
    60_000,
  );
}

/** Exactly one hypervisor for each VM that runs, none for any other. */
async function hasNoStrangers(what: string, expected: ReadonlyMap<string, Expectation>): Promise<void> {
  const vms = await listVms();
  const running = vms.filter((vm) => expected.get(vm.name) === "running").map((vm) => vm.id);
  const hypervisors = await waitFor(
    `${what}: as many hypervisors as running VMs`,
    async () => {
      const found = await hypervisorVmIds();
      return found.length === running.length && found;
    },
    // A guest that is asked to stop has half a minute, and on a busy machine takes it.
    120_000,
  );
  assert.deepEqual(hypervisors.toSorted(), running.toSorted(), what);
}

async function listVms(): Promise<readonly VmJson[]> {
  return (await node.json<{ vms?: readonly VmJson[] }>(["vm", "list"])).vms ?? [];
}

/** VM ids of the hypervisors of this test, told by their VMs' names. */
async function hypervisorVmIds(): Promise<string[]> {
  const ids: string[] = [];
  for (const entry of await readdir("/proc")) {
    if (!/^\d+$/.test(entry)) continue;
    const argv = (await readFile(`/proc/${entry}/cmdline`, "utf8").catch(() => "")).split("\0");
    if (!argv[0]?.includes("qemu-system")) continue;
    const id = argv[argv.indexOf("-uuid") + 1];
    const name = argv[argv.indexOf("-name") + 1];
    if (id !== undefined && name?.startsWith("kill-") === true) ids.push(id);
  }
  return ids;
}
