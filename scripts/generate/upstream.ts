/** The table of upstream's names (`telemetry/upstream.json`), made by scripts/semconv-table.ts. */
import { readFile } from "node:fs/promises";

export type RequirementLevel = "required" | "conditionally_required" | "recommended" | "opt_in";

export interface UpstreamEntry {
  readonly stability: string;
  /** Deprecated: its new name, or the empty text when it has none. */
  readonly deprecated?: string;
}

export interface UpstreamAttribute extends UpstreamEntry {
  /** `string`, `int`, `double`, `boolean`, `string[]` …, `template[string]`. */
  readonly type: string;
  /** Of an enumeration. It is open: other values may be used where none of these fits. */
  readonly values?: readonly (string | number)[];
}

export interface UpstreamSignal extends UpstreamEntry {
  readonly attributes: Readonly<Record<string, RequirementLevel>>;
}

export interface UpstreamTable {
  readonly version: string;
  readonly commit: string;
  readonly attributes: Readonly<Record<string, UpstreamAttribute>>;
  readonly metrics: Readonly<Record<string, UpstreamSignal & { readonly instrument: string; readonly unit: string }>>;
  /** By id without `span.`: `rpc.grpc.call.server`. */
  readonly spans: Readonly<Record<string, UpstreamSignal & { readonly kind: string }>>;
  readonly events: Readonly<Record<string, UpstreamSignal>>;
  readonly entities: Readonly<Record<string, UpstreamSignal>>;
}

export async function readUpstreamTable(path: string): Promise<UpstreamTable> {
  return JSON.parse(await readFile(path, "utf8")) as UpstreamTable;
}
