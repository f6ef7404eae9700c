// Kills at any moment, files cut off and scribbled over: nothing is lost that is not counted.
import assert from "node:assert/strict";
import { mkdtemp, open, readdir, rm, stat, unlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { createBreakingDisk, type BreakingDisk } from "#test/support/breaking-disk.ts";
import { SEGMENT_HEAD_BYTES } from "./segment-format.ts";
import { systemDisk, type SpoolDisk } from "./spool-disk.ts";
import { createSpoolFolder, type SpoolFolder } from "./spool-folder.ts";

interface Run {
  /** Sizes of requests that are appended; 0: the oldest is taken out and settled instead. */
  readonly steps: readonly number[];
  /** The process dies at this change of the disk, so much into it; absent: it ends in peace. */
  readonly kill?: { readonly at: number; readonly fraction: number };
  readonly damage?: Damage;
}

/** What befalls a file between two runs; `which` and `where` are shares of all there is. */
interface Damage {
  readonly kind: "cut" | "flip" | "remove";
  readonly which: number;
  readonly where: number;
}

const share = fc.double({ min: 0, max: 0.999, noNaN: true });
const steps = fc.array(fc.oneof({ weight: 3, arbitrary: fc.integer({ min: 1, max: 600 }) }, fc.constant(0)), {
  minLength: 1,
  maxLength: 25,
});
const kill = fc.record({ at: fc.integer({ min: 1, max: 60 }), fraction: share });
const damage = fc.record({ kind: fc.constantFrom("cut", "flip", "remove"), which: share, where: share });

/** What came of everything that was ever appended, by number. */
interface Ledger {
  appended: number;
  readonly acknowledged: Set<number>;
  readonly itemsOf: Map<number, number>;
  readonly delivered: number[];
  lost: number;
  readonly hurt: Set<string>;
}

test("kills at any moment lose nothing that was acknowledged, and order is kept", () =>
  fc.assert(
    fc.asyncProperty(fc.array(fc.record({ steps, kill }), { minLength: 1, maxLength: 4 }), async (runs) => {
      const ledger = await play(runs, 1_000_000);
      const missing = [...ledger.acknowledged].filter((number) => !ledger.delivered.includes(number));
      assert.deepEqual(missing, []);
      // What was being written at a kill may be known to be lost.
      const unacknowledged = ledger.itemsOf.keys().filter((number) => !ledger.acknowledged.has(number));
      assert.ok(ledger.lost <= sumOf(ledger, unacknowledged));
    }),
    { numRuns: 40 },
  ));

test("whatever is killed, cut off, scribbled over, removed or pushed out is delivered or counted", () =>
  fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ steps, kill, damage }, { requiredKeys: ["steps"] }), { minLength: 1, maxLength: 5 }),
      fc.constantFrom(3_000, 6_000, 1_000_000),
      async (runs, limitBytes) => {
        const ledger = await play(runs, limitBytes);
        const missing = [...ledger.acknowledged].filter((number) => !ledger.delivered.includes(number));
        const missingItems = sumOf(ledger, missing);
        assert.ok(missingItems <= ledger.lost, `${missingItems} items are gone, ${ledger.lost} were counted`);
      },
    ),
    { numRuns: 80 },
  ));

function sumOf(ledger: Ledger, numbers: Iterable<number>): number {
  return Iterator.from(numbers).reduce((sum, number) => sum + (ledger.itemsOf.get(number) ?? 0), 0);
}

async function play(runs: readonly Run[], limitBytes: number): Promise<Ledger> {
  const directory = await mkdtemp(join(tmpdir(), "blixard-spool-"));
  const ledger: Ledger = {
    appended: 0,
    acknowledged: new Set(),
    itemsOf: new Map(),
    delivered: [],
    lost: 0,
    hurt: new Set(),
  };
  try {
    for (const run of runs) {
      await playRun(directory, limitBytes, ledger, run);
      if (run.damage !== undefined) await hurt(directory, ledger, run.damage);
    }
    const folder = openFolder(directory, limitBytes, ledger, systemDisk);
    const from = ledger.delivered.length;
    while (await deliverOne(folder, ledger));
    const last = ledger.delivered.slice(from);
    assert.deepEqual(
      last,
      last.toSorted((left, right) => left - right),
      "oldest first",
    );
    assert.equal(folder.usage().items, 0);
    await folder.close();
    assert.deepEqual(
      await readdir(directory),
      ledger.hurt.has("stranger") ? ["stranger"] : [],
      "nothing is left behind",
    );
    return ledger;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function playRun(directory: string, limitBytes: number, ledger: Ledger, run: Run): Promise<void> {
  const disk = createBreakingDisk();
  const folder = openFolder(directory, limitBytes, ledger, disk);
  await folder.open();
  if (run.kill !== undefined) disk.killAt(run.kill.at, run.kill.fraction);
  for (const bytes of run.steps) {
    if (!(await beforeDeath(disk, () => step(folder, ledger, bytes)))) break;
  }
  if (!disk.isDead) await beforeDeath(disk, () => folder.close());
  await disk.bury();
}

async function step(folder: SpoolFolder, ledger: Ledger, bytes: number): Promise<void> {
  if (bytes === 0) return void (await deliverOne(folder, ledger));
  const number = ++ledger.appended;
  const items = 1 + (number % 4);
  ledger.itemsOf.set(number, items);
  if (await folder.append({ bytes: bodyOf(number, bytes), items })) ledger.acknowledged.add(number);
}

/** False when the process died in it. */
async function beforeDeath(disk: BreakingDisk, work: () => Promise<void>): Promise<boolean> {
  const working = work().then(() => true);
  const dying = (async () => {
    while (!disk.isDead) {
      if ((await Promise.race([working, nextTurn()])) === true) return true;
    }
    return false;
  })();
  return Promise.race([working, dying]);
}

function nextTurn(): Promise<undefined> {
  return new Promise((resolve) => setImmediate(() => resolve(undefined)));
}

function openFolder(directory: string, limitBytes: number, ledger: Ledger, disk: SpoolDisk): SpoolFolder {
  return createSpoolFolder({
    directory,
    limitBytes: () => limitBytes,
    segmentBytes: 1_500,
    disk,
    now: () => 1_700_000_000_000,
    onLost: (items) => void (ledger.lost += items),
    onProblem: (error) => assert.fail(String(error)),
  });
}

async function deliverOne(folder: SpoolFolder, ledger: Ledger): Promise<boolean> {
  const request = await folder.next();
  if (request === undefined) return false;
  const number = Buffer.from(request.bytes).readUInt32LE(0);
  assert.deepEqual(Buffer.from(request.bytes), bodyOf(number, request.bytes.length), "as it was appended");
  assert.equal(request.items, ledger.itemsOf.get(number));
  ledger.delivered.push(number);
  await folder.settle();
  return true;
}

function bodyOf(number: number, lengthBytes: number): Buffer {
  const body = Buffer.alloc(Math.max(4, lengthBytes), number % 251);
  body.writeUInt32LE(number, 0);
  return body;
}

/** Each file once at most, and never so that nobody could know: not the newest one's head, nor the oldest or newest file. */
async function hurt(directory: string, ledger: Ledger, { kind, which, where }: Damage): Promise<void> {
  await writeFile(join(directory, "stranger"), "not a segment");
  ledger.hurt.add("stranger");
  const names = (await readdir(directory)).filter((name) => name.endsWith(".segment")).toSorted();
  const candidates = (kind === "remove" ? names.slice(1, -1) : names).filter((name) => !ledger.hurt.has(name));
  const name = candidates[Math.floor(which * candidates.length)];
  if (name === undefined) return;
  ledger.hurt.add(name);
  const path = join(directory, name);
  const { size } = await stat(path);
  if (kind === "remove") return unlink(path);
  const file = await open(path, "r+");
  try {
    if (kind === "cut") await file.truncate(SEGMENT_HEAD_BYTES + Math.floor(where * (size - SEGMENT_HEAD_BYTES)));
    else {
      const offset = Math.floor(where * size);
      const byte = Buffer.alloc(1);
      await file.read(byte, 0, 1, offset);
      await file.write(Buffer.from([(byte[0] ?? 0) ^ 0x10]), 0, 1, offset);
    }
  } finally {
    await file.close();
  }
}
