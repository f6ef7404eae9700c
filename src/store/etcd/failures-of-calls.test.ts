/** What callers are told of each answer that etcd can give, and what is sent with every call: against a server that says it. */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  type Metadata,
  Server,
  ServerCredentials,
  type ServiceDefinition,
  status,
  type UntypedHandleCall,
} from "@grpc/grpc-js";
import { KV, type TxnRequest, TxnRequestSchema, TxnResponseSchema } from "#gen/etcd/etcd/etcdserverpb/rpc_pb.ts";
import { BlixardError, type ErrorCode } from "#model/errors.ts";
import { createSystemClock } from "#telemetry/system-clock.ts";
import type { KeyValueStore } from "../key-value-store.ts";
import { createEtcdConnection } from "./connection.ts";
import { createEtcdKeyValueStore } from "./etcd-key-value-store.ts";

interface Failure {
  readonly code: number;
  readonly details: string;
}

let folder: string;
let server: Server;
let store: KeyValueStore;
let headers: Readonly<Record<string, string>>;
/** What the next calls are answered with; then they succeed. */
let failures: Failure[];
let received: Metadata[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "blixard-fake-etcd-"));
  failures = [];
  received = [];
  headers = {};
  server = new Server();
  server.addService(txnOnly, { txn: answer });
  const path = join(folder, "socket");
  await new Promise<void>((resolve, reject) => {
    server.bindAsync(`unix:${path}`, ServerCredentials.createInsecure(), (error) =>
      error === null ? resolve() : reject(error),
    );
  });
  const connection = createEtcdConnection({ endpoints: [{ kind: "unix", path }], traceHeaders: () => headers });
  store = createEtcdKeyValueStore({ connection, clock: createSystemClock(), random: () => 0, timeoutMs: 2000 });
});
afterEach(async () => {
  await store.close();
  server.forceShutdown();
  await rm(folder, { recursive: true });
});

const txnOnly: ServiceDefinition = {
  txn: {
    path: `/${KV.typeName}/Txn`,
    requestStream: false,
    responseStream: false,
    requestSerialize: (message: TxnRequest) => Buffer.from(toBinary(TxnRequestSchema, message)),
    requestDeserialize: (bytes: Buffer) => fromBinary(TxnRequestSchema, bytes),
    responseSerialize: (bytes: Buffer) => bytes,
    responseDeserialize: (bytes: Buffer) => bytes,
  },
};

const answer: UntypedHandleCall = ((
  call: { readonly metadata: Metadata },
  callback: (error: Failure | null, response?: Buffer) => void,
) => {
  received.push(call.metadata);
  const failure = failures.shift();
  if (failure !== undefined) callback(failure);
  else callback(null, Buffer.from(toBinary(TxnResponseSchema, create(TxnResponseSchema, { succeeded: true }))));
}) as UntypedHandleCall;

const write = (): Promise<unknown> =>
  store.transact({ compare: [], success: [{ kind: "put", key: "/a", value: Buffer.from("x") }] });

test("a write is tried again only after an answer that proves that nothing was changed", async () => {
  const proven: Failure[] = [
    { code: status.UNAVAILABLE, details: "etcdserver: no leader" },
    { code: status.RESOURCE_EXHAUSTED, details: "etcdserver: too many requests" },
    { code: status.UNAVAILABLE, details: "etcdserver: rpc not supported for learner" },
  ];
  for (const failure of proven) {
    received = [];
    failures = [failure];
    await write();
    assert.equal(received.length, 2, failure.details);
  }
});

test("a write that may have happened is sent once, and its outcome is said to be unknown", async () => {
  const ambiguous: Failure[] = [
    { code: status.UNAVAILABLE, details: "etcdserver: request timed out" },
    { code: status.UNAVAILABLE, details: "etcdserver: request timed out, possibly due to previous leader failure" },
    { code: status.UNAVAILABLE, details: "etcdserver: leader changed" },
    { code: status.UNAVAILABLE, details: "etcdserver: server stopped" },
    { code: status.UNAVAILABLE, details: "transport is closing" },
    { code: status.DEADLINE_EXCEEDED, details: "context deadline exceeded" },
    { code: status.UNKNOWN, details: "something new" },
    { code: status.INTERNAL, details: "stream terminated by RST_STREAM" },
  ];
  for (const failure of ambiguous) {
    received = [];
    failures = [failure];
    await assert.rejects(write(), hasCode("STORE_OUTCOME_UNKNOWN"), failure.details);
    assert.equal(received.length, 1, failure.details);
  }
});

test("an answer that tells the reason becomes the error that people can act on", async () => {
  const answers: [ErrorCode, Failure][] = [
    ["STORE_FULL", { code: status.RESOURCE_EXHAUSTED, details: "etcdserver: mvcc: database space exceeded" }],
    ["REQUEST_TOO_LARGE", { code: status.INVALID_ARGUMENT, details: "etcdserver: request is too large" }],
    ["INVALID_ARGUMENT", { code: status.INVALID_ARGUMENT, details: "etcdserver: duplicate key given in txn request" }],
    ["LEASE_LOST", { code: status.NOT_FOUND, details: "etcdserver: requested lease not found" }],
    ["STORE_UNAVAILABLE", { code: status.PERMISSION_DENIED, details: "etcdserver: permission denied" }],
    ["STORE_UNAVAILABLE", { code: status.UNAUTHENTICATED, details: "etcdserver: invalid auth token" }],
    ["STORE_CORRUPT", { code: status.DATA_LOSS, details: "etcdserver: corrupt cluster" }],
  ];
  for (const [code, failure] of answers) {
    failures = [failure];
    await assert.rejects(write(), hasCode(code), failure.details);
  }
});

test("a store that never gets a leader is given up at the deadline, and certainly nothing was written", async () => {
  failures = Array.from({ length: 1000 }, () => ({ code: status.UNAVAILABLE, details: "etcdserver: no leader" }));
  const attempt = store.transact(
    { compare: [], success: [{ kind: "put", key: "/a", value: Buffer.from("x") }] },
    { timeoutMs: 300 },
  );
  await assert.rejects(attempt, hasCode("STORE_UNAVAILABLE"));
  assert.ok(received.length > 2 && received.length < 30, `${received.length} tries`);
});

test("every call asks for a leader and carries the trace it belongs to", async () => {
  await write();
  headers = { traceparent: `00-${"1".repeat(32)}-${"2".repeat(16)}-01`, tracestate: "vendor=1" };
  await write();
  const [without, within] = received;
  assert.deepEqual(without?.get("hasleader"), ["true"]);
  assert.deepEqual(without?.get("traceparent"), []);
  assert.deepEqual(within?.get("traceparent"), [`00-${"1".repeat(32)}-${"2".repeat(16)}-01`]);
  assert.deepEqual(within?.get("tracestate"), ["vendor=1"]);
});

function hasCode(code: ErrorCode): (error: unknown) => boolean {
  return (error) => error instanceof BlixardError && error.code === code;
}
