/**
 * One node acts for the cluster: it holds the leadership key under a lease.
 *
 *   waiting ─► key free ─► in office ─► (lease lost, deadline passed, resigned) ─► waiting
 *      ▲ watch the key         │ renews every third of the TTL
 *      └───────────────────────┘
 *
 * Office is only a hint that it is worth acting; what protects the store is that
 * every control write compares the term (`termCompare`). A crashed daemon's term
 * on the same node is ended at once: only one daemon can use a data directory, so
 * whoever held the key in this node's name is dead.
 */
import type { Clock } from "#model/clock.ts";
import { BlixardError } from "#model/errors.ts";
import type { Logger } from "#telemetry/port.ts";
import { backoffMs, pause } from "./clock.ts";
import { settle } from "./compare-and-swap.ts";
import { leadershipKey } from "./keys.ts";
import type { KeyValue, KeyValueStore, Lease } from "./key-value-store.ts";
import type { LeaderTerm } from "./leader-term.ts";
import { leaseHolderCodec } from "./records/node-codec.ts";

export interface LeadershipOptions {
  readonly store: KeyValueStore;
  readonly clock: Clock;
  /** Between 0 (inclusive) and 1. */
  readonly random: () => number;
  readonly logger: Logger;
  readonly nodeId: string;
  /** Fresh for every start of the daemon. */
  readonly instanceId: string;
  /** What the office is for; names the key. Default `control`. */
  readonly role?: string;
  /** Default 15 s; the store may grant more. */
  readonly leaseTtlMs?: number;
}

export interface Leadership extends AsyncDisposable {
  /** The term this node is in now. */
  readonly term: LeaderTerm | undefined;
  /**
   * Campaigns from now on; `act` runs once per term and must end soon after `term.signal` is aborted.
   * When `act` ends by itself, by return or by error, the term ends too.
   */
  start(act: (term: LeaderTerm) => Promise<void>): void;
  /** Resigns: waits for `act`, then gives the key up. */
  stop(): Promise<void>;
}

export const CONTROL_ROLE = "control";
const DEFAULT_LEASE_TTL_MS = 15_000;
const RETRY = { initialMs: 100, maximumMs: 5000 };

export function createLeadership(options: LeadershipOptions): Leadership {
  const { store, clock, random, logger, nodeId, instanceId } = options;
  const key = leadershipKey(options.role ?? CONTROL_ROLE);
  const leaseTtlMs = options.leaseTtlMs ?? DEFAULT_LEASE_TTL_MS;
  const stopping = new AbortController();
  let term: LeaderTerm | undefined;
  let running: Promise<void> | undefined;

  async function campaign(act: (term: LeaderTerm) => Promise<void>): Promise<void> {
    const { signal } = stopping;
    for (let failures = 0; !signal.aborted;) {
      try {
        const holder = await store.get(key, { signal });
        if (holder === undefined) {
          await takeOffice(act);
          await pause(clock, RETRY.initialMs, signal);
        } else if (isOwn(holder)) await endTermOf(holder);
        else await watchUntilFree(holder, signal);
        failures = 0;
      } catch (error) {
        if (signal.aborted) return;
        logger.warn("the campaign for leadership failed, trying again", {}, error);
        await pause(clock, backoffMs(failures++, { ...RETRY, random }), signal);
      }
    }
  }

  /** Whoever campaigns is not in office: a key of this node is left from before. */
  function isOwn(holder: KeyValue): boolean {
    return leaseHolderCodec.decode(holder).value.nodeId === nodeId;
  }

  async function endTermOf(holder: KeyValue): Promise<void> {
    if (holder.leaseId !== undefined) await store.revokeLease(holder.leaseId);
    // Also a key whose lease is already gone, or that never had one.
    await store.transact({
      compare: [{ kind: "modRevision", key, equals: holder.modRevision }],
      success: [{ kind: "delete", key }],
    });
  }

  async function watchUntilFree(holder: KeyValue, signal: AbortSignal): Promise<void> {
    try {
      for await (const batch of store.watch(key, holder.modRevision + 1n, signal)) {
        if (batch.events.some((event) => event.kind === "delete" && event.key === key)) return;
      }
    } catch (error) {
      if (!(error instanceof BlixardError) || error.code !== "STORE_COMPACTED") throw error;
    }
  }

  async function takeOffice(act: (term: LeaderTerm) => Promise<void>): Promise<void> {
    const lease = await store.grantLease(leaseTtlMs, { signal: stopping.signal });
    const grantedAtMs = clock.monotonicMs();
    try {
      const createRevision = await claim(lease);
      if (createRevision !== undefined) await serve(lease, grantedAtMs, createRevision, act);
    } finally {
      // When the store cannot be reached the lease ends by itself.
      await lease.revoke().catch(() => undefined);
    }
  }

  /** The create revision of the key, or undefined when another was faster. */
  function claim(lease: Lease): Promise<bigint | undefined> {
    return settle("take office", async () => {
      const value = leaseHolderCodec.encode({ nodeId, instanceId });
      const result = await store.transact({
        compare: [{ kind: "modRevision", key, equals: 0n }],
        success: [{ kind: "put", key, value, leaseId: lease.id }],
        failure: [{ kind: "get", key }],
      });
      if (result.succeeded) return { value: result.revision };
      // Ours after all: the answer to an earlier try was lost.
      const holder = result.gets[0];
      return { value: holder?.leaseId === lease.id ? holder.createRevision : undefined };
    });
  }

  async function serve(
    lease: Lease,
    grantedAtMs: number,
    createRevision: bigint,
    act: (term: LeaderTerm) => Promise<void>,
  ): Promise<void> {
    const office = new AbortController();
    const signal = AbortSignal.any([office.signal, stopping.signal]);
    term = { nodeId, instanceId, key, createRevision, signal };
    logger.info("took office as the leader of the control loops");
    const acting = act(term).finally(() => office.abort());
    // Awaited below; until then a failure must not count as unhandled.
    acting.catch(() => undefined);
    try {
      await renewUntilLost(lease, grantedAtMs, signal);
    } finally {
      office.abort();
      term = undefined;
      try {
        await acting;
      } finally {
        logger.info("left office as the leader of the control loops");
      }
    }
  }

  /** Resolves when the term is over, at the latest a margin before others may think so. */
  async function renewUntilLost(lease: Lease, grantedAtMs: number, signal: AbortSignal): Promise<void> {
    let confirmedAtMs = grantedAtMs;
    let { ttlMs } = lease;
    while (!signal.aborted) {
      await pause(clock, ttlMs / 3, signal);
      // Not past this moment: another may be in office when the lease ends.
      const deadlineMs = confirmedAtMs + ttlMs * 0.8;
      const sentAtMs = clock.monotonicMs();
      if (signal.aborted) return;
      const renewal = await renewBefore(lease, deadlineMs, signal);
      if (renewal === undefined) return;
      confirmedAtMs = sentAtMs;
      ttlMs = renewal.ttlMs;
    }
  }

  /** undefined: the lease is lost, or its end came too close. */
  async function renewBefore(
    lease: Lease,
    deadlineMs: number,
    signal: AbortSignal,
  ): Promise<{ readonly ttlMs: number } | undefined> {
    const deadline = new AbortController();
    const expired = clock.delay(deadlineMs - clock.monotonicMs(), deadline.signal).then(
      () => undefined,
      () => undefined,
    );
    try {
      for (let failures = 0; !signal.aborted && clock.monotonicMs() < deadlineMs; failures++) {
        try {
          return await Promise.race([lease.keepAlive(), expired]);
        } catch (error) {
          logger.warn("the leadership lease was not renewed", {}, error);
          if (error instanceof BlixardError && error.code === "LEASE_LOST") return undefined;
          await pause(clock, backoffMs(failures, { ...RETRY, random }), signal);
        }
      }
      return undefined;
    } finally {
      deadline.abort();
    }
  }

  async function stop(): Promise<void> {
    stopping.abort();
    await running;
  }

  return {
    get term() {
      return term;
    },
    start(act) {
      running ??= campaign(act);
    },
    stop,
    [Symbol.asyncDispose]: stop,
  };
}
