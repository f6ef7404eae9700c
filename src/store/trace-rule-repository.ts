/**
 * Rules that have one VM's traces exported, each under a lease of its own, so that
 * the store forgets it when it ends. A rule says when it ends as well: a store that
 * changes its leader grants every lease its whole time anew.
 */
import { tooManyTraceRules, traceRuleLimits, type TraceRule } from "#model/trace-rule.ts";
import { settle } from "./compare-and-swap.ts";
import { kindPrefix, traceRuleKey } from "./keys.ts";
import type { CallOptions, KeyValueStore } from "./key-value-store.ts";
import { traceRuleCodec } from "./records/trace-rule-codec.ts";

export interface TraceRuleRepository {
  /** The revision of the write. @throws BlixardError TOO_MANY_REQUESTS, STORE_* */
  create(rule: TraceRule, options?: CallOptions): Promise<bigint>;
  /** Undefined: there is no such rule. */
  delete(ruleId: string, options?: CallOptions): Promise<bigint | undefined>;
}

export function createTraceRuleRepository(store: KeyValueStore): TraceRuleRepository {
  return {
    async create(rule, options) {
      // Two at once may exceed the limit by one: it bounds the work of the nodes, it is no quota.
      const { entries } = await store.range(kindPrefix("trace-rules"), { ...options, limit: traceRuleLimits.rules });
      if (entries.length >= traceRuleLimits.rules) throw tooManyTraceRules();
      const lease = await store.grantLease(rule.expireTimeMs - rule.createTimeMs, options);
      const key = traceRuleKey(rule.id);
      const value = traceRuleCodec.encode(rule);
      try {
        return await settle(`create trace rule ${rule.id}`, async () => {
          const result = await store.transact(
            {
              compare: [{ kind: "modRevision", key, equals: 0n }],
              success: [{ kind: "put", key, value, leaseId: lease.id }],
              failure: [{ kind: "get", key }],
            },
            options,
          );
          // Ids are fresh: what is there is this call's own earlier attempt.
          return { value: result.succeeded ? result.revision : (result.gets[0]?.modRevision ?? result.revision) };
        });
      } catch (error) {
        await lease.revoke().catch(() => undefined);
        throw error;
      }
    },
    delete: (ruleId, options) =>
      settle(`delete trace rule ${ruleId}`, async ({ afterUnknownOutcome }) => {
        const key = traceRuleKey(ruleId);
        const entry = await store.get(key, options);
        if (entry === undefined && !afterUnknownOutcome) return { value: undefined };
        const result = await store.transact({ compare: [], success: [{ kind: "delete", key }] }, options);
        // Without its key the lease holds nothing; should this fail, it ends by itself.
        if (entry?.leaseId !== undefined) await store.revokeLease(entry.leaseId, options).catch(() => undefined);
        return { value: result.revision };
      }),
  };
}
