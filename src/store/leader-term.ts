/** A term of office: what a control write must compare, and how a leader learns that it is one no more. */
import { BlixardError } from "#model/errors.ts";
import type { Compare, KeyValue, StoreOperation } from "./key-value-store.ts";

export interface LeaderTerm {
  readonly nodeId: string;
  readonly instanceId: string;
  readonly key: string;
  /** Of the leadership key: names this term, grows with every one. */
  readonly createRevision: bigint;
  /** Aborted when office is, or may be, lost: a leader must stop acting at once. */
  readonly signal: AbortSignal;
}

/** Holds as long as the term does: part of every control write. */
export function termCompare(term: LeaderTerm): Compare {
  return { kind: "createRevision", key: term.key, equals: term.createRevision };
}

/** For the failure branch, to tell a lost office from another conflict. */
export function termGet(term: LeaderTerm): StoreOperation {
  return { kind: "get", key: term.key };
}

/** @throws BlixardError NOT_LEADER when the entry read in a failure branch is not this term's */
export function checkTerm(term: LeaderTerm, entry: KeyValue | undefined): void {
  if (entry?.createRevision === term.createRevision) return;
  throw new BlixardError("NOT_LEADER", `node ${term.nodeId} no longer holds ${term.key}`);
}
