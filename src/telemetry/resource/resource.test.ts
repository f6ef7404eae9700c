import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { readRegistry } from "../../../scripts/generate/registry.ts";
import { readUpstreamTable } from "../../../scripts/generate/upstream.ts";
import { readHostFacts } from "./host-facts.ts";
import { createGuestResource } from "./guest-resource.ts";
import { createResource, SCHEMA_URL } from "./resource.ts";
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

test("a guest is a host of its own in the node's cluster, the same one at every boot", () => {
  const node = createResource(
    { ...options, deploymentEnvironment: "test", attributes: { team: "a" } },
    { ...readHostFacts(), architecture: "x64" },
  );
  const web = createGuestResource(node, { vmId: "vm-1", vmName: "web" });
  const { "service.instance.id": id, ...attributes } = web.attributes;
  assert.deepEqual(attributes, {
    "service.name": "blixard-guest",
    "service.namespace": "home",
    "deployment.environment.name": "test",
    "host.id": "vm-1",
    "host.name": "web",
    "host.arch": "amd64",
    "os.type": "linux",
    "telemetry.sdk.name": "blixard",
    "telemetry.sdk.language": "nodejs",
    "telemetry.sdk.version": "0.1.0",
  });
  assert.equal(web.schemaUrl, SCHEMA_URL);
  assert.deepEqual(createGuestResource(node, { vmId: "vm-1", vmName: "web" }), web);
  assert.notEqual(createGuestResource(node, { vmId: "vm-2", vmName: "web" }).attributes["service.instance.id"], id);
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

test("a node in a container in a pod in a cloud says so, and the cloud's id of the machine wins", () => {
  const id = "a".repeat(64);
  const host = {
    ...readHostFacts(),
    machine: { vendor: "Amazon EC2", boardAssetTag: "i-0123456789abcdef0" },
    container: { cgroup: `0::/docker/${id}`, mountInfo: undefined, dockerFile: true, podmanFile: false },
    kubernetesNamespace: "default",
  };
  const { attributes } = createResource({ ...options, environment: { KUBERNETES_SERVICE_HOST: "10.0.0.1" } }, host);
  assert.equal(attributes["container.id"], id);
  assert.equal(attributes["container.runtime.name"], "docker");
  assert.equal(attributes["k8s.namespace.name"], "default");
  assert.equal(attributes["cloud.platform"], "aws_ec2");
  assert.equal(attributes["host.id"], "i-0123456789abcdef0");
  assert.ok(!Object.values(attributes).includes("undefined"));
});

test("every attribute of the resource is declared in the registry, with what its entities require", async () => {
  const registry = await readRegistry(join(import.meta.dirname, "../../../telemetry/registry"));
  const attributes = Object.keys(createResource(options, readHostFacts()).attributes);
  const declared = new Set(registry.entities.flatMap((entity) => entity.attributes.map(({ name }) => name)));
  assert.deepEqual(
    attributes.filter((name) => !declared.has(name)),
    [],
  );
  for (const name of ["service", "service.instance", "os", "process", "telemetry.sdk"]) {
    const entity = registry.entities.find((one) => one.name === name);
    const required = entity?.attributes.filter(({ requirement }) => requirement === "required") ?? [];
    assert.ok(required.length > 0, name);
    for (const each of required) assert.ok(attributes.includes(each.name), each.name);
  }
});

test("the schema that signals name is the one that the registry was checked against", async () => {
  const { version } = await readUpstreamTable(join(import.meta.dirname, "../../../telemetry/upstream.json"));
  assert.equal(SCHEMA_URL, `https://opentelemetry.io/schemas/${version}`);
});
