/** Says once of each pair of metrics that they cannot both be on the page as they are. */
import type { Logger } from "../port.ts";
import type { FamilyConflict } from "./page-family.ts";

const MAXIMUM_TOLD = 1_000;

export function createConflictWarning(logger: Pick<Logger, "warn">): (conflict: FamilyConflict) => void {
  const told = new Set<string>();
  return ({ kind, prometheusName, kept, other }) => {
    const key = JSON.stringify([kind, prometheusName, kept, other]);
    if (told.has(key) || told.size >= MAXIMUM_TOLD) return;
    told.add(key);
    const lost = kind === "type" || kind === "name" ? other : `the ${kind} of ${other}`;
    logger.warn(`${kept} and ${other} are both ${prometheusName} in Prometheus: ${lost} is not on the page`, {
      "blixard.telemetry.metric": other,
    });
  };
}
