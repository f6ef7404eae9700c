import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { readProtobufPage } from "./prometheus-protobuf.ts";

type Write = (writer: BinaryWriter) => void;

const text =
  (field: number, value: string): Write =>
  (writer) =>
    void writer.tag(field, WireType.LengthDelimited).string(value);
const double =
  (field: number, value: number): Write =>
  (writer) =>
    void writer.tag(field, WireType.Bit64).double(value);
const varint =
  (field: number, value: number): Write =>
  (writer) =>
    void writer.tag(field, WireType.Varint).uint64(value);
const zigzag =
  (field: number, value: number): Write =>
  (writer) =>
    void writer.tag(field, WireType.Varint).sint64(value);
const message =
  (field: number, ...parts: Write[]): Write =>
  (writer) => {
    writer.tag(field, WireType.LengthDelimited).fork();
    for (const part of parts) part(writer);
    writer.join();
  };

/** Families, each after its length. */
function page(...families: Write[][]): Uint8Array {
  const writer = new BinaryWriter();
  for (const parts of families) {
    writer.fork();
    for (const part of parts) part(writer);
    writer.join();
  }
  return writer.finish();
}

const gauge = (value: number, ...labels: Write[]): Write => message(4, ...labels, message(2, double(1, value)));
const label = (name: string, value: string): Write => message(1, text(1, name), text(2, value));
const histogramFamily = (...parts: Write[]): Write[] => [text(1, "h"), varint(3, 4), message(4, message(7, ...parts))];
const bucket = (count: number, bound: number): Write => message(3, varint(1, count), double(2, bound));
const span = (offset: number, length: number): Write => message(12, zigzag(1, offset), varint(2, length));
const native = (...parts: Write[]): Write[] => [varint(1, 3), double(2, 1), zigzag(5, 0), double(6, 1e-9), ...parts];

const good: readonly [name: string, bytes: Uint8Array][] = [
  ["an empty page", page()],
  ["a gauge", page([text(1, "a"), varint(3, 1), gauge(1, label("x", "1")), gauge(2, label("x", "2"))])],
  ["a counter", page([text(1, "a_total"), varint(3, 0), message(4, message(3, double(1, 1)))])],
  ["a classic histogram", page(histogramFamily(varint(1, 2), double(2, 1), bucket(1, 1), bucket(2, Infinity)))],
  ["a native histogram", page(histogramFamily(...native(varint(7, 1), span(1, 1), zigzag(13, 2))))],
];

const bad: readonly [name: string, bytes: Uint8Array][] = [
  ["half a page", page([text(1, "a"), varint(3, 1), gauge(1)]).subarray(0, 6)],
  ["an unknown field", page([text(1, "a"), varint(3, 1), gauge(1), text(9, "x")])],
  ["another wire type", page([text(1, "a"), varint(3, 1), message(4, message(2, varint(1, 1)))])],
  ["a family twice", page([text(1, "a"), varint(3, 1), gauge(1)], [text(1, "a"), varint(3, 1), gauge(1)])],
  ["a series twice", page([text(1, "a"), varint(3, 1), gauge(1, label("x", "1")), gauge(2, label("x", "1"))])],
  ["a label twice", page([text(1, "a"), varint(3, 1), gauge(1, label("x", "1"), label("x", "2"))])],
  ["a family without series", page([text(1, "a"), varint(3, 1)])],
  ["a bad name", page([text(1, "a.b"), varint(3, 1), gauge(1)])],
  ["a counter without _total", page([text(1, "a"), varint(3, 0), message(4, message(3, double(1, 1)))])],
  ["a gauge in a counter", page([text(1, "a_total"), varint(3, 0), gauge(1)])],
  ["falling buckets", page(histogramFamily(varint(1, 1), double(2, 1), bucket(2, 1), bucket(1, Infinity)))],
  ["no bucket +Inf", page(histogramFamily(varint(1, 1), double(2, 1), bucket(1, 1)))],
  ["a count that is not the last bucket", page(histogramFamily(varint(1, 2), double(2, 1), bucket(1, Infinity)))],
  ["native buckets that do not add up", page(histogramFamily(...native(span(1, 1), zigzag(13, 2))))],
  ["fewer deltas than the spans say", page(histogramFamily(...native(span(1, 2), zigzag(13, 3))))],
  ["more deltas than the spans say", page(histogramFamily(...native(span(1, 1), zigzag(13, 3), zigzag(13, 0))))],
  ["a native bucket below zero", page(histogramFamily(...native(span(1, 2), zigzag(13, 3), zigzag(13, -4))))],
  ["spans that touch", page(histogramFamily(...native(span(1, 1), span(0, 1), zigzag(13, 1), zigzag(13, 1))))],
  ["a schema of none", page(histogramFamily(varint(1, 0), double(2, 0), zigzag(5, 9), double(6, 1e-9)))],
];

describe("the reader of protobuf pages", () => {
  for (const [name, bytes] of good) test(`accepts ${name}`, () => assert.ok(readProtobufPage(bytes)));
  for (const [name, bytes] of bad) test(`refuses ${name}`, () => assert.throws(() => readProtobufPage(bytes)));
});
