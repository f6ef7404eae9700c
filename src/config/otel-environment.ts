/**
 * The `OTEL_*` variables as keys of ours. They come from the OpenTelemetry
 * specification, and by its rules: an empty one counts as unset, and what they
 * say wrongly is a warning and ignored, never an error, because they are often
 * set for a whole machine.
 */

/** One value for one key, as text that the key's kind reads. */
export interface OtelSetting {
  readonly path: string;
  readonly variable: string;
  readonly text: string;
}

export interface OtelSettings {
  /** Later ones win. */
  readonly settings: readonly OtelSetting[];
  readonly warnings: readonly string[];
}

type Environment = Readonly<Record<string, string | undefined>>;

const SIGNALS = [
  { variable: "TRACES", section: "observability.tracing", enabled: "observability.tracing.enabled" },
  { variable: "METRICS", section: "observability.metrics", enabled: "observability.metrics.otlp_enabled" },
  { variable: "LOGS", section: "observability.logging", enabled: "observability.logging.otlp_enabled" },
] as const;

export function readOtelEnvironment(environment: Environment): OtelSettings {
  const reader = new Reader(environment);
  reader.readSdk();
  // The general variables first: those of one signal win over them.
  for (const signal of SIGNALS) reader.readExporter("", signal.section);
  for (const signal of SIGNALS) reader.readExporter(`${signal.variable}_`, signal.section);
  for (const signal of SIGNALS) reader.readExporterChoice(signal.variable, signal.section, signal.enabled);
  reader.readSampler();
  return { settings: reader.settings, warnings: reader.warnings };
}

class Reader {
  readonly settings: OtelSetting[] = [];
  readonly warnings: string[] = [];
  readonly #environment: Environment;

  constructor(environment: Environment) {
    this.#environment = environment;
  }

  readSdk(): void {
    this.#read("OTEL_SDK_DISABLED", "observability.enabled", (text) => String(text.toLowerCase() !== "true"));
    this.#readResource();
    this.#read("OTEL_SERVICE_NAME", "observability.tracing.service_name");
    this.#read("OTEL_METRIC_EXPORT_INTERVAL", "observability.metrics.export_interval", milliseconds);
  }

  /** `OTEL_EXPORTER_OTLP_<signal><NAME>`, `signal` empty or `TRACES_` … */
  readExporter(signal: string, section: string): void {
    const read = (name: string, key: string, convert?: (text: string) => string): void => {
      this.#read(`OTEL_EXPORTER_OTLP_${signal}${name}`, `${section}.${key}`, convert);
    };
    read("ENDPOINT", "otlp_endpoint");
    // A signal's own endpoint is used as it is; to the general one its path is appended.
    read("ENDPOINT", "otlp_endpoint_exact", () => String(signal !== ""));
    read("PROTOCOL", "protocol");
    read("HEADERS", "headers");
    read("TIMEOUT", "timeout", milliseconds);
    read("COMPRESSION", "compression");
    read("INSECURE", "insecure", (text) => String(text.toLowerCase() === "true"));
    read("CERTIFICATE", "ca_file");
    read("CLIENT_CERTIFICATE", "client_certificate_file");
    read("CLIENT_KEY", "client_key_file");
  }

  /** `OTEL_TRACES_EXPORTER` and its like: `otlp`, `none`, for metrics also `prometheus`. */
  readExporterChoice(signal: string, section: string, enabledPath: string): void {
    const variable = `OTEL_${signal}_EXPORTER`;
    const text = this.#value(variable);
    if (text === undefined) return;
    const names = text.split(",").map((name) => name.trim().toLowerCase());
    const unknown = names.filter(
      (name) => !["otlp", "none", ...(signal === "METRICS" ? ["prometheus"] : [])].includes(name),
    );
    if (unknown.length > 0) {
      this.warnings.push(
        `${variable} is ignored: it names an exporter that Blixard does not have (it has otlp and none)`,
      );
      return;
    }
    const exports = names.includes("otlp");
    this.#set(variable, enabledPath, String(exports));
    const hasEndpoint = this.settings.some(({ path }) => path === `${section}.otlp_endpoint`);
    if (exports && !hasEndpoint) this.#set(variable, `${section}.otlp_endpoint`, this.#defaultEndpoint(section));
  }

  readSampler(): void {
    const variable = "OTEL_TRACES_SAMPLER";
    const sampler = this.#value(variable)
      ?.toLowerCase()
      .replace(/^parentbased_/, "");
    if (sampler === undefined) return;
    const path = "observability.tracing.sampling_ratio";
    if (sampler === "always_on") this.#set(variable, path, "1");
    else if (sampler === "always_off") this.#set(variable, path, "0");
    else if (sampler === "traceidratio")
      this.#set("OTEL_TRACES_SAMPLER_ARG", path, this.#value("OTEL_TRACES_SAMPLER_ARG") ?? "1");
    else
      this.warnings.push(
        `${variable} is ignored: Blixard has always_on, always_off and traceidratio, each also as parentbased_`,
      );
  }

  /** `service.name` in the attributes gives way to OTEL_SERVICE_NAME, which is read after it. */
  #readResource(): void {
    const variable = "OTEL_RESOURCE_ATTRIBUTES";
    const text = this.#value(variable);
    if (text === undefined) return;
    const pairs = text.split(",").map((pair) => pair.trim());
    const name = pairs.find((pair) => /^service\.name\s*=/.test(pair));
    const others = pairs.filter((pair) => pair !== "" && pair !== name);
    if (name !== undefined)
      this.#set(variable, "observability.tracing.service_name", decoded(name.slice(name.indexOf("=") + 1).trim()));
    if (others.length > 0) this.#set(variable, "observability.resource_attributes", others.join(","));
  }

  /** The specification's default endpoint, by the protocol that was chosen. */
  #defaultEndpoint(section: string): string {
    const protocol = this.settings.findLast(({ path }) => path === `${section}.protocol`)?.text;
    return protocol === "http/protobuf" ? "http://localhost:4318" : "http://localhost:4317";
  }

  #read(variable: string, path: string, convert: (text: string) => string = (text) => text): void {
    const text = this.#value(variable);
    if (text !== undefined) this.#set(variable, path, convert(text));
  }

  #set(variable: string, path: string, text: string): void {
    this.settings.push({ path, variable, text });
  }

  #value(variable: string): string | undefined {
    const text = this.#environment[variable]?.trim();
    return text === "" ? undefined : text;
  }
}

function milliseconds(text: string): string {
  return /^\d+$/.test(text) ? `${text}ms` : text;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
