import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ConfigError } from "#config/problem.ts";
import { parseVmFile } from "./vm-file.ts";
import { formatDisk, formatPublishedPort, parseDisk, parsePublishedPort } from "./vm-input.ts";

const complete = `name = "web"
image = "demo"
vcpus = 2
memory = "512MiB"
command_line = "quiet"
restart = "always"
on_node_loss = "hold"
accept_disk_loss = false
boot_timeout = "30s"
stop_timeout = "5s"
guest_agent = true
stopped = false

[labels]
tier = "web"
owner = "\${env:OWNER}"

[network]
kind = "user"
publish = ["8080:80", "0.0.0.0:53:53/udp"]
egress = true

[[disks]]
name = "data"
size = "1GiB"
persistent = true

[[disks]]
name = "scratch"
size = "64MiB"
`;

test("a VM file with everything in it is read", () => {
  const { vm, warnings } = parseVmFile("vm.toml", complete, { OWNER: "ann" });
  assert.deepEqual(warnings, []);
  assert.equal(vm.memoryBytes, 512 * 1024 ** 2);
  assert.equal(vm.bootTimeoutMs, 30_000);
  assert.deepEqual(vm.labels, { tier: "web", owner: "ann" });
  assert.deepEqual(vm.network.publish, [
    { hostAddress: "127.0.0.1", hostPort: 8080, guestPort: 80, protocol: "tcp" },
    { hostAddress: "0.0.0.0", hostPort: 53, guestPort: 53, protocol: "udp" },
  ]);
  assert.deepEqual(vm.disks, [
    { name: "data", sizeBytes: 1024 ** 3, persistent: true },
    { name: "scratch", sizeBytes: 64 * 1024 ** 2, persistent: false },
  ]);
});

test("an empty VM file is fine: everything may come from the command line", () => {
  assert.equal(parseVmFile("vm.toml", "", {}).vm.image, undefined);
});

test("every problem is found at once", () => {
  const wrong = complete
    .replace("vcpus = 2", "vcpus = 65")
    .replace('"8080:80"', '"8080"')
    .replace('"0.0.0.0:53:53/udp"', '"x:80"')
    .replace("persistent = true", "persistant = true")
    .replace('tier = "web"', "tier = 7");
  try {
    parseVmFile("vm.toml", wrong, { OWNER: "ann" });
    assert.fail("it loaded");
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    assert.deepEqual(
      error.problems.map(({ place }) => place.kind === "file" && place.line),
      [3, 15, 20, 26],
    );
  }
});

test("a VM file changed anywhere loads or is explained", () => {
  const change = fc.tuple(
    fc.nat({ max: complete.length - 1 }),
    fc.string({ unit: "binary", maxLength: 3 }),
    fc.nat({ max: 4 }),
  );
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 5 }), (changes) => {
      let text = complete;
      for (const [at, insert, cut] of changes) text = text.slice(0, at) + insert + text.slice(at + cut);
      try {
        parseVmFile("vm.toml", text, {});
      } catch (error) {
        if (!(error instanceof ConfigError)) throw error;
      }
    }),
    { numRuns: 300 },
  );
});

test("ports and disks read back as they are written", () => {
  const port = fc.record(
    {
      hostAddress: fc.ipV4(),
      hostPort: fc.nat({ max: 65_535 }),
      guestPort: fc.integer({ min: 1, max: 65_535 }),
      protocol: fc.constantFrom("tcp" as const, "udp" as const),
    },
    { noNullPrototype: true },
  );
  fc.assert(fc.property(port, (value) => assert.deepEqual(parsePublishedPort(formatPublishedPort(value)), value)));
  const disk = fc.record(
    {
      name: fc.stringMatching(/^[a-z][a-z0-9-]{0,19}$/),
      sizeBytes: fc.integer({ min: 1, max: 2 ** 44 }),
      kind: fc.constantFrom("ephemeral" as const, "persistent" as const),
    },
    { noNullPrototype: true },
  );
  fc.assert(fc.property(disk, (value) => assert.deepEqual(parseDisk(formatDisk(value)), value)));
});

test("ports and disks in other forms are refused", () => {
  for (const text of [
    "",
    ":",
    "80:",
    ":80",
    "0",
    "80:0",
    "65536",
    "1.2.3.4:80",
    "1.2.3:80:80",
    "80:80/sctp",
    "80-81:80",
  ]) {
    assert.equal(parsePublishedPort(text), undefined, text);
  }
  for (const text of [
    "",
    "name=a",
    "size=1GiB",
    "name=,size=1GiB",
    "name=a,size=x",
    "name=a,size=1GiB,fast",
    "name=a,name=b,size=1GiB",
    "name=a,size=1GiB,persistent,ephemeral",
  ]) {
    assert.equal(parseDisk(text), undefined, text);
  }
});
