/** Between the port's values and etcd's messages. Pure. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  type Compare as CompareMessage,
  Compare_CompareResult,
  Compare_CompareTarget,
  CompareSchema,
  type RequestOp,
  RequestOpSchema,
  type TxnRequest,
  TxnRequestSchema,
  type TxnResponse,
} from "#gen/etcd/etcd/etcdserverpb/rpc_pb.ts";
import { type Event, Event_EventType, type KeyValue as KeyValueMessage } from "#gen/etcd/etcd/mvccpb/kv_pb.ts";
import { BlixardError } from "#model/errors.ts";
import type {
  Compare,
  KeyValue,
  StoreOperation,
  Transaction,
  TransactionResult,
  WatchEvent,
} from "../key-value-store.ts";

const LEASE_ID = /^[0-9a-f]{1,16}$/;

export function keyBytes(key: string): Uint8Array {
  return Buffer.from(key, "utf8");
}

/** The end of the range of all keys with the prefix: the prefix with its last byte one higher. */
export function prefixEnd(prefix: string): Uint8Array {
  const end = Buffer.from(prefix, "utf8");
  // No byte of UTF-8 is 0xff, so this never overflows.
  end.writeUInt8(end.readUInt8(end.length - 1) + 1, end.length - 1);
  return end;
}

/** The first key after `key`. */
export function keyAfter(key: string): Uint8Array {
  return Buffer.concat([Buffer.from(key, "utf8"), Buffer.of(0)]);
}

/** etcd's ids are signed on the wire and unsigned everywhere else. */
export function leaseIdToHex(id: bigint): string {
  return BigInt.asUintN(64, id).toString(16);
}

/** @throws BlixardError INVALID_ARGUMENT */
export function leaseIdFromHex(hex: string): bigint {
  if (!LEASE_ID.test(hex)) throw new BlixardError("INVALID_ARGUMENT", `${JSON.stringify(hex)} is not a lease id`);
  return BigInt.asIntN(64, BigInt(`0x${hex}`));
}

export function memberIdToHex(id: bigint): string {
  return id.toString(16);
}

export function keyValueFromMessage(message: KeyValueMessage): KeyValue {
  return {
    key: textOf(message.key),
    value: message.value,
    createRevision: message.createRevision,
    modRevision: message.modRevision,
    leaseId: message.lease === 0n ? undefined : leaseIdToHex(message.lease),
  };
}

export function watchEventFromMessage({ type, kv }: Event): WatchEvent | undefined {
  if (kv === undefined) return undefined;
  if (type === Event_EventType.PUT) return { kind: "put", entry: keyValueFromMessage(kv) };
  return { kind: "delete", key: textOf(kv.key), modRevision: kv.modRevision };
}

export function txnRequestOf(transaction: Transaction): TxnRequest {
  return create(TxnRequestSchema, {
    compare: transaction.compare.map(compareOf),
    success: transaction.success.map(requestOpOf),
    failure: (transaction.failure ?? []).map(requestOpOf),
  });
}

export function transactionResultOf(response: TxnResponse, transaction: Transaction): TransactionResult {
  const branch = response.succeeded ? transaction.success : (transaction.failure ?? []);
  const gets = branch.flatMap((operation, index) => {
    if (operation.kind !== "get") return [];
    const answer = response.responses[index]?.response;
    const [entry] = answer?.case === "responseRange" ? answer.value.kvs : [];
    return [entry === undefined ? undefined : keyValueFromMessage(entry)];
  });
  return { succeeded: response.succeeded, revision: response.header?.revision ?? 0n, gets };
}

function compareOf(compare: Compare): CompareMessage {
  return create(CompareSchema, compareInit(compare));
}

function compareInit(compare: Compare): MessageInitShape<typeof CompareSchema> {
  const { EQUAL, GREATER } = Compare_CompareResult;
  const { CREATE, MOD } = Compare_CompareTarget;
  switch (compare.kind) {
    case "modRevision":
      return {
        result: EQUAL,
        target: MOD,
        key: keyBytes(compare.key),
        targetUnion: { case: "modRevision", value: compare.equals },
      };
    case "createRevision":
      return {
        result: EQUAL,
        target: CREATE,
        key: keyBytes(compare.key),
        targetUnion: { case: "createRevision", value: compare.equals },
      };
    case "exists":
      return {
        result: GREATER,
        target: CREATE,
        key: keyBytes(compare.key),
        targetUnion: { case: "createRevision", value: 0n },
      };
    case "prefixEmpty":
      // Every key of the range would have to have no revision, which no key has: true only of an empty range.
      return {
        result: EQUAL,
        target: CREATE,
        key: keyBytes(compare.prefix),
        rangeEnd: prefixEnd(compare.prefix),
        targetUnion: { case: "createRevision", value: 0n },
      };
  }
}

function requestOpOf(operation: StoreOperation): RequestOp {
  return create(RequestOpSchema, { request: requestInit(operation) });
}

function requestInit(operation: StoreOperation): NonNullable<MessageInitShape<typeof RequestOpSchema>["request"]> {
  switch (operation.kind) {
    case "put":
      return {
        case: "requestPut",
        value: {
          key: keyBytes(operation.key),
          value: operation.value,
          lease: operation.leaseId === undefined ? 0n : leaseIdFromHex(operation.leaseId),
        },
      };
    case "delete":
      return { case: "requestDeleteRange", value: { key: keyBytes(operation.key) } };
    case "deletePrefix":
      return {
        case: "requestDeleteRange",
        value: { key: keyBytes(operation.prefix), rangeEnd: prefixEnd(operation.prefix) },
      };
    case "get":
      return { case: "requestRange", value: { key: keyBytes(operation.key) } };
  }
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8");
}
