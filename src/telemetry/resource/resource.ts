/**
 * The resource: who this node is, on every signal it sends.
 *
 * Attribute names and values follow semantic-conventions 1.45. `telemetry.sdk.*`
 * names Blixard, because its exporters and its metrics engine are its own. What is
 * detected comes from files and the environment: nothing waits for a network.
 */
import type { SpanAttributeValue, SpanResource } from "#model/recorded-span.ts";
import type { ResourceOptions } from "../telemetry-options.ts";
import { detectCloud, detectKubernetes } from "./cloud.ts";
import { detectContainer } from "./container.ts";
import type { HostFacts } from "./host-facts.ts";
import { uuidV5 } from "./uuid-v5.ts";

/** Namespace for `service.instance.id`, given by the semantic conventions. */
export const INSTANCE_ID_NAMESPACE = "4d63009a-8d0f-11ee-aad7-4c796ed8e320";

/** Of the conventions whose names are on the signals. */
export const SCHEMA_URL = "https://opentelemetry.io/schemas/1.45.0";

/** `host.arch` by Node's name of the architecture. */
const HOST_ARCHITECTURES: Readonly<Record<string, string>> = {
  x64: "amd64",
  ia32: "x86",
  arm64: "arm64",
  arm: "arm32",
  ppc64: "ppc64",
  s390x: "s390x",
};

export function createResource(options: ResourceOptions, host: HostFacts): SpanResource {
  const environment = options.environment ?? {};
  const container = detectContainer(host.container);
  const detected: Record<string, SpanAttributeValue | undefined> = {
    "service.namespace": options.clusterName,
    "service.version": options.serviceVersion,
    "service.instance.id": uuidV5(INSTANCE_ID_NAMESPACE, `${options.clusterId}/${options.nodeId}`),
    "deployment.environment.name": options.deploymentEnvironment,
    "host.name": host.hostName,
    "host.id": host.hostId,
    "host.arch": HOST_ARCHITECTURES[host.architecture] ?? host.architecture,
    "os.type": "linux",
    "os.name": host.osName,
    "os.version": host.osRelease,
    "os.build_id": host.osVersion,
    "os.description": host.osDescription,
    "process.pid": host.processId,
    "process.parent_pid": host.parentProcessId,
    "process.creation.time": new Date(host.processStartMs).toISOString(),
    "process.executable.path": host.executablePath,
    "process.executable.name": host.executableName,
    "process.command": host.command,
    "process.owner": host.owner,
    "process.runtime.name": "nodejs",
    "process.runtime.version": host.runtimeVersion,
    "process.runtime.description": "Node.js",
    "telemetry.sdk.name": "blixard",
    "telemetry.sdk.language": "nodejs",
    "telemetry.sdk.version": options.serviceVersion,
    "container.id": container.id,
    "container.runtime.name": container.runtime,
    ...detectKubernetes(environment, { namespace: host.kubernetesNamespace, podUid: container.podUid }),
    // A cloud's id of a machine is worth more than the machine's own.
    ...withoutAbsent(detectCloud(host.machine, environment)),
  };
  return {
    schemaUrl: SCHEMA_URL,
    attributes: { ...withoutAbsent(detected), ...options.attributes, "service.name": options.serviceName },
  };
}

function withoutAbsent(
  attributes: Readonly<Record<string, SpanAttributeValue | undefined>>,
): Record<string, SpanAttributeValue> {
  const present: Record<string, SpanAttributeValue> = {};
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== "") present[key] = value;
  }
  return present;
}
