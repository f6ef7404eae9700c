/** What is told of a supervised member's unexpected ends: an event with the reason, and a count of restarts. */
import { storeMemberExited } from "#gen/telemetry/events.ts";
import { storeMemberRestarts } from "#gen/telemetry/metrics.ts";
import type { Telemetry } from "#telemetry/port.ts";
import type { MemberExit } from "./supervisor.ts";

/** For the supervisor's `onExit`. */
export function createMemberExitReporter(telemetry: Telemetry, nodeId: string): (exit: MemberExit) => void {
  const restarts = telemetry.metrics.bind(storeMemberRestarts, {});
  return ({ pid, code, restarting }) => {
    if (restarting) restarts.add(1);
    telemetry.logger.event(storeMemberExited, "the consensus member ended", {
      "blixard.node.id": nodeId,
      "process.pid": pid,
      "process.exit.code": code,
    });
  };
}
