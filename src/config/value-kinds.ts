/**
 * The kinds of values a key may hold. A kind reads a value from TOML or from text
 * (environment, flags), refuses it with words that say what is expected, and
 * shows it again as TOML. A kind with a unit names it (`Ms`, `Bytes`); the
 * property in the typed configuration ends in it.
 */
import { isIP } from "node:net";
import { resolve } from "node:path";
import { formatDuration, formatSize, parseDuration, parseSize } from "#model/quantity.ts";
import { Secret } from "#model/secret.ts";
import type { TomlNode } from "./toml-document.ts";

/** A redacted secret as TOML. */
const REDACTED = '"[redacted]"';

/** How a kind reads: `fail` reports at `node`, or at the whole value. */
export interface ReadContext {
  /** Directory that relative paths start from. */
  readonly baseDirectory: string;
  /** Replaces `${env:NAME}` and `${file:PATH}`; undefined when one is missing, which is reported. */
  expand(text: string, node?: TomlNode): string | undefined;
  fail(expectation: string, options?: { readonly node?: TomlNode; readonly hideText?: boolean }): undefined;
}

export interface ValueKind<T, Unit extends string = ""> {
  /** As the reference names it: `duration`, `"auto" | "kvm" | "tcg"`. */
  readonly type: string;
  readonly unit: Unit;
  /** The value is never shown. */
  readonly secret: boolean;
  readonly values?: readonly string[];
  fromToml(node: TomlNode, context: ReadContext): T | undefined;
  fromText(text: string, context: ReadContext): T | undefined;
  /** As TOML; `"[redacted]"` for secrets. */
  show(value: T): string;
}

/** What a text is refused with. */
class Refusal {
  readonly expectation: string;
  readonly hideText: boolean;

  constructor(expectation: string, hideText = false) {
    this.expectation = expectation;
    this.hideText = hideText;
  }
}

interface TextKindOptions<T, Unit extends string> {
  readonly type: string;
  readonly unit: Unit;
  readonly secret?: boolean;
  readonly values?: readonly string[];
  /** What a value of another TOML type is told: `expected …`. */
  readonly expectation: string;
  parse(text: string, context: ReadContext): T | Refusal;
  show(value: T): string;
}

/** A kind that is a string in TOML. */
function textKind<T, Unit extends string>(options: TextKindOptions<T, Unit>): ValueKind<T, Unit> {
  const secret = options.secret ?? false;
  const read = (text: string, context: ReadContext, node?: TomlNode): T | undefined => {
    const value = options.parse(text, context);
    if (!(value instanceof Refusal)) return value;
    return context.fail(value.expectation, {
      ...(node === undefined ? {} : { node }),
      hideText: secret || value.hideText,
    });
  };
  return {
    type: options.type,
    unit: options.unit,
    secret,
    ...(options.values === undefined ? {} : { values: options.values }),
    fromToml(node, context) {
      if (node.kind !== "string") return context.fail(options.expectation, { node, hideText: secret });
      const text = context.expand(node.value, node);
      return text === undefined ? undefined : read(text, context, node);
    },
    fromText: (text, context) => read(text, context),
    show: (value) => (secret ? REDACTED : options.show(value)),
  };
}

/** A string of a form of its own; `parse` gives undefined for what is not of it. */
export function customText<T>(options: {
  readonly type: string;
  readonly expectation: string;
  parse(text: string): T | undefined;
  show(value: T): string;
}): ValueKind<T> {
  const { type, expectation } = options;
  const parse = (value: string): T | Refusal => options.parse(value) ?? new Refusal(expectation);
  return textKind<T, "">({ type, unit: "", expectation, parse, show: (value) => quote(options.show(value)) });
}

export interface TextOptions {
  readonly pattern?: RegExp;
  /** What the pattern asks for: `1 to 63 letters, digits …`. */
  readonly expectation?: string;
  readonly maximumLength?: number;
  readonly allowEmpty?: boolean;
}

export function text(options: TextOptions = {}): ValueKind<string> {
  const maximumLength = options.maximumLength ?? 4096;
  const expectation = `expected ${options.expectation ?? "a string"}`;
  return textKind({
    type: "string",
    unit: "",
    expectation,
    parse(value) {
      if (value.length > maximumLength) return new Refusal(`expected at most ${maximumLength} characters`);
      if (value === "" && options.allowEmpty !== true) return new Refusal("expected a string that is not empty");
      if (/\p{Cc}/u.test(value)) return new Refusal("expected a string without control characters");
      if (options.pattern !== undefined && !options.pattern.test(value)) return new Refusal(expectation);
      return value;
    },
    show: quote,
  });
}

const attributeText = text({ maximumLength: 1024, allowEmpty: true });

/** A string that no output shows. */
export const secretText: ValueKind<Secret> = textKind<Secret, "">({
  type: "string (secret)",
  unit: "",
  secret: true,
  expectation: "expected a string",
  parse(value) {
    if (value === "" || value.length > 8192) return new Refusal("expected 1 to 8192 characters");
    return /\p{Cc}/u.test(value) ? new Refusal("expected a string without control characters") : new Secret(value);
  },
  show: () => REDACTED,
});

/** As HTTP and gRPC take it. */
export const headerText: ValueKind<Secret> = textKind<Secret, "">({
  type: "string (secret)",
  unit: "",
  secret: true,
  expectation: "expected a string",
  parse: (value) =>
    /^[\u0020-\u007e]{1,8192}$/.test(value)
      ? new Secret(value)
      : new Refusal("expected 1 to 8192 characters of printable ASCII (no newline at the end)"),
  show: () => REDACTED,
});

export function choice<const V extends string>(...values: readonly V[]): ValueKind<V> {
  const expectation = `expected ${listed(values)}`;
  return textKind<V, "">({
    type: values.map(quote).join(" | "),
    unit: "",
    values,
    expectation,
    parse: (value) => values.find((candidate) => candidate === value) ?? new Refusal(expectation),
    show: quote,
  });
}

/** A path; relative ones start from the file that has them, or from the working directory. */
export const path: ValueKind<string> = textKind({
  type: "path",
  unit: "",
  expectation: "expected a path",
  parse(value, context) {
    if (value === "" || value.length > 4096 || value.includes("\0")) return new Refusal("expected a path");
    return resolve(context.baseDirectory, value);
  },
  show: quote,
});

export interface SocketAddress {
  /** Host name, IPv4 or IPv6 (without brackets). */
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
}

const HOST_NAME = /^(?=.{1,253}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/i;

export const address: ValueKind<SocketAddress> = textKind({
  type: "host:port",
  unit: "",
  expectation: 'expected host:port, such as "127.0.0.1:7001"',
  parse(value) {
    const parsed = parseSocketAddress(value);
    return parsed ?? new Refusal('expected host:port, such as "127.0.0.1:7001" or "[::1]:7001", port 0 to 65535');
  },
  show: (value) => quote(formatSocketAddress(value)),
});

/** `host:port` or `[v6]:port`, or undefined. */
export function parseSocketAddress(value: string): SocketAddress | undefined {
  const match = /^(?:\[([^\]]+)\]|([^:]*)):(\d{1,5})$/.exec(value);
  if (match === null) return undefined;
  const [, v6, name, digits] = match;
  const port = Number(digits);
  if (port > 65_535) return undefined;
  if (v6 !== undefined) return isIP(v6) === 6 ? { host: v6, port } : undefined;
  if (name === undefined) return undefined;
  const numeric = /^[\d.]+$/.test(name);
  return (numeric ? isIP(name) === 4 : HOST_NAME.test(name)) ? { host: name, port } : undefined;
}

export function formatSocketAddress({ host, port }: SocketAddress): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Whether it stands for all addresses of a machine: one to listen on, and none to call. */
export function isWildcardHost(host: string): boolean {
  return host === "0.0.0.0" || /^[0:]+$/.test(host);
}

/** How others reach a listener. */
export interface AdvertisedAddress {
  readonly host: string;
  /** Undefined: the listener's own. */
  readonly port: number | undefined;
}

/** `host`, `host:port`, an address; never one that stands for all of them, which nobody can call. */
export const advertisedAddress: ValueKind<AdvertisedAddress> = customText({
  type: "host or host:port",
  expectation:
    'expected a host that others can call, with or without a port, such as "node-1.example" or "10.0.0.4:9090"',
  parse(value) {
    const withPort = parseSocketAddress(value);
    const host = withPort?.host ?? parseSocketAddress(`${isIP(value) === 6 ? `[${value}]` : value}:0`)?.host;
    if (host === undefined || withPort?.port === 0 || isWildcardHost(host)) return undefined;
    return { host, port: withPort?.port };
  },
  show: ({ host, port }) => (port === undefined ? host : formatSocketAddress({ host, port })),
});

/** Where OTLP goes: a URL, or `host:port` for gRPC. Never with credentials, which would end up in logs. */
export const endpoint: ValueKind<string> = textKind({
  type: "URL or host:port",
  unit: "",
  expectation: 'expected a URL, such as "http://localhost:4317"',
  parse: (value) => (parseSocketAddress(value) === undefined ? parseHttpUrl(value) : value),
  show: quote,
});

/** Base URL of a service that is asked over HTTP. */
export const httpUrl: ValueKind<string> = textKind({
  type: "URL",
  unit: "",
  expectation: 'expected a URL, such as "http://localhost:9090"',
  parse: parseHttpUrl,
  show: quote,
});

function parseHttpUrl(value: string): string | Refusal {
  const url = URL.canParse(value) && value.length <= 2048 ? new URL(value) : undefined;
  if (url === undefined || (url.protocol !== "http:" && url.protocol !== "https:") || url.hostname === "") {
    return new Refusal('expected a URL with http:// or https://, such as "http://localhost:4317"', value.includes("@"));
  }
  if (url.username !== "" || url.password !== "")
    return new Refusal("credentials do not belong into a URL: use basic_auth or headers", true);
  if (url.search !== "" || url.hash !== "")
    return new Refusal("expected a URL without query and fragment: use headers", true);
  return value;
}

export function duration(limits: { readonly minimumMs: number; readonly maximumMs: number }): ValueKind<number, "Ms"> {
  const range = `${formatDuration(limits.minimumMs)} to ${formatDuration(limits.maximumMs)}`;
  const expectation = `expected a duration from ${range}, such as "10s" or "1m30s"`;
  return textKind({
    type: `duration, ${range}`,
    unit: "Ms",
    expectation,
    parse(value) {
      const durationMs = parseDuration(value);
      const fits = durationMs !== undefined && durationMs >= limits.minimumMs && durationMs <= limits.maximumMs;
      return fits ? durationMs : new Refusal(expectation);
    },
    show: (value) => quote(formatDuration(value)),
  });
}

export function size(limits: {
  readonly minimumBytes: number;
  readonly maximumBytes?: number;
}): ValueKind<number, "Bytes"> {
  const maximumBytes = limits.maximumBytes ?? Number.MAX_SAFE_INTEGER;
  const least = `at least ${formatSize(limits.minimumBytes)}`;
  const range = limits.maximumBytes === undefined ? least : `${least} and at most ${formatSize(maximumBytes)}`;
  const expectation = `expected a size of ${range}, such as "512MiB"`;
  return textKind({
    type: `size, ${range}`,
    unit: "Bytes",
    expectation,
    parse(value) {
      const bytes = parseSize(value);
      return bytes !== undefined && bytes >= limits.minimumBytes && bytes <= maximumBytes
        ? bytes
        : new Refusal(expectation);
    },
    show: (value) => quote(formatSize(value)),
  });
}

export const boolean: ValueKind<boolean> = {
  type: "boolean",
  unit: "",
  secret: false,
  fromToml: (node, context) =>
    node.kind === "boolean" ? node.value : context.fail("expected true or false", { node }),
  fromText(value, context) {
    const lowered = value.toLowerCase();
    if (lowered === "true" || lowered === "1") return true;
    if (lowered === "false" || lowered === "0") return false;
    return context.fail("expected true or false");
  },
  show: String,
};

export interface NumberLimits {
  readonly minimum: number;
  readonly maximum: number;
}

/** As OpenTelemetry has them. */
export type AttributeValue = string | number | boolean | readonly string[] | readonly number[] | readonly boolean[];

/** From text always a string, as OpenTelemetry reads OTEL_RESOURCE_ATTRIBUTES. */
export const attributeValue: ValueKind<AttributeValue> = {
  type: "string, number, boolean or a list of one of them",
  unit: "",
  secret: false,
  fromToml(node, context) {
    if (node.kind !== "array") return attributeScalar(node, context);
    if (node.items.length > 64) return context.fail("expected at most 64 items", { node, hideText: true });
    const items = node.items.map((item) => attributeScalar(item, context));
    if (items.every((item) => typeof item === "string")) return items;
    if (items.every((item) => typeof item === "number")) return items;
    if (items.every((item) => typeof item === "boolean")) return items;
    return items.includes(undefined) ? undefined : context.fail("expected items of one type", { node });
  },
  fromText: (value, context) => attributeText.fromText(value, context),
  show: (value) => (typeof value === "string" ? quote(value) : JSON.stringify(value)),
};

function attributeScalar(node: TomlNode, context: ReadContext): string | number | boolean | undefined {
  if (node.kind === "boolean") return node.value;
  if ((node.kind === "integer" || node.kind === "float") && Number.isFinite(node.value)) return node.value;
  return attributeText.fromToml(node, context);
}

export function integer(limits: NumberLimits): ValueKind<number> {
  return numberKind("integer", limits, Number.isSafeInteger);
}

export function decimal(limits: NumberLimits): ValueKind<number> {
  return numberKind("number", limits, Number.isFinite);
}

function numberKind(
  name: string,
  { minimum, maximum }: NumberLimits,
  isValid: (value: number) => boolean,
): ValueKind<number> {
  const expectation = `expected ${name === "integer" ? "an integer" : "a number"} from ${minimum} to ${maximum}`;
  const fits = (value: number): boolean => isValid(value) && value >= minimum && value <= maximum;
  return {
    type: `${name}, ${minimum} to ${maximum}`,
    unit: "",
    secret: false,
    fromToml(node, context) {
      const wellTyped = node.kind === "integer" || (node.kind === "float" && name === "number");
      return wellTyped && fits(node.value) ? node.value : context.fail(expectation, { node });
    },
    fromText(value, context) {
      const parsed = /^[+-]?\d+(\.\d+)?(e[+-]?\d+)?$/i.test(value) ? Number(value) : Number.NaN;
      return fits(parsed) ? parsed : context.fail(expectation);
    },
    show: String,
  };
}

/** A TOML basic string. */
export function quote(value: string): string {
  return JSON.stringify(value).replaceAll("\u007F", "\\u007F");
}

function listed(values: readonly string[]): string {
  const quoted = values.map(quote);
  return quoted.length < 2 ? quoted.join("") : `${quoted.slice(0, -1).join(", ")} or ${quoted.at(-1) ?? ""}`;
}
