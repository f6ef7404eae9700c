/** `resource` and `propagator` of a declarative configuration. */
import { parseAttributes } from "../otel-conversions.ts";
import type { Position } from "../toml-document.ts";
import type { AttributeValue } from "../value-kinds.ts";
import type { NodeReader } from "./node-reader.ts";
import type { FileContext } from "./providers.ts";
import type { YamlNode } from "./yaml-tree.ts";

/** Entries of `attributes` win over those of `attributes_list`; `service.name` has a key of its own. */
export function readResource(resource: NodeReader, context: FileContext): void {
  const list = resource.string("attributes_list");
  const listed = list === undefined ? {} : parseAttributes(list.value);
  if (listed === undefined)
    resource.warn(
      list?.at ?? resource.at,
      "resource.attributes_list is ignored: expected key=value,key=value, percent-encoded",
    );
  const single = resource.maps("attributes").flatMap((attribute) => {
    const name = attribute.string("name");
    const value = readAttribute(attribute);
    attribute.end();
    return name === undefined || value === undefined ? [] : [[name.value, value] as const];
  });
  const { "service.name": serviceName, ...others }: Record<string, AttributeValue> = {
    ...listed,
    ...Object.fromEntries(single),
  };
  if (serviceName !== undefined) context.set("observability.tracing.service_name", String(serviceName), resource.at);
  context.setResource(Object.freeze(others), resource.at);
  const detection = resource.map("detection/development");
  if (detection !== undefined) readDetection(detection, context);
  resource.unsupported("schema_url", "the resource has the schema of its own conventions");
  resource.end();
}

const TYPES = ["string", "bool", "int", "double", "string_array", "bool_array", "int_array", "double_array"] as const;
type AttributeType = (typeof TYPES)[number];

/** Null: the entry is ignored. */
function readAttribute(attribute: NodeReader): AttributeValue | undefined {
  const type = attribute.choice("type", TYPES)?.value ?? "string";
  const node = attribute.node("value");
  if (node === undefined) return undefined;
  const value = valueOf(node, type);
  return value ?? attribute.fail(node.at, `value: expected ${type.replace("_", " ")}`);
}

function valueOf(node: YamlNode, type: AttributeType): AttributeValue | undefined {
  if (!type.endsWith("_array")) return scalarOf(node, type);
  if (node.kind !== "list") return undefined;
  const items = node.items.map((item) => scalarOf(item, type.replace("_array", "")));
  if (items.every((item) => typeof item === "string")) return items;
  if (items.every((item) => typeof item === "number")) return items;
  return items.every((item) => typeof item === "boolean") ? items : undefined;
}

function scalarOf(node: YamlNode, type: string): string | number | boolean | undefined {
  switch (node.kind) {
    case "string":
      return type === "string" ? node.value : undefined;
    case "boolean":
      return type === "bool" ? node.value : type === "string" ? String(node.value) : undefined;
    case "integer":
      return type === "int" || type === "double" ? node.value : type === "string" ? String(node.value) : undefined;
    case "float":
      return type === "double" ? node.value : type === "string" ? String(node.value) : undefined;
    default:
      return undefined;
  }
}

/**
 * The node's detectors run in any case; none waits on a network. `service` has the name of
 * OTEL_SERVICE_NAME, where the attributes have none: of several settings the first counts.
 */
function readDetection(detection: NodeReader, context: FileContext): void {
  for (const detector of detection.maps("detectors")) {
    const [name] = detector.names;
    const serviceName = name === "service" ? (context.environment["OTEL_SERVICE_NAME"]?.trim() ?? "") : "";
    if (serviceName !== "") context.set("observability.tracing.service_name", serviceName, detector.at);
    if (name === undefined || !["container", "host", "process", "service"].includes(name))
      detector.warn(detector.at, `${detector.path} has no effect: there are container, host, process and service`);
  }
  detection.unsupported("attributes", "all attributes of the detectors are kept");
  detection.end();
}

const PROPAGATORS = ["tracecontext", "baggage", "b3", "b3multi", "jaeger", "xray"];

/** Without any, nothing is read from or written to callers. */
export function readPropagator(propagator: NodeReader | undefined, at: Position, context: FileContext): void {
  const path = "observability.context.propagators";
  if (propagator === undefined) {
    context.set(path, "", at);
    return;
  }
  const list = propagator.string("composite_list");
  const names = [
    ...propagator.maps("composite").flatMap((entry) => entry.variant()?.name ?? []),
    ...(list?.value.split(",").map((name) => name.trim()) ?? []),
  ].filter((name) => name !== "" && name !== "none");
  for (const name of new Set(names.filter((candidate) => !PROPAGATORS.includes(candidate))))
    propagator.warn(
      propagator.at,
      `propagator ${JSON.stringify(name.slice(0, 40))} has no effect: there are ${PROPAGATORS.join(", ")}`,
    );
  context.set(path, [...new Set(names)].filter((name) => PROPAGATORS.includes(name)).join(","), propagator.at);
  propagator.end();
}
