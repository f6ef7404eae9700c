import assert from "node:assert/strict";
import { test } from "node:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { NetworkSchema, VmSpecSchema } from "#gen/api/blixard/v1/vm_pb.ts";
import { VmRecordSchema } from "#gen/store/blixard/store/v1/records_pb.ts";
import { BlixardError } from "#model/errors.ts";
import type { ImageManifest } from "#model/image.ts";
import type { NodeRegistration } from "#model/node.ts";
import type { TraceContext } from "#model/trace-context.ts";
import {
  placementRefusalReasons,
  type VmAssignment,
  type VmIntent,
  vmOperationKinds,
  type VmPlacement,
  type VmSpec,
  vmStates,
  type VmStatus,
} from "#model/vm.ts";
import { clusterCodec } from "./cluster-codec.ts";
import { imageCodec } from "./image-codec.ts";
import { leaseHolderCodec, nodeCodec, nodePolicyCodec } from "./node-codec.ts";
import { assignmentCodec, placementCodec } from "./placement-codec.ts";
import { carryUnknown, type RecordCodec } from "./record-codec.ts";
import { traceRuleCodec } from "./trace-rule-codec.ts";
import { imageUserCodec, vmIntentCodec, vmNameCodec } from "./vm-codec.ts";
import { vmSpecFromMessage, vmSpecToMessage } from "./vm-spec-codec.ts";
import { vmStatusCodec } from "./vm-status-codec.ts";

const count = fc.nat({ max: 2 ** 31 });
const size = fc.maxSafeNat().map((value) => value + 1);
const time = fc.integer({ min: 0, max: 4_000_000_000_000 });
const duration = fc.integer({ min: 1, max: 10_000_000 });
const text = fc.string({ maxLength: 20 });
const word = fc.string({ minLength: 1, maxLength: 20 });
const hexOf = (bytes: number): fc.Arbitrary<string> =>
  fc.uint8Array({ minLength: bytes, maxLength: bytes }).map((value) => Buffer.from(value).toString("hex"));
const maybe = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(value, { nil: undefined });

const trace: fc.Arbitrary<TraceContext | undefined> = maybe(
  fc.record(
    { traceId: hexOf(16), spanId: hexOf(8), sampled: fc.boolean(), traceState: word },
    { requiredKeys: ["traceId", "spanId", "sampled"] },
  ),
);
const port = fc.record({
  hostAddress: word,
  hostPort: fc.nat({ max: 65_535 }),
  guestPort: fc.nat({ max: 65_535 }),
  protocol: fc.constantFrom("tcp" as const, "udp" as const),
});
const spec: fc.Arbitrary<VmSpec> = fc.record({
  vcpus: fc.integer({ min: 1, max: 64 }),
  memoryBytes: size,
  image: text,
  commandLine: text,
  network: fc.oneof(
    fc.constant({ kind: "none" as const }),
    fc.record({ kind: fc.constant("user" as const), ports: fc.array(port, { maxLength: 3 }), egress: fc.boolean() }),
    fc.record({ kind: fc.constant("bridge" as const), bridge: text, macAddress: maybe(word) }),
  ),
  disks: fc.array(
    fc.record({ name: text, sizeBytes: size, kind: fc.constantFrom("ephemeral" as const, "persistent" as const) }),
    { maxLength: 3 },
  ),
  onNodeLoss: fc.constantFrom("restart" as const, "hold" as const),
  acceptDiskLoss: fc.boolean(),
  labels: fc.dictionary(word, text, { maxKeys: 3, noNullPrototype: true }),
  restartPolicy: fc.constantFrom("never" as const, "on-failure" as const, "always" as const),
  bootTimeoutMs: duration,
  stopTimeoutMs: duration,
  guestAgent: maybe(fc.boolean()),
});
const desiredState = fc.constantFrom("running" as const, "stopped" as const, "paused" as const, "deleted" as const);
const intent: fc.Arbitrary<VmIntent> = fc.record({
  id: word,
  name: word,
  spec,
  desiredState,
  generation: count,
  restartGeneration: count,
  force: fc.boolean(),
  createTimeMs: time,
  origin: trace,
  operations: fc.array(
    fc.record({ operationId: text, kind: fc.constantFrom(...vmOperationKinds), trace, timeMs: time }),
    { maxLength: 3 },
  ),
  createOperationId: text,
  createRequestDigest: hexOf(32),
  imageDigest: text,
});
const placement: fc.Arbitrary<VmPlacement> = fc.record({
  vmId: word,
  nodeId: maybe(word),
  refusals: fc.array(fc.record({ nodeId: text, reason: fc.constantFrom(...placementRefusalReasons), message: text }), {
    maxLength: 3,
  }),
  timeMs: time,
  attempts: count,
});
const assignment: fc.Arbitrary<VmAssignment> = fc.record({
  vmId: word,
  vmName: word,
  spec,
  desiredState,
  generation: count,
  restartGeneration: count,
  force: fc.boolean(),
  cause: trace,
  origin: trace,
  operationId: text,
  operationKind: fc.constantFrom(...vmOperationKinds),
  operationTimeMs: time,
  imageDigest: text,
});
const status: fc.Arbitrary<VmStatus> = fc.record({
  vmId: word,
  nodeId: maybe(word),
  state: fc.constantFrom(...vmStates),
  reason: text,
  message: text,
  stateTimeMs: time,
  observedGeneration: count,
  observedRestartGeneration: count,
  restarts: count,
  driver: fc.constantFrom("qemu" as const, "simulated" as const, undefined),
  accelerator: fc.constantFrom("kvm" as const, "tcg" as const, "none" as const, undefined),
  readiness: fc.constantFrom("guest" as const, "hypervisor" as const, undefined),
  startTimeMs: maybe(time),
  publishedPorts: fc.array(port, { maxLength: 2 }),
  lastExit: maybe(
    fc.record({
      cause: fc.constantFrom("shutdown" as const, "panic" as const, "guardian_lost" as const),
      exitCode: maybe(fc.integer({ min: -1, max: 255 })),
      signal: maybe(word),
      timeMs: time,
      detail: text,
    }),
  ),
  nextRestartTimeMs: maybe(time),
  errorCode: maybe(word),
  removed: fc.boolean(),
});
const registration: fc.Arbitrary<NodeRegistration> = fc.record({
  id: word,
  capacity: fc.record({ vcpus: count, memoryBytes: size, diskBytes: size }),
  version: text,
  driver: fc.constantFrom("qemu" as const, "simulated" as const),
  accelerator: fc.constantFrom("kvm" as const, "tcg" as const, "none" as const),
  acceleratorReason: text,
  hypervisorVersion: text,
  startTimeMs: time,
  server: fc.boolean(),
  metrics: fc.option(
    fc.record({
      address: text,
      scheme: fc.constantFrom("http" as const, "https" as const),
      path: text,
      job: text,
      instance: text,
    }),
    { nil: undefined },
  ),
});
const image: fc.Arbitrary<ImageManifest> = fc.record({
  name: word,
  digest: text,
  files: fc.array(
    fc.record({
      role: fc.constantFrom("kernel" as const, "initrd" as const, "disk" as const),
      sizeBytes: size,
      sha256: hexOf(32),
      diskFormat: fc.constantFrom("raw" as const, "qcow2" as const, undefined),
      chunkSizeBytes: count,
      chunkSha256: fc.array(hexOf(32), { maxLength: 3 }),
    }),
    { maxLength: 3 },
  ),
  commandLine: text,
  guestAgent: fc.boolean(),
  createTimeMs: time,
  operationId: text,
});

function entryOf(value: Uint8Array): Parameters<RecordCodec<object>["decode"]>[0] {
  return { key: "/blixard/v1/x", value, createRevision: 1n, modRevision: 7n, leaseId: undefined };
}

function testRoundTrip<T extends object>(name: string, codec: RecordCodec<T>, values: fc.Arbitrary<T>): void {
  test(`${name} is read as it was written`, () => {
    fc.assert(
      fc.property(values, (value) => {
        const read = codec.decode(entryOf(codec.encode(value)));
        // The clone gives generated objects the prototype that ours have.
        assert.deepEqual(read, structuredClone({ value, modRevision: 7n }));
      }),
    );
  });
}

testRoundTrip("a VM's intent", vmIntentCodec, intent);
testRoundTrip("a placement", placementCodec, placement);
testRoundTrip("an assignment", assignmentCodec, assignment);
testRoundTrip("a status", vmStatusCodec, status);
testRoundTrip("a node", nodeCodec, registration);
testRoundTrip("an image", imageCodec, image);
testRoundTrip(
  "a trace rule",
  traceRuleCodec,
  fc.record({
    id: word,
    vmId: word,
    vmName: word,
    createTimeMs: time,
    expireTimeMs: time,
    traceId: fc.option(word, { nil: undefined }),
  }),
);
testRoundTrip("a name", vmNameCodec, fc.record({ vmId: word }));
testRoundTrip("an image's user", imageUserCodec, fc.record({ vmId: word }));
testRoundTrip("a node's policy", nodePolicyCodec, fc.record({ cordoned: fc.boolean() }));
testRoundTrip("a lease's holder", leaseHolderCodec, fc.record({ nodeId: word, instanceId: word }));
testRoundTrip("the cluster", clusterCodec, fc.record({ id: word, name: word, createTimeMs: time }));

test("bytes that are no record are an error of the store with the key in it, never another exception", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      for (const codec of [vmIntentCodec, placementCodec, assignmentCodec, vmStatusCodec, nodeCodec, imageCodec]) {
        try {
          codec.decode(entryOf(bytes));
        } catch (error) {
          assert.ok(error instanceof BlixardError && error.code === "STORE_CORRUPT", String(error));
          assert.match(error.message, /\/blixard\/v1\/x/);
        }
      }
    }),
    { numRuns: 500 },
  );
});

const unknownField = { no: 900, wireType: 0, data: Uint8Array.of(42) };

/** A record of a newer version: unknown fields at every depth, and a higher schema version. */
function recordOfTheFuture(value: VmIntent): Uint8Array {
  const record = fromBinary(VmRecordSchema, vmIntentCodec.encode(value));
  record.schemaVersion = 9;
  record.$unknown = [unknownField];
  const { spec: specMessage, operations } = record;
  assert.ok(specMessage !== undefined);
  specMessage.$unknown = [unknownField];
  for (const message of [specMessage.network, specMessage.network?.kind.value, ...specMessage.disks, ...operations]) {
    if (message !== undefined) message.$unknown = [unknownField];
  }
  return toBinary(VmRecordSchema, record);
}

test("what a newer version wrote survives a rewrite of the record, at every depth", () => {
  fc.assert(
    fc.property(intent, (value) => {
      const before = recordOfTheFuture(value);
      const { value: read } = vmIntentCodec.decode(entryOf(before));
      assert.deepEqual(fromBinary(VmRecordSchema, vmIntentCodec.encode(read)), fromBinary(VmRecordSchema, before));
      // An edit by way of a copy, as every change of intent is.
      const edited = fromBinary(VmRecordSchema, vmIntentCodec.encode({ ...read, generation: 77 }));
      assert.deepEqual(edited, { ...fromBinary(VmRecordSchema, before), generation: 77n });
    }),
  );
});

test("an assignment hands on what the intent's spec has from a newer version", () => {
  fc.assert(
    fc.property(intent, assignment, (value, other) => {
      const { value: read } = vmIntentCodec.decode(entryOf(recordOfTheFuture(value)));
      const bytes = assignmentCodec.encode({ ...other, spec: read.spec });
      const { value: received } = assignmentCodec.decode(entryOf(bytes));
      assert.deepEqual(vmSpecToMessage(received.spec).$unknown, [unknownField]);
    }),
  );
});

test("a record that is made anew keeps what the one before carried", () => {
  const bytes = recordOfTheFuture(fc.sample(intent, 1)[0] ?? assert.fail());
  const { value: previous } = vmIntentCodec.decode(entryOf(bytes));
  const [fresh] = fc.sample(intent, 1);
  assert.ok(fresh !== undefined);
  const record = fromBinary(VmRecordSchema, vmIntentCodec.encode(carryUnknown(previous, fresh)));
  assert.deepEqual([record.schemaVersion, record.$unknown], [9, [unknownField]]);
});

test("a kind of network that only newer versions know is handed on and not mistaken for none", () => {
  const message = create(VmSpecSchema, { network: create(NetworkSchema) });
  assert.ok(message.network !== undefined);
  message.network.$unknown = [{ no: 9, wireType: 2, data: Uint8Array.of(0) }];
  const back = vmSpecToMessage(vmSpecFromMessage(message));
  assert.deepEqual(back.network?.$unknown, message.network.$unknown);
});

test("absent fields of a spec read as the defaults that the API documents", () => {
  assert.deepEqual(vmSpecFromMessage(create(VmSpecSchema, { image: "demo" })), {
    vcpus: 1,
    memoryBytes: 256 * 1024 * 1024,
    image: "demo",
    commandLine: "",
    network: { kind: "none" },
    disks: [],
    onNodeLoss: "restart",
    acceptDiskLoss: false,
    labels: {},
    restartPolicy: "on-failure",
    bootTimeoutMs: 120_000,
    stopTimeoutMs: 15_000,
    guestAgent: undefined,
  });
  const persistent = create(VmSpecSchema, { disks: [{ name: "data", kind: { case: "persistent", value: {} } }] });
  assert.equal(vmSpecFromMessage(persistent).onNodeLoss, "hold");
});
