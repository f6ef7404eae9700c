/**
 * The labels by which Prometheus tells apart whose series these are. What receives OTLP
 * makes them of the resource; a scrape has equal ones when its target is given them.
 * Source: Prometheus and OpenMetrics compatibility, resource attributes.
 */
import type { SpanAttributeValue } from "#model/recorded-span.ts";

export interface PrometheusIdentity {
  readonly job: string;
  readonly instance: string;
}

export function prometheusIdentity({
  attributes,
}: {
  readonly attributes: Readonly<Record<string, SpanAttributeValue>>;
}): PrometheusIdentity {
  const [namespace, name] = [textOf(attributes["service.namespace"]), textOf(attributes["service.name"])];
  return {
    job: namespace === "" ? name : `${namespace}/${name}`,
    instance: textOf(attributes["service.instance.id"]),
  };
}

function textOf(value: SpanAttributeValue | undefined): string {
  return value === undefined ? "" : String(value);
}
