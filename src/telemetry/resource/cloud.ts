/**
 * Which cloud and which Kubernetes pod this process runs in, from what the machine's
 * firmware and the environment say. Pure. The clouds' metadata servers would know more
 * (zone, account, instance): they are not asked, because that is a request over a
 * network that may hang, at every start; an operator names what is missing in
 * `OTEL_RESOURCE_ATTRIBUTES`.
 */

/** Below `/sys/class/dmi/id`; a file that is not there or not for us is absent. */
export interface MachineIdentity {
  readonly vendor?: string | undefined;
  readonly product?: string | undefined;
  readonly biosVersion?: string | undefined;
  readonly chassisAssetTag?: string | undefined;
  readonly boardAssetTag?: string | undefined;
}

export type Environment = Readonly<Record<string, string | undefined>>;
type Facts = Readonly<Record<string, string | undefined>>;

interface CloudMachine {
  readonly provider: string;
  readonly platform?: string;
  readonly is: (machine: MachineIdentity) => boolean;
}

/** Microsoft gives this tag to the machines of its cloud, not to others under its hypervisor. */
const AZURE_TAG = "7783-7084-3265-9085-8269-3286-77";

const vendorIs =
  (pattern: RegExp): CloudMachine["is"] =>
  ({ vendor = "" }) =>
    pattern.test(vendor);

const machines: readonly CloudMachine[] = [
  {
    provider: "aws",
    platform: "aws_ec2",
    is: ({ vendor = "", biosVersion = "" }) => vendor === "Amazon EC2" || /amazon/i.test(biosVersion),
  },
  {
    provider: "gcp",
    platform: "gcp_compute_engine",
    is: ({ product = "" }) => product === "Google Compute Engine",
  },
  { provider: "azure", platform: "azure.vm", is: ({ chassisAssetTag }) => chassisAssetTag === AZURE_TAG },
  {
    provider: "oracle_cloud",
    platform: "oracle_cloud_compute",
    is: ({ chassisAssetTag }) => chassisAssetTag === "OracleCloud.com",
  },
  { provider: "alibaba_cloud", platform: "alibaba_cloud_ecs", is: vendorIs(/^Alibaba Cloud/) },
  { provider: "tencent_cloud", platform: "tencent_cloud_cvm", is: vendorIs(/^Tencent Cloud/) },
  { provider: "hetzner", platform: "hetzner.cloud_server", is: vendorIs(/^Hetzner/) },
  { provider: "scaleway_cloud", platform: "scaleway_cloud_compute", is: vendorIs(/^Scaleway/) },
  { provider: "akamai_cloud", platform: "akamai_cloud.compute", is: vendorIs(/^(Akamai|Linode)/) },
  { provider: "vultr", platform: "vultr.cloud_compute", is: vendorIs(/^Vultr/) },
];

/** Attributes `cloud.*`, and `host.*` where the machine knows what its cloud calls it. */
export function detectCloud(machine: MachineIdentity, environment: Environment): Facts {
  return fromService(environment) ?? fromMachine(machine, environment) ?? {};
}

function fromMachine(machine: MachineIdentity, environment: Environment): Facts | undefined {
  const found = machines.find(({ is }) => is(machine));
  if (found === undefined) return undefined;
  const facts = { "cloud.provider": found.provider, "cloud.platform": found.platform };
  if (found.provider !== "aws") return facts;
  const isInstance = /^i-[0-9a-f]{8,17}$/.test(machine.boardAssetTag ?? "");
  return {
    ...facts,
    "cloud.region": awsRegion(environment),
    ...(isInstance ? { "host.id": machine.boardAssetTag } : {}),
    // Xen's machines are all called HVM domU.
    ...(/^[a-z][\w-]*\.[\w-]+$/.test(machine.product ?? "") ? { "host.type": machine.product } : {}),
  };
}

/** Platforms that run a process for their customer say so in its environment. */
function fromService(environment: Environment): Facts | undefined {
  const has = (...names: readonly string[]): boolean => names.every((name) => textOf(environment[name]) !== undefined);
  if (has("ECS_CONTAINER_METADATA_URI_V4") || has("ECS_CONTAINER_METADATA_URI")) {
    return { "cloud.provider": "aws", "cloud.platform": "aws_ecs", "cloud.region": awsRegion(environment) };
  }
  if (has("K_SERVICE", "K_REVISION")) return googleFacts("gcp_cloud_run", environment);
  if (has("GAE_SERVICE", "GAE_INSTANCE")) return googleFacts("gcp_app_engine", environment);
  if (has("CONTAINER_APP_NAME", "CONTAINER_APP_REVISION")) {
    return { "cloud.provider": "azure", "cloud.platform": "azure.container_apps" };
  }
  return has("WEBSITE_SITE_NAME") ? azureSiteFacts(environment) : undefined;
}

function awsRegion(environment: Environment): string | undefined {
  return textOf(environment["AWS_REGION"]) ?? textOf(environment["AWS_DEFAULT_REGION"]);
}

function googleFacts(platform: string, environment: Environment): Facts {
  return {
    "cloud.provider": "gcp",
    "cloud.platform": platform,
    "cloud.account.id": textOf(environment["GOOGLE_CLOUD_PROJECT"]),
    "cloud.region": textOf(environment["GOOGLE_CLOUD_REGION"]),
  };
}

function azureSiteFacts(environment: Environment): Facts {
  const site = textOf(environment["WEBSITE_SITE_NAME"]);
  const group = textOf(environment["WEBSITE_RESOURCE_GROUP"]);
  // `subscription+group-regionwebspace`
  const account = textOf(environment["WEBSITE_OWNER_NAME"])?.split("+", 1)[0];
  const isFunction = textOf(environment["FUNCTIONS_EXTENSION_VERSION"]) !== undefined;
  return {
    "cloud.provider": "azure",
    "cloud.platform": isFunction ? "azure.functions" : "azure.app_service",
    "cloud.region": textOf(environment["REGION_NAME"]),
    "cloud.account.id": account,
    ...(account === undefined || group === undefined
      ? {}
      : {
          "cloud.resource_id": `/subscriptions/${account}/resourceGroups/${group}/providers/Microsoft.Web/sites/${site}`,
        }),
  };
}

/** The names under which the downward API is usually mapped, the first that is set. */
const KUBERNETES_VARIABLES: Readonly<Record<string, readonly string[]>> = {
  "k8s.cluster.name": ["K8S_CLUSTER_NAME"],
  "k8s.namespace.name": ["K8S_NAMESPACE_NAME", "K8S_NAMESPACE", "POD_NAMESPACE"],
  "k8s.node.name": ["K8S_NODE_NAME", "NODE_NAME"],
  "k8s.pod.name": ["K8S_POD_NAME", "POD_NAME"],
  "k8s.pod.uid": ["K8S_POD_UID", "POD_UID"],
  "k8s.container.name": ["K8S_CONTAINER_NAME", "CONTAINER_NAME"],
  "k8s.deployment.name": ["K8S_DEPLOYMENT_NAME", "DEPLOYMENT_NAME"],
};

/**
 * Attributes `k8s.*`, inside a pod only.
 * @param mounted what the service account's mount and the cgroup say
 */
export function detectKubernetes(
  environment: Environment,
  mounted: { readonly namespace?: string | undefined; readonly podUid?: string | undefined },
): Facts {
  if (textOf(environment["KUBERNETES_SERVICE_HOST"]) === undefined) return {};
  const named = Object.entries(KUBERNETES_VARIABLES).map(
    ([attribute, variables]) =>
      [attribute, variables.map((name) => textOf(environment[name])).find((text) => text !== undefined)] as const,
  );
  const facts: Facts = Object.fromEntries(named);
  return {
    ...facts,
    "k8s.namespace.name": facts["k8s.namespace.name"] ?? textOf(mounted.namespace),
    "k8s.pod.uid": facts["k8s.pod.uid"] ?? mounted.podUid,
  };
}

const MAXIMUM_LENGTH = 256;

function textOf(value: string | undefined): string | undefined {
  const text = value?.trim().slice(0, MAXIMUM_LENGTH);
  return text === "" ? undefined : text;
}
