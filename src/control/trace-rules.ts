/**
 * Rules that have one VM's traces exported: checked and stored here, carried out by
 * every node's recorder as it sees them in the watch cache.
 */
import type { Clock } from "#model/clock.ts";
import { BlixardError } from "#model/errors.ts";
import { parseVmReference } from "#model/names.ts";
import { checkTraceRuleDuration, parseTraceRuleId, type TraceRule } from "#model/trace-rule.ts";
import type { TraceRuleRepository } from "#store/trace-rule-repository.ts";
import type { WatchCache } from "#store/watch-cache.ts";
import type { Tracing } from "#telemetry/port.ts";

export interface TraceRules {
  /** @throws BlixardError INVALID_ARGUMENT, VM_NOT_FOUND, TOO_MANY_REQUESTS, STORE_* */
  create(input: { readonly vm: string; readonly durationMs: number }, signal?: AbortSignal): Promise<TraceRule>;
  /** Those in force, the one that ends next first. */
  list(): readonly TraceRule[];
  /** @throws BlixardError INVALID_ARGUMENT, TRACE_RULE_NOT_FOUND, STORE_* */
  delete(ruleId: string, signal?: AbortSignal): Promise<void>;
}

export interface TraceRulesOptions {
  readonly repository: TraceRuleRepository;
  readonly cache: Pick<WatchCache, "snapshot" | "waitForRevision">;
  readonly clock: Clock;
  readonly newRuleId: () => string;
  readonly tracing: Pick<Tracing, "active">;
}

/** How long an answer waits for this node's cache to show the write. */
const READ_BACK_TIMEOUT_MS = 1_000;

export function createTraceRules({ repository, cache, clock, newRuleId, tracing }: TraceRulesOptions): TraceRules {
  async function readBack(revision: bigint): Promise<void> {
    const done = new AbortController();
    const late = clock.delay(READ_BACK_TIMEOUT_MS, done.signal);
    await Promise.race([cache.waitForRevision(revision, done.signal), late]).catch(() => undefined);
    done.abort();
    late.catch(() => undefined);
  }

  return {
    async create({ vm: reference, durationMs }, signal) {
      const vm = cache.snapshot().findVm(parseVmReference(reference));
      if (vm === undefined) {
        throw new BlixardError("VM_NOT_FOUND", `there is no VM ${reference}`, {
          field: "vm",
          hint: "See `blixard vm list`.",
        });
      }
      const createTimeMs = clock.now();
      const rule: TraceRule = {
        id: newRuleId(),
        vmId: vm.intent.id,
        vmName: vm.intent.name,
        createTimeMs,
        expireTimeMs: createTimeMs + checkTraceRuleDuration(durationMs),
        traceId: tracing.active()?.traceId,
      };
      await readBack(await repository.create(rule, signal === undefined ? {} : { signal }));
      return rule;
    },
    list() {
      const nowMs = clock.now();
      return [...cache.snapshot().traceRules.values()]
        .filter((rule) => rule.expireTimeMs > nowMs)
        .toSorted((left, right) => left.expireTimeMs - right.expireTimeMs);
    },
    async delete(ruleId, signal) {
      const id = parseTraceRuleId(ruleId);
      const revision = await repository.delete(id, signal === undefined ? {} : { signal });
      if (revision !== undefined) return readBack(revision);
      throw new BlixardError("TRACE_RULE_NOT_FOUND", `there is no rule ${id}`, {
        field: "ruleId",
        hint: "It may have ended: see `blixard telemetry trace --list`.",
      });
    },
  };
}
