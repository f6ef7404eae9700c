import assert from "node:assert/strict";
import { test } from "node:test";
import { prometheusIdentity } from "./prometheus-identity.ts";

test("job is the namespace and the name, or the name alone; instance is the instance id", () => {
  const all = { "service.namespace": "prod", "service.name": "blixard", "service.instance.id": "627cc493" };
  assert.deepEqual(prometheusIdentity({ attributes: all }), { job: "prod/blixard", instance: "627cc493" });
  assert.deepEqual(prometheusIdentity({ attributes: { "service.name": "edge" } }), { job: "edge", instance: "" });
});
