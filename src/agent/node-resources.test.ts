import assert from "node:assert/strict";
import { mkdtemp, mkdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { allocatedTo, usableShare } from "./node-metrics.ts";
import { parsePressure, readPressure } from "./node-pressure.ts";
import { measureNodeResources, parseCpuLimit, parseMemoryLimit, planNodeResources } from "./node-resources.ts";

const GIBIBYTE = 1024 ** 3;

describe("a node's resources", () => {
  test("are the host's, less what the node keeps", () => {
    const { capacity, reserved } = planNodeResources({
      processors: 8,
      memoryBytes: 32 * GIBIBYTE,
      diskFreeBytes: 100 * GIBIBYTE,
      diskTotalBytes: 200 * GIBIBYTE,
      vcpusPerProcessor: 4,
      reservedMemoryBytes: undefined,
      reservedDiskBytes: undefined,
    });
    assert.equal(capacity.vcpus, 32);
    assert.ok(capacity.memoryBytes <= 32 * GIBIBYTE * 0.9 && capacity.memoryBytes > 28 * GIBIBYTE);
    assert.equal(capacity.diskBytes, 80 * GIBIBYTE);
    assert.equal(reserved.diskBytes, 20 * GIBIBYTE);
  });

  test("are never negative, however small the host", () => {
    const { capacity } = planNodeResources({
      processors: 0.5,
      memoryBytes: 128 * 1024 ** 2,
      diskFreeBytes: 0,
      diskTotalBytes: GIBIBYTE,
      vcpusPerProcessor: 1,
      reservedMemoryBytes: GIBIBYTE,
      reservedDiskBytes: undefined,
    });
    assert.deepEqual(capacity, { vcpus: 1, memoryBytes: 0, diskBytes: 0 });
  });

  test("respect the limits of the container around the node", async (t) => {
    const directory = await mkdtemp(join(tmpdir(), "blixard-resources-"));
    t.after(() => rm(directory, { recursive: true }));
    await mkdir(join(directory, "cgroup"));
    await writeFile(join(directory, "meminfo"), "MemTotal:       16777216 kB\nMemFree: 1 kB\n");
    await writeFile(join(directory, "cgroup/cpu.max"), "150000 100000\n");
    await writeFile(join(directory, "cgroup/memory.max"), `${2 * GIBIBYTE}\n`);
    const options = { dataDirectory: directory, procDirectory: directory, processors: 16, vcpusPerProcessor: 2 };
    const limited = await measureNodeResources({ ...options, cgroupDirectory: join(directory, "cgroup") });
    assert.equal(limited.capacity.vcpus, 3);
    assert.equal(limited.capacity.memoryBytes, 2 * GIBIBYTE - 256 * 1024 ** 2);
    const free = await measureNodeResources({ ...options, cgroupDirectory: join(directory, "none") });
    assert.equal(free.capacity.vcpus, 32);
  });

  test("take no limit for a limit only when it is one", () => {
    assert.equal(parseCpuLimit("max 100000"), undefined);
    assert.equal(parseCpuLimit("-1 100000"), undefined);
    assert.equal(parseCpuLimit("50000 100000"), 0.5);
    assert.equal(parseMemoryLimit("max"), undefined);
    assert.equal(parseMemoryLimit("9223372036854771712"), undefined);
    assert.equal(parseMemoryLimit("1048576\n"), 1_048_576);
  });

  test("that are free in one kind only count as stranded", () => {
    assert.equal(usableShare(0, 0), 1);
    assert.equal(usableShare(0.5, 0.75), 0.5);
    assert.equal(usableShare(1, 0), 0);
    assert.equal(usableShare(1, 1), 0);
    assert.deepEqual(allocatedTo([]), { vcpus: 0, memoryBytes: 0, diskBytes: 0 });
  });
});

describe("a host's pressure", () => {
  test("is read as shares of time", () => {
    const text = "some avg10=1.50 avg60=0.20 avg300=0.00 total=5\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n";
    const samples = parsePressure("memory", text);
    assert.equal(samples.length, 6);
    assert.deepEqual(samples[0], { resource: "memory", kind: "some", window: "10s", share: 0.015 });
  });

  test("is absent where the kernel has none", async () => {
    assert.deepEqual(await readPressure("/nowhere"), []);
    assert.deepEqual(parsePressure("cpu", "garbage\n"), []);
  });
});
