/**
 * The signal registry as typed values: reads `telemetry/registry/**.yaml` (Weaver's
 * format v1, the part of it that Blixard uses) and resolves attribute references.
 * An unknown key is an error: a misspelt annotation must not pass for none.
 */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { parse } from "yaml";
import { z } from "zod";

const member = z.strictObject({ id: z.string(), value: z.string(), brief: z.string(), stability: z.string() });
const examples = z.array(z.union([z.string(), z.number(), z.boolean()])).optional();
const stability = z.enum(["development", "release_candidate", "stable"]);

const attributeSchema = z.strictObject({
  id: z.string(),
  type: z.union([
    z.enum(["string", "int", "double", "boolean", "template[string]"]),
    z.strictObject({ members: z.array(member).min(1) }),
  ]),
  stability,
  brief: z.string().min(1),
  note: z.string().optional(),
  examples,
  annotations: z
    .strictObject({
      blixard: z.strictObject({
        per_vm_attribute: z.boolean().optional(),
        // A name of OpenTelemetry's that is not in the conventions but elsewhere.
        specified_by: z.string().optional(),
      }),
    })
    .optional(),
});

const referenceSchema = z.strictObject({
  ref: z.string(),
  requirement_level: z
    .union([
      z.enum(["required", "recommended", "opt_in"]),
      z.strictObject({ conditionally_required: z.string() }),
      z.strictObject({ recommended: z.string() }),
    ])
    .optional(),
});

const common = { id: z.string(), stability, brief: z.string().min(1), note: z.string().optional() };
const references = z.array(referenceSchema).default([]);
/** Attributes that upstream has on a signal and we do not, each with the reason. */
const omits = z.record(z.string(), z.string().min(1)).optional();

const groupSchema = z.discriminatedUnion("type", [
  z.strictObject({
    id: z.string(),
    type: z.literal("attribute_group"),
    display_name: z.string(),
    brief: z.string().min(1),
    attributes: z.array(attributeSchema),
  }),
  z.strictObject({
    ...common,
    type: z.literal("metric"),
    metric_name: z.string(),
    instrument: z.enum(["counter", "updowncounter", "gauge", "histogram"]),
    unit: z.string(),
    annotations: z
      .strictObject({
        blixard: z
          .strictObject({
            buckets: z.array(z.number()).optional(),
            per_vm: z.boolean().optional(),
            // The format knows neither: they are declared as what they are on the OTLP route.
            kind: z.enum(["info", "stateset"]).optional(),
            omits,
          })
          .optional(),
        code_generation: z.strictObject({ metric_value_type: z.enum(["int", "double"]) }).optional(),
      })
      .optional(),
    attributes: references,
  }),
  z.strictObject({
    ...common,
    type: z.literal("span"),
    span_kind: z.enum(["internal", "server", "client", "producer", "consumer"]),
    annotations: z.strictObject({ blixard: z.strictObject({ span_name: z.string(), omits }) }),
    attributes: references,
  }),
  z.strictObject({
    ...common,
    type: z.literal("event"),
    name: z.string(),
    annotations: z.strictObject({
      blixard: z.strictObject({ severity: z.enum(["debug", "info", "warn", "error"]), omits }),
    }),
    attributes: references,
  }),
  z.strictObject({
    ...common,
    type: z.literal("entity"),
    name: z.string(),
    annotations: z.strictObject({ blixard: z.strictObject({ omits }) }).optional(),
    attributes: z.array(referenceSchema.extend({ role: z.enum(["identifying", "descriptive"]).optional() })),
  }),
]);

const fileSchema = z.strictObject({ groups: z.array(groupSchema) });

export interface RegistryAttribute {
  readonly name: string;
  readonly type: "string" | "int" | "double" | "boolean";
  /** Of a closed set. */
  readonly values?: readonly string[];
  readonly brief: string;
  /** A name that stands for all below it: `baggage` for `baggage.user`. */
  readonly template: boolean;
  /** It names one VM. */
  readonly perVm: boolean;
  readonly hasExamples: boolean;
  readonly stability: string;
  /** Which specification names it, when the conventions do not. */
  readonly specifiedBy?: string;
  /** The file that declares it. */
  readonly file: string;
}

export interface AttributeReference {
  readonly name: string;
  readonly requirement: "required" | "recommended" | "conditionally_required" | "opt_in";
  /** Why it is conditionally required. */
  readonly condition?: string;
}

interface Signal {
  /** The group's id. */
  readonly id: string;
  readonly name: string;
  readonly brief: string;
  readonly stability: string;
  readonly attributes: readonly AttributeReference[];
  /** Why an attribute that upstream has here is not ours, by its name. */
  readonly omits: Readonly<Record<string, string>>;
  readonly file: string;
}

/** What a resource describes: a service, a host, a process. */
export type RegistryEntity = Signal;

export interface RegistryMetric extends Signal {
  readonly instrument: "counter" | "updowncounter" | "gauge" | "histogram" | "info" | "stateset";
  /** As the registry's format names it. */
  readonly declaredInstrument: "counter" | "updowncounter" | "gauge" | "histogram";
  readonly unit: string;
  readonly valueType: "int" | "double";
  readonly buckets?: readonly number[];
  readonly perVm: boolean;
}

export interface RegistrySpan extends Signal {
  readonly kind: "internal" | "server" | "client" | "producer" | "consumer";
}

export interface RegistryEvent extends Signal {
  readonly severity: "debug" | "info" | "warn" | "error";
}

export interface Registry {
  readonly attributes: readonly RegistryAttribute[];
  readonly metrics: readonly RegistryMetric[];
  readonly spans: readonly RegistrySpan[];
  readonly events: readonly RegistryEvent[];
  readonly entities: readonly RegistryEntity[];
}

/** Reads every `.yaml` file below `folder` but the manifest, in order of their names. */
export async function readRegistry(folder: string): Promise<Registry> {
  const names = (await readdir(folder, { recursive: true })).filter(
    (name) => name.endsWith(".yaml") && name !== "manifest.yaml",
  );
  const files = new Map<string, string>();
  for (const name of names.toSorted()) files.set(name, await readFile(join(folder, name), "utf8"));
  return parseRegistry(files);
}

/** @throws Error naming the file and the place when a file is not in the format. */
export function parseRegistry(files: ReadonlyMap<string, string>): Registry {
  const attributes: RegistryAttribute[] = [];
  const metrics: RegistryMetric[] = [];
  const spans: RegistrySpan[] = [];
  const events: RegistryEvent[] = [];
  const entities: RegistryEntity[] = [];
  for (const [file, text] of files) {
    const parsed = fileSchema.safeParse(parse(text));
    if (!parsed.success) throw new Error(`${file}: ${z.prettifyError(parsed.error)}`);
    for (const group of parsed.data.groups) {
      if (group.type === "attribute_group") {
        attributes.push(...group.attributes.map((attribute) => toAttribute(attribute, file)));
        continue;
      }
      const signal = {
        id: group.id,
        brief: group.brief.trim(),
        stability: group.stability,
        attributes: group.attributes.map(toReference),
        omits: group.annotations?.blixard?.omits ?? {},
        file,
      };
      if (group.type === "metric") metrics.push({ ...signal, name: group.metric_name, ...metricFields(group) });
      else if (group.type === "span")
        spans.push({ ...signal, name: group.annotations.blixard.span_name, kind: group.span_kind });
      else if (group.type === "entity") entities.push({ ...signal, name: group.name });
      else events.push({ ...signal, name: group.name, severity: group.annotations.blixard.severity });
    }
  }
  return { attributes, metrics, spans, events, entities };
}

type MetricGroup = Extract<z.infer<typeof groupSchema>, { type: "metric" }>;

function metricFields(
  group: MetricGroup,
): Pick<RegistryMetric, "instrument" | "declaredInstrument" | "unit" | "valueType" | "perVm" | "buckets"> {
  const { blixard, code_generation: codeGeneration } = group.annotations ?? {};
  return {
    instrument: blixard?.kind ?? group.instrument,
    declaredInstrument: group.instrument,
    unit: group.unit,
    valueType: codeGeneration?.metric_value_type ?? (group.unit === "s" || group.unit === "1" ? "double" : "int"),
    perVm: blixard?.per_vm ?? false,
    ...(blixard?.buckets === undefined ? {} : { buckets: blixard.buckets }),
  };
}

function toAttribute(attribute: z.infer<typeof attributeSchema>, file: string): RegistryAttribute {
  const { type } = attribute;
  const { per_vm_attribute: perVm = false, specified_by: specifiedBy } = attribute.annotations?.blixard ?? {};
  return {
    name: attribute.id,
    type: typeof type === "string" && type !== "template[string]" ? type : "string",
    template: type === "template[string]",
    ...(typeof type === "string" ? {} : { values: type.members.map((entry) => entry.value) }),
    brief: attribute.brief.trim(),
    perVm,
    hasExamples: (attribute.examples?.length ?? 0) > 0,
    stability: attribute.stability,
    ...(specifiedBy === undefined ? {} : { specifiedBy }),
    file,
  };
}

function toReference({ ref, requirement_level: level }: z.infer<typeof referenceSchema>): AttributeReference {
  if (level === undefined) return { name: ref, requirement: "recommended" };
  if (typeof level === "string") return { name: ref, requirement: level };
  if ("recommended" in level) return { name: ref, requirement: "recommended" };
  return { name: ref, requirement: "conditionally_required", condition: level.conditionally_required };
}
