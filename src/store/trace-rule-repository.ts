/**
 * Rules that have one VM's traces exported, each under a lease of its own, so that
 * the store forgets it when it ends. A rule says when it ends as well: a store that
 * changes its leader grants every lease its whole time anew.
 */
import { tooManyTraceRules, traceRuleLimits, type TraceRule } from "#model/trace-rule.ts";
import { settle } from "./compare-and-swap.ts";
import { kindPrefix, traceRuleGuardKey, traceRuleKey } from "./keys.ts";
import type { CallOptions, KeyValueStore, Lease } from "./key-value-store.ts";
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
      const key = traceRuleKey(rule.id);
      let lease: Lease | undefined;
      try {
        return await settle(`create trace rule ${rule.id}`, async () => {
          const guard = await store.get(traceRuleGuardKey, options);
          const { entries } = await store.range(kindPrefix("trace-rules"), {
            ...options,
            limit: traceRuleLimits.rules,
          });
          // Ids are fresh: what is there is this call's own earlier attempt.
          const own = entries.find((entry) => entry.key === key);
          if (own !== undefined) return { value: own.modRevision };
          if (entries.length >= traceRuleLimits.rules) throw tooManyTraceRules();
          lease ??= await store.grantLease(rule.expireTimeMs - rule.createTimeMs, options);
          const result = await store.transact(
            {
              compare: [{ kind: "modRevision", key: traceRuleGuardKey, equals: guard?.modRevision ?? 0n }],
              success: [
                { kind: "put", key, value: traceRuleCodec.encode(rule), leaseId: lease.id },
                { kind: "put", key: traceRuleGuardKey, value: new TextEncoder().encode(rule.id) },
              ],
            },
            options,
          );
          return result.succeeded ? { value: result.revision } : undefined;
        });
      } catch (error) {
        await lease?.revoke().catch(() => undefined);
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
