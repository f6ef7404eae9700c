/**
 * A strict reader of metric pages in Prometheus protobuf, for tests: delimited
 * MetricFamily messages. Unknown fields, repeated families or series, and histograms that
 * do not add up are errors. Source: client_model `io/prometheus/client/metrics.proto`.
 */
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";

export interface ProtobufFamily {
  readonly name: string;
  readonly help: string;
  readonly type: "COUNTER" | "GAUGE" | "HISTOGRAM";
  readonly unit: string;
  readonly metrics: readonly ProtobufMetric[];
}

export interface ProtobufMetric {
  readonly labels: ReadonlyMap<string, string>;
  /** Of counters and gauges. */
  readonly value: number | undefined;
  readonly exemplar: ProtobufExemplar | undefined;
  readonly createdMs: number | undefined;
  readonly histogram: ProtobufHistogram | undefined;
}

export interface ProtobufExemplar {
  readonly labels: ReadonlyMap<string, string>;
  readonly value: number;
  readonly timeMs: number;
}

export interface ProtobufHistogram {
  readonly count: number;
  readonly sum: number;
  readonly buckets: readonly {
    readonly bound: number;
    readonly cumulativeCount: number;
    readonly exemplar: ProtobufExemplar | undefined;
  }[];
  readonly native: NativeBuckets | undefined;
  readonly exemplars: readonly ProtobufExemplar[];
}

export interface NativeBuckets {
  readonly schema: number;
  readonly zeroThreshold: number;
  readonly zeroCount: number;
  /** Upper bound of each bucket that has a count, and the count. */
  readonly counts: ReadonlyMap<number, number>;
}

const types = ["COUNTER", "GAUGE", "SUMMARY", "UNTYPED", "HISTOGRAM"] as const;
const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;

type Field = string | number | Message;
type Message = ReadonlyMap<string, readonly Field[]>;
/** `!`: one at most; `*`: many. */
type Kind = "string" | "double" | "varint" | "zigzag" | Shape;
interface Shape {
  readonly [field: number]: readonly [name: string, kind: Kind, count: "!" | "*"];
}

const timestampShape: Shape = { 1: ["seconds", "varint", "!"], 2: ["nanos", "varint", "!"] };
const labelShape: Shape = { 1: ["name", "string", "!"], 2: ["value", "string", "!"] };
const exemplarShape: Shape = {
  1: ["label", labelShape, "*"],
  2: ["value", "double", "!"],
  3: ["timestamp", timestampShape, "!"],
};
const histogramShape: Shape = {
  1: ["sampleCount", "varint", "!"],
  2: ["sampleSum", "double", "!"],
  3: [
    "bucket",
    { 1: ["cumulativeCount", "varint", "!"], 2: ["upperBound", "double", "!"], 3: ["exemplar", exemplarShape, "!"] },
    "*",
  ],
  5: ["schema", "zigzag", "!"],
  6: ["zeroThreshold", "double", "!"],
  7: ["zeroCount", "varint", "!"],
  12: ["positiveSpan", { 1: ["offset", "zigzag", "!"], 2: ["length", "varint", "!"] }, "*"],
  13: ["positiveDelta", "zigzag", "*"],
  15: ["created", timestampShape, "!"],
  16: ["exemplars", exemplarShape, "*"],
};
const metricShape: Shape = {
  1: ["label", labelShape, "*"],
  2: ["gauge", { 1: ["value", "double", "!"] }, "!"],
  3: [
    "counter",
    { 1: ["value", "double", "!"], 2: ["exemplar", exemplarShape, "!"], 3: ["created", timestampShape, "!"] },
    "!",
  ],
  7: ["histogram", histogramShape, "!"],
};
const familyShape: Shape = {
  1: ["name", "string", "!"],
  2: ["help", "string", "!"],
  3: ["type", "varint", "!"],
  4: ["metric", metricShape, "*"],
  5: ["unit", "string", "!"],
};

/** @throws Error that says what is wrong, and in which family */
export function readProtobufPage(bytes: Uint8Array): ProtobufFamily[] {
  const reader = new BinaryReader(bytes);
  const families = new Map<string, ProtobufFamily>();
  while (reader.pos < reader.len) {
    const length = reader.uint32();
    const family = toFamily(readMessage(reader, length, familyShape));
    if (families.has(family.name)) throw new Error(`${family.name} comes twice`);
    families.set(family.name, family);
  }
  return [...families.values()];
}

function readMessage(reader: BinaryReader, length: number, shape: Shape): Message {
  const end = reader.pos + length;
  if (end > reader.len) throw new Error("a message is longer than the page");
  const fields = new Map<string, Field[]>();
  while (reader.pos < end) {
    const [number, wireType] = reader.tag();
    const known = shape[number];
    if (known === undefined) throw new Error(`field ${number} is not expected`);
    const [name, kind, count] = known;
    const values = fields.getOrInsertComputed(name, () => []);
    values.push(readField(reader, wireType, kind));
    if (count === "!" && values.length > 1) throw new Error(`${name} comes twice`);
  }
  if (reader.pos !== end) throw new Error("a field is longer than its message");
  return fields;
}

function readField(reader: BinaryReader, wireType: WireType, kind: Kind): Field {
  const wanted =
    kind === "double"
      ? WireType.Bit64
      : kind === "varint" || kind === "zigzag"
        ? WireType.Varint
        : WireType.LengthDelimited;
  if (wireType !== wanted) throw new Error(`wire type ${wireType} instead of ${wanted}`);
  if (kind === "string") return new TextDecoder("utf-8", { fatal: true }).decode(reader.bytes());
  if (kind === "double") return reader.double();
  if (kind === "varint") return Number(reader.uint64());
  if (kind === "zigzag") return Number(reader.sint64());
  return readMessage(reader, reader.uint32(), kind);
}

function toFamily(message: Message): ProtobufFamily {
  const name = text(message, "name");
  const fail = (problem: string): never => {
    throw new Error(`${name}: ${problem}`);
  };
  if (!NAME.test(name)) fail("not a metric's name");
  const type = types[number(message, "type")] ?? fail("an unknown type");
  if (type === "SUMMARY" || type === "UNTYPED") return fail(`type ${type} is not expected`);
  if (type === "COUNTER" && !name.endsWith("_total")) fail("a counter without _total");
  const metrics = messages(message, "metric").map((metric) => toMetric(metric, type, fail));
  if (metrics.length === 0) fail("no series");
  const identities = metrics.map(({ labels }) => JSON.stringify([...labels].toSorted(([a], [b]) => (a < b ? -1 : 1))));
  if (new Set(identities).size < identities.length) fail("a series comes twice");
  return { name, help: text(message, "help"), type, unit: text(message, "unit"), metrics };
}

type Fail = (problem: string) => never;

function toMetric(message: Message, type: ProtobufFamily["type"], fail: Fail): ProtobufMetric {
  const part = type.toLowerCase();
  for (const other of ["gauge", "counter", "histogram"]) {
    if (message.has(other) !== (other === part)) fail(`a ${part} and ${other} in one`);
  }
  const [value = new Map()] = messages(message, part);
  const [exemplar] = type === "COUNTER" ? messages(value, "exemplar") : [];
  const [created] = messages(value, "created");
  return {
    labels: labelsOf(message, fail),
    value: type === "HISTOGRAM" ? undefined : number(value, "value"),
    exemplar: exemplar === undefined ? undefined : toExemplar(exemplar, fail),
    createdMs: created === undefined ? undefined : timeOf(created),
    histogram: type === "HISTOGRAM" ? toHistogram(value, fail) : undefined,
  };
}

function toHistogram(message: Message, fail: Fail): ProtobufHistogram {
  const count = number(message, "sampleCount");
  let last = { bound: -Infinity, cumulativeCount: 0 };
  const buckets = messages(message, "bucket").map((bucket) => {
    const bound = number(bucket, "upperBound");
    const cumulativeCount = number(bucket, "cumulativeCount");
    const [exemplar] = messages(bucket, "exemplar").map((one) => toExemplar(one, fail));
    if (!(bound > last.bound)) fail(`bucket ${bound} does not ascend`);
    if (cumulativeCount < last.cumulativeCount) fail(`bucket ${bound} is not cumulative`);
    if (exemplar !== undefined && !(exemplar.value > last.bound && exemplar.value <= bound)) {
      fail(`the exemplar ${exemplar.value} is not inside bucket ${bound}`);
    }
    last = { bound, cumulativeCount };
    return { bound, cumulativeCount, exemplar };
  });
  if (buckets.length > 0 && last.bound !== Infinity) fail("no bucket +Inf");
  if (buckets.length > 0 && last.cumulativeCount !== count) fail("the count is not the last bucket");
  const native = toNative(message, fail);
  if (native === undefined && buckets.length === 0) fail("a histogram without buckets");
  const nativeCount = [...(native?.counts.values() ?? [])].reduce((sum, one) => sum + one, native?.zeroCount ?? 0);
  if (native !== undefined && nativeCount !== count) fail(`native buckets hold ${nativeCount} of ${count}`);
  return {
    count,
    sum: number(message, "sampleSum"),
    buckets,
    native,
    exemplars: messages(message, "exemplars").map((one) => toExemplar(one, fail)),
  };
}

function toNative(message: Message, fail: Fail): NativeBuckets | undefined {
  if (!message.has("schema")) return undefined;
  const schema = number(message, "schema");
  if (schema < -4 || schema > 8) fail(`schema ${schema}`);
  const zeroThreshold = number(message, "zeroThreshold");
  const spans = messages(message, "positiveSpan");
  // As Prometheus tells native histograms from classic ones.
  if (spans.length === 0 && zeroThreshold === 0) fail("a native histogram that looks like a classic one");
  const deltas = (message.get("positiveDelta") ?? []).map(Number);
  const counts = new Map<number, number>();
  let index = 0;
  let current = 0;
  for (const [place, span] of spans.entries()) {
    const offset = number(span, "offset");
    if (place > 0 && offset <= 0) fail("spans that touch or overlap");
    if (number(span, "length") === 0) fail("an empty span");
    index += offset;
    for (let left = number(span, "length"); left > 0; left--) {
      current += deltas.shift() ?? fail("fewer deltas than buckets");
      if (current < 0) fail("a bucket below zero");
      if (current > 0) counts.set(2 ** (index * 2 ** -schema), current);
      index++;
    }
  }
  if (deltas.length > 0) fail("more deltas than buckets");
  return { schema, zeroThreshold, zeroCount: number(message, "zeroCount"), counts };
}

function toExemplar(message: Message, fail: Fail): ProtobufExemplar {
  const [timestamp = fail("an exemplar without a time")] = messages(message, "timestamp");
  return { labels: labelsOf(message, fail), value: number(message, "value"), timeMs: timeOf(timestamp) };
}

function labelsOf(message: Message, fail: Fail): ReadonlyMap<string, string> {
  const labels = new Map<string, string>();
  for (const label of messages(message, "label")) {
    const name = text(label, "name");
    if (!NAME.test(name) || name.startsWith("__") || name.includes(":")) fail(`${name} is not a label's name`);
    if (labels.has(name)) fail(`label ${name} twice`);
    labels.set(name, text(label, "value"));
  }
  return labels;
}

function timeOf(message: Message): number {
  return number(message, "seconds") * 1000 + number(message, "nanos") / 1e6;
}

function messages(message: Message, name: string): readonly Message[] {
  return (message.get(name) ?? []).filter((field): field is Message => typeof field === "object");
}

function number(message: Message, name: string): number {
  return Number(message.get(name)?.[0] ?? 0);
}

function text(message: Message, name: string): string {
  const [value = ""] = message.get(name) ?? [];
  return typeof value === "string" ? value : "";
}
