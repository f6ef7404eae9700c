/**
 * What arrived by OTLP, held against the registry: the live half of the registry's check,
 * with Weaver's finding ids. Stricter than Weaver's: an attribute must be declared on
 * its signal, not anywhere, and spans are checked too. Pure.
 */
import type { Finding } from "../../scripts/generate/finding.ts";
import type {
  AttributeReference,
  Registry,
  RegistryAttribute,
  RegistryEvent,
  RegistryMetric,
  RegistrySpan,
} from "../../scripts/generate/registry.ts";
import type { PlainValue } from "./otlp-checks.ts";
import type { ReceivedLog, ReceivedPoint, ReceivedSpan } from "./otlp-collect.ts";

type Values = Readonly<Record<string, PlainValue>>;
type SpanKind = RegistrySpan["kind"];

export interface LiveTelemetry {
  readonly spans: readonly Pick<ReceivedSpan, "name" | "attributes" | "resource" | "scopeName" | "message">[];
  readonly points: readonly ReceivedPoint[];
  readonly logs: readonly ReceivedLog[];
}

export interface LiveCheck {
  /** Each once, however often it was seen. */
  readonly findings: readonly Finding[];
  /** Names of registered signals that were seen, as `metric x`, `span x`, `event x`, `entity x`, `attribute x`. */
  readonly seen: ReadonlySet<string>;
}

/** Marks a metric's overflow series: it has no other attribute. */
const OVERFLOW = "otel.metric.overflow";
const LINK_ATTRIBUTE = "blixard.link.relation";
/** What a log record without a name of its own carries beside its attributes. */
const EXCEPTION_ATTRIBUTES = ["exception.type", "exception.message", "exception.stacktrace", "blixard.error.hint"];
const kindNames: readonly (SpanKind | undefined)[] = [
  undefined,
  "internal",
  "server",
  "client",
  "producer",
  "consumer",
];

export function checkLive(registry: Registry, { spans, points, logs }: LiveTelemetry): LiveCheck {
  const check = new Checker(registry);
  for (const span of spans) check.span(span);
  for (const point of points) check.point(point);
  for (const log of logs) check.log(log);
  const resources = new Set([...spans, ...points, ...logs].map(({ resource }) => JSON.stringify(resource)));
  for (const resource of resources) check.resource(JSON.parse(resource) as Values);
  return { findings: [...check.findings.values()], seen: check.seen };
}

/** The span of the registry that a received one is: protocol spans are told by kind and attributes, others by name. */
export function registeredSpanOf(name: string, kind: SpanKind | undefined, attributes: Values): string {
  if (kind === "server" && "rpc.system.name" in attributes) return "rpc.server";
  if (kind === "client" && "rpc.system.name" in attributes) return "rpc.client";
  if (kind === "client" && "db.system.name" in attributes) return "db.client";
  return "blixard.cli.command" in attributes ? "cli.command" : name;
}

class Checker {
  readonly findings = new Map<string, Finding>();
  readonly seen = new Set<string>();
  readonly #registry: Registry;
  readonly #attributes: ReadonlyMap<string, RegistryAttribute>;
  readonly #metrics: ReadonlyMap<string, RegistryMetric>;
  readonly #spans: ReadonlyMap<string, RegistrySpan>;
  readonly #events: ReadonlyMap<string, RegistryEvent>;

  constructor(registry: Registry) {
    this.#registry = registry;
    this.#attributes = byName(registry.attributes);
    this.#metrics = byName(registry.metrics);
    this.#spans = byName(registry.spans);
    this.#events = byName(registry.events);
  }

  point(point: ReceivedPoint): void {
    const metric = this.#metrics.get(point.name);
    if (metric === undefined) return this.#report("missing_metric", point.name, "the registry has no such metric");
    this.seen.add(`metric ${point.name}`);
    if (point.unit !== metric.unit)
      this.#report("unit_mismatch", point.name, `its unit is ${metric.unit}, not ${point.unit}`);
    const sent = `${point.monotonic ? "monotonic " : ""}${point.kind}`;
    if (!SENT_AS[metric.instrument].includes(sent))
      this.#report("unexpected_instrument", point.name, `a ${metric.instrument} is not sent as a ${sent}`);
    if (point.attributes[OVERFLOW] === true) return void this.seen.add(`attribute ${OVERFLOW}`);
    this.#signal(point.name, metric.attributes, point.attributes, true);
  }

  span({ name, attributes, message }: LiveTelemetry["spans"][number]): void {
    const kind = kindNames[message.kind];
    const registered = registeredSpanOf(name, kind, attributes);
    const span = this.#spans.get(registered);
    if (span === undefined) return this.#report("missing_span", name, "the registry has no such span");
    this.seen.add(`span ${registered}`);
    if (span.kind !== kind) this.#report("unexpected_kind", registered, `it is ${span.kind}, not ${kind}`);
    this.#signal(registered, span.attributes, attributes);
    for (const link of message.links) {
      for (const { key } of link.attributes) {
        this.seen.add(`attribute ${key}`);
        if (key !== LINK_ATTRIBUTE) this.#report("missing_attribute", registered, `${key} is on a link of it`);
      }
    }
    for (const { name: eventName } of message.events) {
      if (this.#events.has(eventName)) this.seen.add(`event ${eventName}`);
      else this.#report("missing_event", eventName, `it is on span ${registered}`);
    }
  }

  log({ eventName, severityText, attributes }: ReceivedLog): void {
    if (eventName === "") {
      for (const [key, value] of Object.entries(attributes)) this.#value("a log record", key, value);
      return;
    }
    const event = this.#events.get(eventName);
    if (event === undefined) return this.#report("missing_event", eventName, "the registry has no such event");
    this.seen.add(`event ${eventName}`);
    if (severityText.toLowerCase() !== event.severity)
      this.#report("unexpected_severity", eventName, `it is ${event.severity}, not ${severityText}`);
    const own = new Set(event.attributes.map(({ name }) => name));
    const extra = EXCEPTION_ATTRIBUTES.filter((name) => !own.has(name));
    this.#signal(eventName, event.attributes, withoutKeys(attributes, extra));
  }

  resource(attributes: Values): void {
    for (const entity of this.#registry.entities) {
      const present = entity.attributes.filter(({ name }) => name in attributes);
      if (present.length === 0) continue;
      this.seen.add(`entity ${entity.name}`);
      for (const { name, requirement } of entity.attributes) {
        if (requirement === "required" && !(name in attributes))
          this.#report("entity_required_attribute_not_present", entity.name, `${name} is not there`);
      }
    }
    const declared = new Set(this.#registry.entities.flatMap((entity) => entity.attributes.map(({ name }) => name)));
    for (const [key, value] of Object.entries(attributes)) {
      if (declared.has(key)) this.#value("the resource", key, value);
      else this.#report("missing_attribute", "resource", `${key} is no attribute of an entity`);
    }
  }

  /** The attribute that stands for all below its name: they may be on any span and log record. */
  #templateOf(key: string): RegistryAttribute | undefined {
    return this.#registry.attributes.find(({ name, template }) => template && key.startsWith(`${name}.`));
  }

  #signal(name: string, references: readonly AttributeReference[], attributes: Values, isMetric = false): void {
    const declared = new Set(references.map((reference) => reference.name));
    for (const [key, value] of Object.entries(attributes)) {
      if (declared.has(key) || (!isMetric && this.#templateOf(key) !== undefined)) this.#value(name, key, value);
      else this.#report("missing_attribute", name, `${key} is not declared on it`);
    }
    for (const reference of references) {
      if (reference.requirement === "required" && !(reference.name in attributes))
        this.#report("required_attribute_not_present", name, `${reference.name} is not there`);
    }
  }

  #value(subject: string, key: string, value: PlainValue): void {
    const attribute = this.#attributes.get(key) ?? this.#templateOf(key);
    if (attribute === undefined) return this.#report("missing_attribute", subject, `${key} is not declared`);
    this.seen.add(`attribute ${attribute.name}`);
    if (!hasType(attribute.type, value))
      return this.#report("type_mismatch", subject, `${key} is no ${attribute.type}: ${JSON.stringify(value)}`);
    if (attribute.values?.includes(String(value)) === false)
      this.#report("undefined_enum_variant", subject, `${key} has no value ${JSON.stringify(value)}`);
  }

  #report(id: string, subject: string, message: string): void {
    this.findings.set(`${id} ${subject} ${message}`, { id, level: "violation", subject, message, file: "" });
  }
}

const SENT_AS: Readonly<Record<RegistryMetric["instrument"], readonly string[]>> = {
  counter: ["monotonic sum"],
  updowncounter: ["sum"],
  gauge: ["gauge"],
  histogram: ["monotonic histogram", "monotonic exponentialHistogram"],
  info: ["sum"],
  stateset: ["sum"],
};

function hasType(type: RegistryAttribute["type"], value: PlainValue): boolean {
  if (type === "int") return Number.isSafeInteger(value);
  if (type === "double") return typeof value === "number";
  return typeof value === type;
}

function byName<T extends { readonly name: string }>(named: readonly T[]): ReadonlyMap<string, T> {
  return new Map(named.map((one) => [one.name, one]));
}

function withoutKeys(values: Values, keys: readonly string[]): Values {
  return Object.fromEntries(Object.entries(values).filter(([key]) => !keys.includes(key)));
}

/** Everything the registry declares, as `LiveCheck.seen` names it. */
export function registeredNames(registry: Registry): string[] {
  const names = (kind: string, named: readonly { readonly name: string }[]): string[] =>
    named.map(({ name }) => `${kind} ${name}`);
  return [
    ...names("metric", registry.metrics),
    ...names("span", registry.spans),
    ...names("event", registry.events),
    ...names("entity", registry.entities),
    ...names("attribute", registry.attributes),
  ];
}
