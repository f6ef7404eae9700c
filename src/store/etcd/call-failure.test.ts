import assert from "node:assert/strict";
import { test } from "node:test";
import { Metadata, status } from "@grpc/grpc-js";
import { dbClientOperationDuration } from "#gen/telemetry/metrics.ts";
import { BlixardError } from "#model/errors.ts";
import { createMemoryTelemetry } from "#test/support/memory-telemetry.ts";
import { createSystemClock } from "#telemetry/system-clock.ts";
import { createInstrumentedKeyValueStore } from "../instrumented-key-value-store.ts";
import { createMemoryKeyValueStore } from "../memory/memory-key-value-store.ts";
import { statusNameOf } from "./call-failure.ts";

const refused = Object.assign(new Error("no"), {
  code: status.UNAVAILABLE,
  details: "etcdserver: no leader",
  metadata: new Metadata(),
});

test("a failed call's status is found below what was wrapped around it", () => {
  assert.equal(statusNameOf(new BlixardError("STORE_UNAVAILABLE", "x", { cause: refused })), "UNAVAILABLE");
  assert.equal(statusNameOf(refused), "UNAVAILABLE");
  assert.equal(statusNameOf(Object.assign(new Error("no"), { code: "ECONNREFUSED" })), undefined);
  assert.equal(statusNameOf(undefined), undefined);
});

test("the duration of a failed call says with which status, that of a call that was never answered says none", async () => {
  const telemetry = createMemoryTelemetry();
  const clock = createSystemClock();
  const memory = createMemoryKeyValueStore({ clock });
  let cause: unknown = refused;
  const failing = {
    ...memory,
    get: () => Promise.reject(new BlixardError("STORE_UNAVAILABLE", "read: the store does not answer", { cause })),
  };
  const store = createInstrumentedKeyValueStore(failing, { telemetry, clock });
  const failure = {
    "db.system.name": "etcd",
    "db.operation.name": "range",
    "db.collection.name": "vms",
    "error.type": "STORE_UNAVAILABLE",
  } as const;
  await assert.rejects(store.get("/blixard/v1/vms/a", { collection: "vms" }));
  assert.ok(
    telemetry.value(dbClientOperationDuration, { ...failure, "db.response.status_code": "UNAVAILABLE" }) !== undefined,
  );
  assert.equal(telemetry.value(dbClientOperationDuration, failure), undefined);
  cause = new Error("not sent");
  await assert.rejects(store.get("/blixard/v1/vms/a", { collection: "vms" }));
  assert.ok(telemetry.value(dbClientOperationDuration, failure) !== undefined);
});
