/** Seeded runs of one node's life among faults. A seed that fails is run again with BLIXARD_SIMULATION_SEED. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type ChaosOptions, runChaos } from "./support/chaos.ts";

const RUNS = 16;
const chosenSeed = process.env["BLIXARD_SIMULATION_SEED"];

async function runSeeds(options: Omit<ChaosOptions, "seed">, firstSeed: number): Promise<void> {
  const seeds =
    chosenSeed === undefined ? Array.from({ length: RUNS }, (_, index) => firstSeed + index) : [Number(chosenSeed)];
  let kills = 0;
  let acknowledged = 0;
  for (const seed of seeds) {
    const report = await runChaos({ seed, ...options });
    assert.deepEqual(report.problems, [], `seed ${seed}`);
    kills += report.kills;
    acknowledged += report.acknowledged;
  }
  assert.ok(acknowledged > seeds.length, `only ${acknowledged} requests were acknowledged`);
  if (options.killChance > 0) assert.ok(kills > seeds.length, `the daemon was killed only ${kills} times`);
}

test("whatever the store and the guests do, every VM ends up as it was asked to be, with one machine or none", async () => {
  await runSeeds({ actions: 60, killChance: 0 }, 1);
});

test("a daemon killed at any moment comes back to exactly one machine of each VM, or none", async () => {
  await runSeeds({ actions: 80, killChance: 0.15 }, 1000);
});
