/** Leases of etcd. A renewal is one message on a stream of its own: no state to lose between two of them. */
import { create } from "@bufbuild/protobuf";
import {
  Lease as LeaseService,
  LeaseGrantRequestSchema,
  LeaseKeepAliveRequestSchema,
  type LeaseKeepAliveResponse,
  LeaseRevokeRequestSchema,
} from "#gen/etcd/etcd/etcdserverpb/rpc_pb.ts";
import { BlixardError } from "#model/errors.ts";
import type { CallOptions, Lease } from "../key-value-store.ts";
import { NotSentError } from "./call-failure.ts";
import { leaseIdFromHex, leaseIdToHex } from "./messages.ts";
import { type RetryEnvironment, withRetry } from "./retry.ts";

export interface EtcdLeases {
  grant(ttlMs: number, options?: CallOptions): Promise<Lease>;
  revoke(leaseId: string, options?: CallOptions): Promise<void>;
}

export function createEtcdLeases(environment: RetryEnvironment, defaultTimeoutMs: number): EtcdLeases {
  const { connection, clock } = environment;

  async function revoke(leaseId: string, options: CallOptions = {}): Promise<void> {
    const { signal, timeoutMs = defaultTimeoutMs } = options;
    const request = create(LeaseRevokeRequestSchema, { ID: leaseIdFromHex(leaseId) });
    // Ending a lease twice is ending it once, so a lost answer is as good a reason to try again as any.
    const call = { kind: "read" as const, what: `revoke lease ${leaseId}`, timeoutMs, signal };
    try {
      await withRetry(environment, call, (attemptMs) =>
        connection.unary(LeaseService.method.leaseRevoke, request, { timeoutMs: attemptMs, signal }),
      );
    } catch (error) {
      if (!(error instanceof BlixardError) || error.code !== "LEASE_LOST") throw error;
    }
  }

  async function renewOnce(id: bigint, timeoutMs: number): Promise<LeaseKeepAliveResponse> {
    const stream = await connection.stream(LeaseService.method.leaseKeepAlive, { timeoutMs });
    try {
      stream.write(create(LeaseKeepAliveRequestSchema, { ID: id }));
      return await new Promise((resolve, reject) => {
        const timer = setTimeout(
          () => reject(new NotSentError(`no answer to a lease renewal within ${timeoutMs} ms`)),
          timeoutMs,
        );
        timer.unref();
        stream.once("data", (response: LeaseKeepAliveResponse) => {
          clearTimeout(timer);
          resolve(response);
        });
        stream.once("error", (error) => {
          clearTimeout(timer);
          reject(error);
        });
      });
    } finally {
      stream.cancel();
    }
  }

  async function keepAlive(leaseId: string): Promise<{ sentTimeMs: number; ttlMs: number }> {
    const call = { kind: "read" as const, what: `renew lease ${leaseId}`, timeoutMs: defaultTimeoutMs };
    return await withRetry(environment, call, async (attemptMs) => {
      const sentTimeMs = clock.now();
      const response = await renewOnce(leaseIdFromHex(leaseId), attemptMs);
      if (response.TTL <= 0n) throw new BlixardError("LEASE_LOST", `lease ${leaseId} has expired`);
      return { sentTimeMs, ttlMs: Number(response.TTL) * 1000 };
    });
  }

  return {
    async grant(ttlMs, options = {}) {
      const { signal, timeoutMs = defaultTimeoutMs } = options;
      const request = create(LeaseGrantRequestSchema, { TTL: BigInt(Math.max(1, Math.ceil(ttlMs / 1000))) });
      // Not a blind retry of a write: a lease whose grant got lost holds no key and ends by itself.
      const call = { kind: "read" as const, what: "grant a lease", timeoutMs, signal };
      const response = await withRetry(environment, call, (attemptMs) =>
        connection.unary(LeaseService.method.leaseGrant, request, { timeoutMs: attemptMs, signal }),
      );
      if (response.error !== "") throw new BlixardError("STORE_UNAVAILABLE", `no lease was granted: ${response.error}`);
      const id = leaseIdToHex(response.ID);
      return {
        id,
        ttlMs: Number(response.TTL) * 1000,
        keepAlive: () => keepAlive(id),
        revoke: () => revoke(id),
        [Symbol.asyncDispose]: () => revoke(id),
      };
    },
    revoke,
  };
}
