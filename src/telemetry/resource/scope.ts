/** The instrumentation scope of everything that Blixard itself tells. */
import type { SpanScope } from "#model/recorded-span.ts";
import { SCHEMA_URL } from "./resource.ts";

export function createScope(serviceVersion: string): Required<SpanScope> {
  return { name: "blixard", version: serviceVersion, schemaUrl: SCHEMA_URL };
}
