/**
 * Which spans concern a VM whose traces are wanted. A span names its VM by id; the
 * span of a call names it as the caller did, by name or id, before it is looked up.
 */

export interface VmTraceRule {
  readonly vmId: string;
  /** Undefined: nothing but the id names the VM (any more). */
  readonly vmName: string | undefined;
  /** Unix time in ms. */
  readonly expireTimeMs: number;
}

export interface VmRules {
  set(rules: readonly VmTraceRule[]): void;
  /** Whether a rule in force is about the VM that these attributes of a span name. */
  matches(attributes: Readonly<Record<string, unknown>>): boolean;
}

/** @param now Unix time in ms */
export function createVmRules(now: () => number): VmRules {
  /** When the last rule about it ends, by id and by name: neither can be mistaken for the other. */
  const endsByReference = new Map<unknown, number>();
  return {
    set(rules) {
      endsByReference.clear();
      for (const { vmId, vmName, expireTimeMs } of rules) {
        for (const reference of vmName === undefined ? [vmId] : [vmId, vmName]) {
          endsByReference.set(reference, Math.max(expireTimeMs, endsByReference.get(reference) ?? 0));
        }
      }
    },
    matches(attributes) {
      if (endsByReference.size === 0) return false;
      const endMs = endsByReference.get(attributes["blixard.vm.id"] ?? attributes["blixard.vm.name"]);
      return endMs !== undefined && now() < endMs;
    },
  };
}
