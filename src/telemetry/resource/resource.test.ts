import assert from "node:assert/strict";
import { test } from "node:test";
import { readHostFacts } from "./host-facts.ts";
import { createResource } from "./resource.ts";
import { uuidV5 } from "./uuid-v5.ts";

const options = {
  serviceName: "blixard",
  serviceVersion: "0.1.0",
  clusterName: "home",
  clusterId: "c1",
  nodeId: "node-1",
};

test("a name-based UUID is the one RFC 9562 computes", () => {
  assert.equal(
    uuidV5("6ba7b810-9dad-11d1-80b4-00c04fd430c8", "www.example.com"),
    "2ed6657d-e927-568b-95e1-2665a8aea6a2",
  );
});

test("a node keeps its instance id, and two clusters' nodes of one name differ", () => {
  const host = readHostFacts();
  const id = (clusterId: string): unknown =>
    createResource({ ...options, clusterId }, host).attributes["service.instance.id"];
  assert.equal(id("c1"), id("c1"));
  assert.notEqual(id("c1"), id("c2"));
});

test("a node says who it is on every signal, and never its command's arguments", () => {
  const { attributes } = createResource(options, readHostFacts());
  assert.equal(attributes["service.name"], "blixard");
  assert.equal(attributes["service.namespace"], "home");
  assert.equal(attributes["telemetry.sdk.language"], "nodejs");
  assert.equal(attributes["process.pid"], process.pid);
  assert.ok(!Object.keys(attributes).some((key) => key.startsWith("process.command_")));
  for (const value of Object.values(attributes)) assert.notEqual(value, "");
});

test("the operator's attributes win over detected ones, but not over the service's name", () => {
  const { attributes } = createResource(
    { ...options, attributes: { "host.name": "rack-4", "service.name": "other", team: "a" } },
    readHostFacts(),
  );
  assert.equal(attributes["host.name"], "rack-4");
  assert.equal(attributes["team"], "a");
  assert.equal(attributes["service.name"], "blixard");
});
