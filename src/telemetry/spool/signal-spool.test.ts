// Each destination has its own folder, and those of former ones do not stay for ever.
import assert from "node:assert/strict";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { test, type TestContext } from "node:test";
import { telemetrySpoolDropped } from "#gen/telemetry/metrics.ts";
import { Secret } from "#model/secret.ts";
import { createMemoryTelemetry, type MemoryTelemetry } from "#test/support/memory-telemetry.ts";
import { resolveDestination, type Destination } from "../otlp/destination.ts";
import type { OtlpOptions } from "../telemetry-options.ts";
import { createSignalSpool, spoolKeyOf, type SignalSpool } from "./signal-spool.ts";
import { systemDisk } from "./spool-disk.ts";
import { createSpoolFolder } from "./spool-folder.ts";

const DAY_MS = 24 * 60 * 60_000;
const START_MS = 1_700_000_000_000;

interface Scene {
  readonly directory: string;
  readonly telemetry: MemoryTelemetry;
  nowMs: number;
  spool(destinations: readonly Destination[]): SignalSpool;
  /** Leaves requests of so many bytes in a destination's folder. */
  leave(destination: Destination, requests: number, bytes: number): Promise<void>;
}

async function prepare(t: TestContext): Promise<Scene> {
  const directory = await mkdtemp(join(tmpdir(), "blixard-spool-"));
  t.after(() => rm(directory, { recursive: true, force: true }));
  const telemetry = createMemoryTelemetry();
  const scene: Scene = {
    directory,
    telemetry,
    nowMs: START_MS,
    spool: (destinations) =>
      createSignalSpool({
        directory,
        signal: "traces",
        destinations,
        maximumBytes: 100_000,
        disk: systemDisk,
        now: () => scene.nowMs,
        metrics: telemetry.metrics,
        stderrLogger: telemetry.logger,
      }),
    async leave(destination, requests, bytes) {
      const folder = createSpoolFolder({
        ...scene.spool([destination]).placeOf(destination),
        now: () => scene.nowMs,
        onLost: () => assert.fail("there is room"),
        onProblem: (error) => assert.fail(String(error)),
      });
      for (let left = requests; left > 0; left--) {
        assert.equal(await folder.append({ bytes: Buffer.alloc(bytes), items: 3 }), true);
      }
      await folder.close();
    },
  };
  return scene;
}

function destination(endpoint: string, options: Partial<OtlpOptions> = {}): Destination {
  return resolveDestination({ endpoint, ...options }, "traces");
}

test("a destination is the same with another token, and another one with another address, path, form or tenant", () => {
  const key = (endpoint: string, options?: Partial<OtlpOptions>): string => spoolKeyOf(destination(endpoint, options));
  const base = key("http://collector:4317");
  assert.match(base, /^grpc-http-collector-4317-[0-9a-f]{12}$/);
  assert.equal(key("http://collector:4317", { headers: { authorization: new Secret("Bearer a") } }), base);
  const others = [
    key("http://collector:4318"),
    key("http://other:4317"),
    key("http://collector:4317/otlp", { protocol: "http/protobuf" }),
    key("http://collector:4317", { protocol: "http/json" }),
    key("http://collector:4317", { headers: { "x-scope-orgid": "a" } }),
    key("http://collector:4317", { headers: { "x-scope-orgid": "b" } }),
  ];
  assert.equal(new Set([base, ...others]).size, others.length + 1);
  assert.ok(key(`http://${"long.".repeat(40)}example:4317`).length < 100, "a name that a file system takes");
});

test("the destinations of a signal share its limit evenly; what former ones left comes off it", async (t) => {
  const scene = await prepare(t);
  await scene.leave(destination("http://former:4317"), 10, 2_000);
  const [a, b] = [destination("http://a:4317"), destination("http://b:4317")];
  const spool = scene.spool([a, b]);
  assert.equal(spool.placeOf(a).limitBytes(), 50_000);
  assert.notEqual(spool.placeOf(a).directory, spool.placeOf(b).directory);
  await spool.tidy();
  const limit = spool.placeOf(a).limitBytes();
  assert.ok(limit > 38_000 && limit < 40_000, String(limit));
  assert.deepEqual(await readdir(scene.directory), [spoolKeyOf(destination("http://former:4317"))]);
});

test("what former destinations left goes when it is a week old or too much, and is counted", async (t) => {
  const scene = await prepare(t);
  const [old, large, small] = [
    destination("http://old:1"),
    destination("http://large:1"),
    destination("http://small:1"),
  ];
  await scene.leave(old, 2, 100);
  scene.nowMs += 6 * DAY_MS;
  await scene.leave(large, 30, 2_000);
  scene.nowMs += 2 * DAY_MS;
  await scene.leave(small, 1, 100);
  await scene.spool([destination("http://now:1")]).tidy();
  assert.deepEqual(await readdir(scene.directory), [spoolKeyOf(small)]);
  const dropped = scene.telemetry
    .series(telemetrySpoolDropped)
    .map(({ attributes, value }) => [attributes["blixard.telemetry.destination"], attributes["error.type"], value]);
  assert.deepEqual(
    dropped.toSorted((left, right) => (String(left) < String(right) ? -1 : 1)),
    [
      [spoolKeyOf(large), "spool_full", 90],
      [spoolKeyOf(old), "expired", 6],
    ],
  );
});

test("what is not a spool's stays where it is", async (t) => {
  const scene = await prepare(t);
  const former = destination("http://former:1");
  await scene.leave(former, 1, 10);
  const folder = join(scene.directory, spoolKeyOf(former));
  await writeFile(join(folder, "notes.txt"), "mine");
  await writeFile(join(scene.directory, "readme"), "mine");
  scene.nowMs += 30 * DAY_MS;
  await scene.spool([destination("http://now:1")]).tidy();
  assert.deepEqual((await readdir(scene.directory)).toSorted(), [basename(folder), "readme"].toSorted());
  assert.deepEqual(await readdir(folder), ["notes.txt"]);
});

test("a place that cannot be looked at is said, and nothing else happens", async (t) => {
  const scene = await prepare(t);
  await rm(scene.directory, { recursive: true });
  await writeFile(scene.directory, "a file");
  await scene.spool([destination("http://now:1")]).tidy();
  assert.equal(scene.telemetry.logs.length, 1);
});
