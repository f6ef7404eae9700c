/**
 * The file of `OTEL_CONFIG_FILE`: OpenTelemetry's declarative configuration, as
 * values of our keys and as destinations.
 *
 * It takes the place of exporters, processors, samplers, limits, propagators and,
 * where it has one, of the resource. What it says that has no meaning here is a
 * warning with line and column; what is not of the schema's types is a problem.
 * Source: open-telemetry/opentelemetry-configuration, schema 1.1.
 */
import { dirname, resolve } from "node:path";
import type { Destination } from "../destinations.ts";
import type { Place, Problem } from "../problem.ts";
import type { ReadValue } from "../read-section.ts";
import type { Position } from "../toml-document.ts";
import { NodeReader, type Located, type Report } from "./node-reader.ts";
import type { Signal } from "./otlp-exporters.ts";
import {
  FLAT_ATTRIBUTES,
  readLoggerProvider,
  readMeterProvider,
  readTracerProvider,
  type FileContext,
} from "./providers.ts";
import { readPropagator, readResource } from "./resource-and-context.ts";
import { parseYaml } from "./yaml-tree.ts";

export interface OtelFileSource {
  readonly path: string;
  /** The variable that named it. */
  readonly variable: string;
  readonly text: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** For `${file:PATH}`; throws an Error that says why not. */
  readonly readSubstitute: (path: string) => string;
}

export interface OtelSetting {
  readonly path: string;
  /** As the key's kind reads it. */
  readonly text: string;
  readonly place: Place;
}

export interface PlacedDestination {
  readonly signal: Signal;
  readonly destination: Destination;
  readonly place: Place;
}

export interface OtelFile {
  readonly variable: string;
  readonly path: string;
  /** Of several for one key the first counts. */
  readonly settings: readonly OtelSetting[];
  /** Of `observability.resource_attributes`, when the file has a resource. */
  readonly resourceAttributes: ReadValue | undefined;
  readonly destinations: readonly PlacedDestination[];
  readonly problems: readonly Problem[];
  readonly warnings: readonly string[];
}

/** Never throws for what the text holds. */
export function readOtelFile(source: OtelFileSource): OtelFile {
  const { path, variable } = source;
  const place = ({ line, column }: Position): Place => ({ kind: "file", file: path, line, column, variable });
  const report: Report = { place, problems: [], warnings: [] };
  const settings: OtelSetting[] = [];
  const destinations: PlacedDestination[] = [];
  let resourceAttributes: ReadValue | undefined;
  const context: FileContext = {
    file: path,
    environment: source.environment,
    set: (key, text, at) => void settings.push({ path: key, text, place: place(at) }),
    send: (signal, { value, at }) => void destinations.push({ signal, destination: value, place: place(at) }),
    setResource: (value, at) => void (resourceAttributes = { value, place: place(at) }),
  };
  if (variable !== "OTEL_CONFIG_FILE") report.warnings.push(`${variable} is deprecated: use OTEL_CONFIG_FILE`);
  const substitute = (name: string): string => source.readSubstitute(resolve(dirname(path), name));
  const tree = parseYaml({ ...source, place, readSubstitute: substitute }, report.problems);
  if (tree?.kind === "map") readRoot(new NodeReader(tree, "", report), context);
  else if (report.problems.length === 0)
    report.problems.push({ place: place({ line: 1, column: 1 }), message: "expected a map with file_format" });
  const { problems, warnings } = report;
  return { variable, path, settings, resourceAttributes, destinations, problems, warnings };
}

function readRoot(root: NodeReader, context: FileContext): void {
  if (!readFormat(root)) return;
  const disabled = root.boolean("disabled");
  if (disabled?.value === true) context.set("observability.enabled", "false", disabled.at);
  const level = root.choice("log_level", SEVERITIES);
  if (level !== undefined) context.set("observability.logging.level", levelOf(level), level.at);
  const resource = root.map("resource");
  if (resource !== undefined) readResource(resource, context);
  readPropagator(root.map("propagator"), root.at, context);
  const tracer = root.map("tracer_provider");
  const meter = root.map("meter_provider");
  const logger = root.map("logger_provider");
  // Limits of one signal come first: of several settings of a key the first counts.
  if (tracer !== undefined) readTracerProvider(tracer, context);
  if (meter !== undefined) readMeterProvider(meter, context);
  if (logger !== undefined) readLoggerProvider(logger, context);
  const limits = root.map("attribute_limits");
  if (limits !== undefined) readAttributeLimits(limits, context);
  readInstrumentation(root);
  root.unsupported("distribution", "Blixard has no settings there");
  root.end();
}

const SUPPORTED_MINOR = 1;

function readFormat(root: NodeReader): boolean {
  const format = root.string("file_format");
  const match = /^(\d+)\.(\d+)(-[\w.]+)?$/.exec(format?.value ?? "");
  const [, major, minor] = match ?? [];
  if (format === undefined) {
    if (root.node("file_format") === undefined) root.fail(root.at, 'file_format is missing: expected "1.1", in quotes');
    return false;
  }
  if (major !== "1") {
    root.fail(
      format.at,
      'file_format: Blixard reads the 1.x line, such as "1.1"; versions before 1.0 differ in their keys',
    );
    return false;
  }
  if (Number(minor) > SUPPORTED_MINOR)
    root.warn(format.at, `file_format is newer than 1.${SUPPORTED_MINOR}: what came after it has no effect`);
  return true;
}

const LEVELS = ["trace", "debug", "info", "warn", "error", "fatal"] as const;
const SEVERITIES: readonly string[] = LEVELS.flatMap((level) => [level, `${level}2`, `${level}3`, `${level}4`]);

function levelOf({ value }: Located<string>): string {
  const level = value.replace(/\d$/, "");
  if (level === "trace") return "debug";
  return level === "fatal" ? "error" : level;
}

function readAttributeLimits(limits: NodeReader, context: FileContext): void {
  for (const [name, key] of [
    ["attribute_value_length_limit", "attribute_value_length"],
    ["attribute_count_limit", "attribute_count"],
  ] as const) {
    const limit = limits.integer(name);
    if (limit === undefined) continue;
    for (const section of ["tracing", "logging"])
      context.set(`observability.${section}.limits.${key}`, String(limit.value), limit.at);
  }
  limits.unsupported("attribute_value_depth_limit", FLAT_ATTRIBUTES);
  limits.end();
}

/** Of instrumentation there is nothing to choose; what asks for the stable conventions asks for what is so. */
function readInstrumentation(root: NodeReader): void {
  const instrumentation = root.map("instrumentation/development");
  const general = instrumentation?.map("general");
  general?.ignore("stability_opt_in_list");
  general?.end();
  instrumentation?.end();
}
