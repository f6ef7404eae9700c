import assert from "node:assert/strict";
import { it } from "node:test";
import fc from "fast-check";
import { BlixardError } from "./errors.ts";
import { parseVmSpec, type VmSpecInput, vmSpecLimits } from "./vm-spec.ts";
import type { VmSpec } from "./vm.ts";

/** A value that nearly fits a field most of the time, and anything at all otherwise. */
const mostly = <T>(fitting: fc.Arbitrary<T>): fc.Arbitrary<unknown> =>
  fc.oneof({ weight: 60, arbitrary: fitting }, { weight: 1, arbitrary: fc.anything({ withBigInt: true }) });

const size = mostly(
  fc.oneof(
    fc.integer({ min: 0, max: 2 ** 20 }),
    fc.integer({ min: 64, max: 50_000 }).map((count) => count * 2 ** 20),
  ),
);
const port = mostly(
  fc.record(
    {
      hostAddress: mostly(fc.ipV4()),
      hostPort: mostly(fc.integer({ min: 0, max: 65_540 })),
      guestPort: mostly(fc.integer({ min: 1, max: 65_535 })),
      protocol: mostly(fc.constantFrom("tcp", "udp", "")),
    },
    { requiredKeys: [] },
  ),
);
const network = fc.oneof(
  fc.constant({ kind: "none" }),
  fc.record({
    kind: fc.constant("user"),
    ports: mostly(fc.array(port, { maxLength: 4 })),
    egress: mostly(fc.boolean()),
  }),
  fc.record({
    kind: fc.constant("bridge"),
    bridge: mostly(fc.constantFrom("br0", "virbr0")),
    macAddress: mostly(fc.constant("52:54:00:00:00:01")),
  }),
);
const disk = fc.record({
  name: mostly(fc.constantFrom("root", "data", "logs")),
  sizeBytes: size,
  kind: mostly(fc.constantFrom("ephemeral", "persistent", "")),
});
const input = fc.record(
  {
    vcpus: mostly(fc.integer({ min: 0, max: 66 })),
    memoryBytes: size,
    image: mostly(fc.constantFrom("demo", "debian-12")),
    commandLine: mostly(fc.string({ maxLength: 20 })),
    network: mostly(network),
    disks: mostly(fc.array(disk, { maxLength: 3 })),
    onNodeLoss: mostly(fc.constantFrom("restart", "hold", "")),
    acceptDiskLoss: mostly(fc.boolean()),
    labels: mostly(fc.dictionary(fc.stringMatching(/^[a-z._/-]{1,8}$/), fc.string({ maxLength: 8 }), { maxKeys: 3 })),
    restartPolicy: mostly(fc.constantFrom("never", "on-failure", "always")),
    bootTimeoutMs: mostly(fc.integer({ min: 0, max: 5_000_000 })),
    stopTimeoutMs: mostly(fc.double({ min: 0, max: 3_600_001 })),
    guestAgent: mostly(fc.boolean()),
  },
  { requiredKeys: ["image"] },
);

it("any value becomes a spec within the limits or a typed error with a field and a hint", () => {
  let accepted = 0;
  fc.assert(
    fc.property(fc.oneof({ weight: 19, arbitrary: input }, { weight: 1, arbitrary: fc.anything() }), (value) => {
      const spec = parseOrCheckError(value as VmSpecInput);
      if (spec === undefined) return;
      accepted++;
      assertWithinLimits(spec);
    }),
    { numRuns: 2000, seed: 1 },
  );
  assert.ok(accepted > 20, `only ${accepted} inputs were accepted: the generator tests refusals only`);
});

it("a complete spec is what it parses to", () => {
  fc.assert(
    fc.property(input, (value) => {
      const spec = parseOrCheckError(value as VmSpecInput);
      if (spec !== undefined) assert.deepEqual(parseVmSpec(spec), spec);
    }),
    { numRuns: 2000, seed: 2 },
  );
});

function parseOrCheckError(value: VmSpecInput): VmSpec | undefined {
  try {
    return parseVmSpec(value);
  } catch (error) {
    assert.ok(error instanceof BlixardError, String(error));
    assert.equal(error.code, "INVALID_ARGUMENT");
    assert.ok(error.field?.startsWith("spec") && error.hint !== undefined && error.message.length < 500);
    return undefined;
  }
}

function assertWithinLimits(spec: VmSpec): void {
  assert.ok(Number.isInteger(spec.vcpus) && spec.vcpus >= 1 && spec.vcpus <= 64);
  assert.ok(Number.isInteger(spec.memoryBytes) && spec.memoryBytes >= vmSpecLimits.memoryBytes.minimum);
  assert.ok(spec.commandLine.length <= vmSpecLimits.commandLineLength && !/[\n\r\0]/.test(spec.commandLine));
  assert.ok(spec.disks.length <= vmSpecLimits.disks);
  assert.equal(new Set(spec.disks.map((entry) => entry.name)).size, spec.disks.length);
  assert.ok(spec.bootTimeoutMs >= 1000 && spec.bootTimeoutMs <= 3_600_000);
  assert.ok(spec.stopTimeoutMs >= 100 && spec.stopTimeoutMs <= 3_600_000);
  assert.ok(["restart", "hold"].includes(spec.onNodeLoss));
  assert.ok(["never", "on-failure", "always"].includes(spec.restartPolicy));
  const keeps = spec.disks.some((entry) => entry.kind === "persistent") && !spec.acceptDiskLoss;
  if (keeps) assert.equal(spec.onNodeLoss, "hold");
  if (spec.network.kind === "user") {
    for (const entry of spec.network.ports) {
      assert.ok(entry.guestPort >= 1 && entry.guestPort <= 65_535 && entry.hostPort >= 0 && entry.hostPort <= 65_535);
    }
  }
}
