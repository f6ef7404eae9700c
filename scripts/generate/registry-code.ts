/**
 * The descriptors of all signals as TypeScript const data. It imports nothing; that
 * it fits the shapes of the telemetry port is checked in src/telemetry.
 */
import { prometheusMetricName } from "../../src/telemetry/exposition/prometheus-names.ts";
import type { GeneratedFiles } from "./output.ts";
import type { AttributeReference, Registry, RegistryAttribute } from "./registry.ts";

const folder = "src/gen/telemetry";
/** A metric that names VMs has room for 1,000 VMs with 50 series each: disks, interfaces, directions. */
const PER_VM_SERIES_LIMIT = 50_000;
const preamble = "// Generated from telemetry/registry by scripts/generate.ts. Do not edit.\n";

export function generateRegistryCode(registry: Registry): GeneratedFiles {
  const attributes = new Map(registry.attributes.map((attribute) => [attribute.name, attribute]));
  const metrics = registry.metrics.map((metric) =>
    declare(metric.name.replace(/^blixard\./, ""), metric.brief, {
      name: metric.name,
      prometheusName: prometheusMetricName(metric),
      instrument: metric.instrument,
      unit: metric.unit,
      valueType: metric.valueType,
      brief: metric.brief,
      attributes: describe(metric.attributes, attributes),
      ...(metric.perVm ? { seriesLimit: PER_VM_SERIES_LIMIT } : {}),
      ...(metric.buckets === undefined ? {} : { buckets: metric.buckets }),
    }),
  );
  const spans = registry.spans.map((span) =>
    declare(span.name, span.brief, {
      name: span.name,
      kind: span.kind,
      brief: span.brief,
      attributes: describe(span.attributes, attributes),
    }),
  );
  const events = registry.events.map((event) =>
    declare(event.name.replace(/^blixard\./, ""), event.brief, {
      name: event.name,
      severity: event.severity,
      brief: event.brief,
      attributes: describe(event.attributes, attributes),
    }),
  );
  return new Map([
    [`${folder}/attributes.ts`, attributesModule(registry.attributes)],
    [`${folder}/metrics.ts`, `${preamble}\n${metrics.join("\n")}`],
    [`${folder}/spans.ts`, `${preamble}\n${spans.join("\n")}`],
    [`${folder}/events.ts`, `${preamble}\n${events.join("\n")}`],
  ]);
}

/** `vm.operation.duration` -> `vmOperationDuration`. */
export function exportName(name: string): string {
  return name.replaceAll(/[._]([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

function attributesModule(attributes: readonly RegistryAttribute[]): string {
  const entries = attributes.map(({ name, type, template, values, brief }) => [
    name,
    { type, brief, ...(values === undefined ? {} : { values }), ...(template ? { template } : {}) },
  ]);
  return (
    `${preamble}\n/** Every attribute that Blixard may put on a signal, by its name. */\n` +
    `export const attributes = ${literal(Object.fromEntries(entries))} as const;\n`
  );
}

function describe(
  references: readonly AttributeReference[],
  attributes: ReadonlyMap<string, RegistryAttribute>,
): object {
  return Object.fromEntries(
    references.map(({ name, requirement }) => {
      const attribute = attributes.get(name);
      if (attribute === undefined) throw new Error(`attribute ${name} is not declared`);
      const { type, values } = attribute;
      return [name, { type, requirement, ...(values === undefined ? {} : { values }) }];
    }),
  );
}

function declare(name: string, brief: string, value: object): string {
  return `/** ${brief.replaceAll("*/", "* /")} */\nexport const ${exportName(name)} = ${literal(value)} as const;\n`;
}

/** JSON with the keys that need no quotes bare. */
function literal(value: object): string {
  return JSON.stringify(value, undefined, 2).replaceAll(/^(\s*)"([a-zA-Z_$][\w$]*)":/gm, "$1$2:");
}
