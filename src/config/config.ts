/**
 * The node's configuration: TOML + environment + flags → one frozen `Config`.
 *
 *   flags > OTEL_CONFIG_FILE > OTEL_* > BLIXARD_* > TOML > default
 *
 * Called by `node run` and `config check|show`. All that is wrong is reported at
 * once, with places (`ConfigError`); nothing is half applied. What the keys are is
 * in `schema.ts`; nothing here knows a single one. Secrets are `Secret` from here on.
 */
import { dirname, resolve } from "node:path";
import { BlixardError } from "#model/errors.ts";
import { destinationsOfSections, enabledDestinations } from "./destinations.ts";
import { destinationsOfFile, isReplacedByOtelFile } from "./otel-file/replaced-keys.ts";
import type { OtelFile, PlacedDestination } from "./otel-file/read-otel-file.ts";
import { otelVariablesSet, readOtelVariables } from "./otel-variables.ts";
import { ConfigError, formatPlace, MAXIMUM_SHOWN_PROBLEMS, shorten, type Place, type Problem } from "./problem.ts";
import { nestValues, readDocument, type ReadValue } from "./read-section.ts";
import { checkAdvice, checkRules } from "./rules.ts";
import { configSchema, flattenKeys, type Config, type ConfigKey, type KeyValues } from "./schema.ts";
import type { ConfigHost, DefaultContext } from "./schema-types.ts";
import { suggest } from "./suggest.ts";
import { readSubstitute, readTextFile } from "./text-files.ts";
import { parseTomlDocument } from "./toml-document.ts";
import type { ReadContext } from "./value-kinds.ts";

export type { Config } from "./schema.ts";
export type { ConfigHost } from "./schema-types.ts";

/** Where a value comes from. */
export type Origin = Place | { readonly kind: "default" } | { readonly kind: "follows"; readonly path: string };

export interface ConfigSources {
  readonly file?: { readonly path: string; readonly text: string };
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** By key path: the flag as it was written, and its value. */
  readonly flags?: Readonly<Record<string, { readonly flag: string; readonly text: string }>>;
  readonly host: ConfigHost;
  /** What OTEL_CONFIG_FILE names; then no OTEL_* variable counts. */
  readonly otelFile?: OtelFile | undefined;
  /** Gives the text that `${file:PATH}` stands for, or throws an Error that says why not. Absent: there are none. */
  readonly readSubstitute?: (path: string) => string;
}

export interface LoadedConfig {
  readonly config: Config;
  /** Every key with its effective value and its origin, in the schema's order. */
  readonly entries: readonly ConfigEntry[];
  /** Those of OTEL_CONFIG_FILE, for `config show`. */
  readonly fileDestinations: readonly PlacedDestination[];
  /** What was not taken as it was written (OTEL_* variables, repeated tables); to be logged once. */
  readonly warnings: readonly string[];
}

export interface ConfigEntry {
  readonly path: string;
  /** As TOML, secrets redacted; undefined: unset. */
  readonly shown: string | undefined;
  readonly origin: Origin;
}

const ALL_KEYS = flattenKeys(configSchema);
const KEYS_BY_PATH = new Map(ALL_KEYS.map((configKey) => [configKey.path, configKey]));

/** @throws ConfigError with every problem there is. */
export function parseConfig(sources: ConfigSources): LoadedConfig {
  const problems: Problem[] = [];
  const warnings: string[] = [];
  const values = new Map<string, ReadValue>([
    ...readFileValues(sources, problems, warnings),
    ...readEnvironment(sources, problems),
  ]);
  if (sources.otelFile === undefined) readOtelEnvironment(sources, values, warnings);
  else applyOtelFile(sources.otelFile, sources, values, { problems, warnings });
  for (const [path, value] of readFlags(sources, problems)) values.set(path, value);
  const resolver = new DefaultResolver(values, sources.host);
  if (problems.length === 0) {
    const config = buildConfig(resolver, sources.otelFile);
    for (const { path, message } of checkRules(config)) {
      const place = placeOf(resolver.originOf(path)) ?? {
        kind: "file",
        file: sources.file?.path ?? "defaults",
        line: 1,
        column: 1,
      };
      problems.push({ place, key: path, message });
    }
    if (problems.length === 0)
      return {
        config,
        entries: ALL_KEYS.map((key) => describeEntry(key, resolver, values)),
        fileDestinations: sources.otelFile?.destinations ?? [],
        warnings: firstOf([...warnings, ...checkAdvice(config)]),
      };
  }
  throw new ConfigError(subjectOf(sources, problems), problems);
}

/** The file to mend, when it is one. */
function subjectOf({ file, otelFile }: ConfigSources, problems: readonly Problem[]): string {
  const allIn = (path: string): boolean => problems.every(({ place }) => place.kind === "file" && place.file === path);
  if (otelFile !== undefined && allIn(otelFile.path)) return otelFile.path;
  return file === undefined ? "the configuration" : file.path;
}

/** The nested object has exactly the shape that the schema gives `KeyValues`: both are made from the same table. */
function buildConfig(resolver: DefaultResolver, otelFile: OtelFile | undefined): Config {
  const values = nestValues(configSchema, (path) => resolver.get(path)) as KeyValues;
  const destinations =
    otelFile === undefined
      ? destinationsOfSections(values.observability)
      : enabledDestinations(values.observability, destinationsOfFile(otelFile));
  return Object.freeze({ ...values, destinations, otelFile: otelFile?.path });
}

function readFileValues(
  { file, environment, readSubstitute }: ConfigSources,
  problems: Problem[],
  warnings: string[],
): Map<string, ReadValue> {
  if (file === undefined) return new Map();
  const options = {
    file: file.path,
    baseDirectory: dirname(resolve(file.path)),
    environment,
    readSubstitute: readSubstitute ?? noSubstitutes,
    subject: "the configuration",
    problems,
    warnings,
  };
  return readDocument(parseTomlDocument(file.path, file.text), configSchema, options);
}

function noSubstitutes(): never {
  throw new Error("files are not read here");
}

function* readEnvironment(
  { environment, host }: ConfigSources,
  problems: Problem[],
): Iterable<readonly [string, ReadValue]> {
  for (const configKey of ALL_KEYS) {
    const variable =
      configKey.path === "node.data_dir" && environment[configKey.variable] === undefined
        ? "BLIXARD_DATA_DIR"
        : configKey.variable;
    const text = environment[variable];
    if (text === undefined || text === "") continue;
    const read = readText(configKey, text, { kind: "environment", variable }, host, (problem) =>
      problems.push(problem),
    );
    if (read !== undefined) yield [configKey.path, read];
  }
  const known = new Set(ALL_KEYS.map(({ variable }) => variable));
  for (const variable of Object.keys(environment)) {
    if (!/^BLIXARD_.*__/.test(variable) || known.has(variable)) continue;
    const suggestion = suggest(variable, known);
    problems.push({
      place: { kind: "environment", variable: shorten(variable) },
      message: "no key has this variable",
      ...(suggestion === undefined ? {} : { suggestion }),
    });
  }
}

/** Adds to `values` what the OTEL_* variables say. */
function readOtelEnvironment(
  { environment, host }: ConfigSources,
  values: Map<string, ReadValue>,
  warnings: string[],
): void {
  const resolver = new DefaultResolver(values, host);
  readOtelVariables(environment, {
    current: resolver.get,
    warn: (message) => warnings.push(message),
    set: (path, variable, text) => {
      const configKey = keyOf(path, variable);
      const ignored = `${variable} is ignored: `;
      const warn = ({ message }: Problem): void => {
        if (!warnings.includes(`${ignored}${message}`)) warnings.push(`${ignored}${message}`);
      };
      const read = readText(configKey, text, { kind: "environment", variable }, host, warn);
      if (read !== undefined) values.set(path, read);
    },
  });
}

function keyOf(path: string, source: string): ConfigKey {
  const configKey = KEYS_BY_PATH.get(path);
  if (configKey === undefined)
    throw new BlixardError("INTERNAL", `${source} stands for ${path}, which the schema does not have`);
  return configKey;
}

const SIGNAL_SWITCHES = {
  traces: "observability.tracing.enabled",
  metrics: "observability.metrics.otlp_enabled",
  logs: "observability.logging.otlp_enabled",
} as const;

/** Puts what the file says in the place of all that it replaces. */
function applyOtelFile(
  file: OtelFile,
  { environment, host }: ConfigSources,
  values: Map<string, ReadValue>,
  { problems, warnings }: { readonly problems: Problem[]; readonly warnings: string[] },
): void {
  problems.push(...file.problems);
  warnings.push(...file.warnings);
  const ignored = otelVariablesSet(environment);
  if (ignored.length > 0)
    warnings.push(
      `${file.variable} is set, so these count only where ${file.path} refers to them: ${ignored.join(", ")}`,
    );
  const replaced = [...values.keys()].filter((path) => isReplacedByOtelFile(path));
  for (const path of replaced) values.delete(path);
  if (replaced.length > 0) warnings.push(`${file.variable} is set, so these have no effect: ${replaced.join(", ")}`);
  for (const { path, text, place } of file.settings.toReversed()) {
    const warn = ({ message }: Problem): unknown =>
      warnings.push(`${formatPlace(place)}: ${path} is left as it is: ${message}`);
    const read = readText(keyOf(path, file.variable), text, place, host, warn);
    if (read !== undefined) values.set(path, read);
  }
  for (const { signal, place } of file.destinations) values.set(SIGNAL_SWITCHES[signal], { value: true, place });
  if (file.resourceAttributes !== undefined) values.set("observability.resource_attributes", file.resourceAttributes);
}

function firstOf(warnings: readonly string[]): readonly string[] {
  const rest = warnings.length - MAXIMUM_SHOWN_PROBLEMS;
  return rest <= 0 ? warnings : [...warnings.slice(0, MAXIMUM_SHOWN_PROBLEMS), `… and ${rest} more warnings`];
}

function* readFlags({ flags = {}, host }: ConfigSources, problems: Problem[]): Iterable<readonly [string, ReadValue]> {
  for (const configKey of ALL_KEYS) {
    const given = flags[configKey.path];
    if (given === undefined) continue;
    const read = readText(configKey, given.text, { kind: "flag", flag: given.flag }, host, (problem) =>
      problems.push(problem),
    );
    if (read !== undefined) yield [configKey.path, read];
  }
}

function readText(
  { path, key }: ConfigKey,
  text: string,
  place: Place,
  host: ConfigHost,
  report: (problem: Problem) => unknown,
): ReadValue | undefined {
  const context: ReadContext = {
    baseDirectory: host.workingDirectory,
    expand: (value) => value,
    fail: (message, { hideText } = {}) => {
      const hidden = hideText === true || key.kind.secret;
      report({ place, key: path, message, ...(hidden ? {} : { text: `"${shorten(text)}"` }) });
      return undefined;
    },
  };
  const value = key.kind.fromText(text, context);
  return value === undefined ? undefined : { value, place };
}

/** Effective values: what was set, else the default, worked out on demand. */
class DefaultResolver implements DefaultContext {
  readonly host: ConfigHost;
  readonly #set: ReadonlyMap<string, ReadValue>;

  constructor(set: ReadonlyMap<string, ReadValue>, host: ConfigHost) {
    this.#set = set;
    this.host = host;
  }

  readonly get = (path: string): unknown => {
    const set = this.#set.get(path);
    if (set !== undefined) return freeze(set.value);
    const definition = KEYS_BY_PATH.get(path)?.key.default;
    switch (definition?.kind) {
      case "value":
        return freeze(definition.value);
      case "computed":
        return freeze(definition.compute(this));
      case "follows":
        return definition.when(this) ? this.get(definition.path) : definition.otherwise;
      default:
        return undefined;
    }
  };

  originOf(path: string): Origin {
    const set = this.#set.get(path);
    if (set !== undefined) return set.place;
    const definition = KEYS_BY_PATH.get(path)?.key.default;
    const follows = definition?.kind === "follows" && definition.when(this) && this.#set.has(definition.path);
    return follows ? { kind: "follows", path: definition.path } : { kind: "default" };
  }
}

function describeEntry(
  { path, key }: ConfigKey,
  resolver: DefaultResolver,
  set: ReadonlyMap<string, ReadValue>,
): ConfigEntry {
  const value = resolver.get(path);
  const origin = resolver.originOf(path);
  // What `${env:…}` brought in may be secret whatever the key is: show what was written.
  const written = set.get(origin.kind === "follows" ? origin.path : path)?.written;
  const shown =
    value === undefined ? undefined : written !== undefined && !key.kind.secret ? written : key.kind.show(value);
  return { path, shown, origin };
}

function placeOf(origin: Origin): Place | undefined {
  return origin.kind === "default" || origin.kind === "follows" ? undefined : origin;
}

function freeze(value: unknown): unknown {
  return typeof value === "object" && value !== null ? Object.freeze(value) : value;
}

/**
 * Reads and parses, also the file that OTEL_CONFIG_FILE names. `path` undefined: no file of ours.
 * @throws BlixardError CONFIG_UNREADABLE, ConfigError; the signal's reason
 */
export async function loadConfig(
  path: string | undefined,
  sources: Omit<ConfigSources, "file" | "otelFile" | "readSubstitute"> & { readonly signal?: AbortSignal },
): Promise<LoadedConfig> {
  const { signal, ...rest } = sources;
  const file = path === undefined ? {} : { file: { path, text: await readTomlFile(path, signal) } };
  return parseConfig({ ...rest, ...file, readSubstitute, otelFile: await loadOtelFile(sources) });
}

async function loadOtelFile({
  environment,
  host,
  signal,
}: Pick<ConfigSources, "environment" | "host"> & { readonly signal?: AbortSignal }): Promise<OtelFile | undefined> {
  const named = OTEL_FILE_VARIABLES.find((variable) => (environment[variable]?.trim() ?? "") !== "");
  if (named === undefined) return undefined;
  const path = resolve(host.workingDirectory, environment[named]?.trim() ?? "");
  const [text, { readOtelFile }] = await Promise.all([
    readTextFile(path, { expected: "OpenTelemetry's declarative configuration, in YAML", signal }),
    // Only who needs YAML waits for it.
    import("./otel-file/read-otel-file.ts"),
  ]);
  return readOtelFile({ path, variable: named, text, environment, readSubstitute });
}

const OTEL_FILE_VARIABLES = ["OTEL_CONFIG_FILE", "OTEL_EXPERIMENTAL_CONFIG_FILE"];

/** The text of a file of at most 1 MiB. @throws BlixardError CONFIG_UNREADABLE */
export function readTomlFile(path: string, signal?: AbortSignal): Promise<string> {
  return readTextFile(path, { expected: "a TOML file", signal });
}
