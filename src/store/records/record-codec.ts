/**
 * Records on the wire: schema version, and fields that this version does not know.
 *
 * A record written by a newer version may carry fields we cannot name. They ride
 * along with the decoded value under a symbol (enumerable, so that a spread keeps
 * it; JSON does not show it) and are written back when the value is encoded. So a
 * rewrite through the model loses nothing, whatever path the value took.
 */
import { type DescMessage, fromBinary, type Message, type MessageShape, toBinary } from "@bufbuild/protobuf";
import { BlixardError } from "#model/errors.ts";
import type { KeyValue } from "../key-value-store.ts";

/** The schema this version writes; a record keeps a higher one that it already has. */
export const SCHEMA_VERSION = 1;

const wireRest = Symbol("what this version does not know of the record");

type UnknownFields = NonNullable<Message["$unknown"]>;

interface WireRest {
  readonly schemaVersion: number;
  readonly unknown: Readonly<Record<string, UnknownFields>>;
}

interface Carrier {
  readonly [wireRest]?: WireRest;
}

/** A value as read: what it says, and when it was last changed, for the next compare-and-swap. */
export interface Versioned<T> {
  readonly value: T;
  readonly modRevision: bigint;
}

/** `value` with the unknown fields of the message it was decoded from. `slot` tells nested messages of one value apart. */
export function keepUnknown<T extends object>(
  value: T,
  message: Message & { readonly schemaVersion?: number },
  slot = "self",
): T {
  const unknown = message.$unknown ?? [];
  const schemaVersion = message.schemaVersion ?? 0;
  if (unknown.length === 0 && schemaVersion <= SCHEMA_VERSION) return value;
  const before = (value as Carrier)[wireRest];
  const rest: WireRest = {
    schemaVersion: Math.max(schemaVersion, before?.schemaVersion ?? 0),
    unknown: { ...before?.unknown, [slot]: unknown },
  };
  return { ...value, [wireRest]: rest };
}

/** `message` with the unknown fields and the schema version that `value` carries. */
export function restoreUnknown<M extends Message>(value: object, message: M, slot = "self"): M {
  const rest = (value as Carrier)[wireRest];
  const unknown = rest?.unknown[slot];
  if (unknown !== undefined && unknown.length > 0) message.$unknown = [...unknown];
  if (hasSchemaVersion(message) && slot === "self") {
    message.schemaVersion = Math.max(SCHEMA_VERSION, rest?.schemaVersion ?? 0);
  }
  return message;
}

/** `next` with what `previous` carried and `next` does not: for records that are made anew, not edited. */
export function carryUnknown<T extends object>(previous: object | undefined, next: T): T {
  const carrier: Carrier | undefined = previous;
  const rest = carrier?.[wireRest];
  if (rest === undefined || (next as Carrier)[wireRest] !== undefined) return next;
  return { ...next, [wireRest]: rest };
}

export interface RecordCodec<T extends object> {
  encode(value: T): Uint8Array;
  /** @throws BlixardError STORE_CORRUPT */
  decode(entry: KeyValue): Versioned<T>;
}

export function createRecordCodec<D extends DescMessage, T extends object>(
  schema: D,
  toModel: (message: MessageShape<D>) => T,
  toMessage: (value: T) => MessageShape<D>,
): RecordCodec<T> {
  return {
    encode: (value) => toBinary(schema, restoreUnknown(value, toMessage(value))),
    decode(entry) {
      try {
        const message = fromBinary(schema, entry.value);
        return { value: keepUnknown(toModel(message), message), modRevision: entry.modRevision };
      } catch (error) {
        throw new BlixardError(
          "STORE_CORRUPT",
          `the record ${JSON.stringify(entry.key)} cannot be read as ${schema.typeName}`,
          { cause: error },
        );
      }
    },
  };
}

function hasSchemaVersion(message: Message): message is Message & { schemaVersion: number } {
  return "schemaVersion" in message;
}
