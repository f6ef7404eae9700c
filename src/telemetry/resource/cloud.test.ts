import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { detectCloud, detectKubernetes, type Environment, type MachineIdentity } from "./cloud.ts";

function cloudOf(machine: MachineIdentity, environment: Environment = {}): Record<string, string> {
  const facts = Object.entries(detectCloud(machine, environment));
  return Object.fromEntries(facts.filter((entry): entry is [string, string] => entry[1] !== undefined));
}

describe("the cloud, by the machine's firmware", () => {
  const machines: readonly [MachineIdentity, provider: string, platform: string][] = [
    [{ vendor: "Google", product: "Google Compute Engine" }, "gcp", "gcp_compute_engine"],
    [{ vendor: "Microsoft Corporation", chassisAssetTag: "7783-7084-3265-9085-8269-3286-77" }, "azure", "azure.vm"],
    [{ vendor: "QEMU", chassisAssetTag: "OracleCloud.com" }, "oracle_cloud", "oracle_cloud_compute"],
    [{ vendor: "Alibaba Cloud", product: "Alibaba Cloud ECS" }, "alibaba_cloud", "alibaba_cloud_ecs"],
    [{ vendor: "Tencent Cloud", product: "CVM" }, "tencent_cloud", "tencent_cloud_cvm"],
    [{ vendor: "Hetzner", product: "vServer" }, "hetzner", "hetzner.cloud_server"],
    [{ vendor: "Scaleway", product: "SCW-DEV1-S" }, "scaleway_cloud", "scaleway_cloud_compute"],
    [{ vendor: "Akamai", product: "Compute Instance" }, "akamai_cloud", "akamai_cloud.compute"],
    [{ vendor: "Vultr", product: "VC2" }, "vultr", "vultr.cloud_compute"],
  ];
  for (const [machine, provider, platform] of machines) {
    test(platform, () =>
      assert.deepEqual(cloudOf(machine), { "cloud.provider": provider, "cloud.platform": platform }),
    );
  }

  test("Amazon's machines say what they are called, too", () => {
    const machine = { vendor: "Amazon EC2", product: "m5.metal", boardAssetTag: "i-0123456789abcdef0" };
    assert.deepEqual(cloudOf(machine, { AWS_REGION: "eu-central-1" }), {
      "cloud.provider": "aws",
      "cloud.platform": "aws_ec2",
      "cloud.region": "eu-central-1",
      "host.id": "i-0123456789abcdef0",
      "host.type": "m5.metal",
    });
    assert.equal(cloudOf({ vendor: "Xen", product: "HVM domU", biosVersion: "4.11.amazon" })["host.type"], undefined);
  });

  test("a machine of nobody's is in no cloud, and a hypervisor is not one", () => {
    for (const machine of [{}, { vendor: "Dell Inc." }, { vendor: "QEMU" }, { vendor: "Microsoft Corporation" }]) {
      assert.deepEqual(cloudOf(machine, { AWS_REGION: "eu-central-1" }), {});
    }
  });
});

describe("the cloud, by the environment", () => {
  test("ECS", () => {
    const environment = { ECS_CONTAINER_METADATA_URI_V4: "http://169.254.170.2/v4/x", AWS_DEFAULT_REGION: "us-east-1" };
    assert.deepEqual(cloudOf({ vendor: "Amazon EC2" }, environment), {
      "cloud.provider": "aws",
      "cloud.platform": "aws_ecs",
      "cloud.region": "us-east-1",
    });
  });
  test("Cloud Run", () => {
    const environment = { K_SERVICE: "s", K_REVISION: "s-1", GOOGLE_CLOUD_PROJECT: "p" };
    assert.deepEqual(cloudOf({}, environment), {
      "cloud.provider": "gcp",
      "cloud.platform": "gcp_cloud_run",
      "cloud.account.id": "p",
    });
  });
  test("App Service, with the name that Azure has for it", () => {
    const environment = {
      WEBSITE_SITE_NAME: "web",
      WEBSITE_RESOURCE_GROUP: "group",
      WEBSITE_OWNER_NAME: "1234+group-westeuropewebspace",
      REGION_NAME: "westeurope",
    };
    assert.deepEqual(cloudOf({}, environment), {
      "cloud.provider": "azure",
      "cloud.platform": "azure.app_service",
      "cloud.region": "westeurope",
      "cloud.account.id": "1234",
      "cloud.resource_id": "/subscriptions/1234/resourceGroups/group/providers/Microsoft.Web/sites/web",
    });
    assert.equal(
      cloudOf({}, { ...environment, FUNCTIONS_EXTENSION_VERSION: "~4" })["cloud.platform"],
      "azure.functions",
    );
  });
  test("Container Apps and App Engine", () => {
    assert.equal(
      cloudOf({}, { CONTAINER_APP_NAME: "a", CONTAINER_APP_REVISION: "a--1" })["cloud.platform"],
      "azure.container_apps",
    );
    assert.equal(cloudOf({}, { GAE_SERVICE: "default", GAE_INSTANCE: "x" })["cloud.platform"], "gcp_app_engine");
  });
  test("an empty variable says nothing", () => assert.deepEqual(cloudOf({}, { WEBSITE_SITE_NAME: " " }), {}));
});

describe("the pod", () => {
  const inPod = { KUBERNETES_SERVICE_HOST: "10.0.0.1" };

  test("is what the downward API maps, under the usual names", () => {
    const facts = detectKubernetes({ ...inPod, POD_NAME: "blixard-0", K8S_NODE_NAME: "n1", NODE_NAME: "n2" }, {});
    assert.equal(facts["k8s.pod.name"], "blixard-0");
    assert.equal(facts["k8s.node.name"], "n1");
  });
  test("is what is mounted, where nothing is mapped", () => {
    const facts = detectKubernetes(inPod, { namespace: "default", podUid: "u" });
    assert.equal(facts["k8s.namespace.name"], "default");
    assert.equal(facts["k8s.pod.uid"], "u");
  });
  test("is none outside Kubernetes, whatever the variables are called", () =>
    assert.deepEqual(detectKubernetes({ POD_NAME: "x", NODE_NAME: "y" }, {}), {}));
});
