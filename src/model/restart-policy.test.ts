import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { defaultRestartLimits, planRestart, restartDelayMs } from "./restart-policy.ts";
import type { RestartPolicy, VmExit, VmExitCause } from "./vm.ts";

const NOW = 1_000_000;
const exit = (cause: VmExitCause): VmExit => ({
  cause,
  exitCode: undefined,
  signal: undefined,
  timeMs: NOW,
  detail: "",
});
const plan = (policy: RestartPolicy, cause: VmExitCause, consecutiveEnds = 0, readyTimeMs?: number) =>
  planRestart({ policy, exit: exit(cause), history: { consecutiveEnds, readyTimeMs }, nowMs: NOW });

describe("the restart policy", () => {
  it("leaves a guest down that powered itself off, unless it is always to run", () => {
    assert.equal(plan("never", "shutdown").kind, "stopped");
    assert.equal(plan("on-failure", "shutdown").kind, "stopped");
    assert.equal(plan("always", "shutdown").kind, "restart");
  });

  it("restarts after a failure, unless it must never", () => {
    for (const cause of ["panic", "crash", "killed", "boot_timeout", "start_failed"] as const) {
      assert.equal(plan("never", cause).kind, "failed", cause);
      assert.equal(plan("on-failure", cause).kind, "restart", cause);
      assert.equal(plan("always", cause).kind, "restart", cause);
    }
  });

  it("restarts at once what the host ended", () => {
    for (const cause of ["guardian_lost", "host_rebooted"] as const) {
      const decision = plan("on-failure", cause, 5);
      assert.ok(decision.kind === "restart" && decision.atTimeMs === NOW && decision.consecutiveEnds === 5);
    }
  });

  it("waits longer after every end in a row", () => {
    const delays = [1, 2, 3, 4].map((ends) => restartDelayMs(ends));
    assert.deepEqual(delays, [1000, 2000, 4000, 8000]);
  });

  it("starts anew after a healthy period", () => {
    const decision = plan("always", "panic", 7, NOW - defaultRestartLimits.healthyAfterMs);
    assert.ok(decision.kind === "restart" && decision.consecutiveEnds === 1 && decision.atTimeMs === NOW + 1000);
  });

  it("gives up on a guest that never starts", () => {
    const decision = plan("always", "start_failed", defaultRestartLimits.maximumFailedStarts - 1);
    assert.deepEqual(decision, { kind: "failed", reason: "too_many_failed_starts" });
  });

  it("never waits beyond the cap nor less than nothing", () => {
    fc.assert(
      fc.property(fc.integer({ min: -5, max: 10_000 }), (ends) => {
        const delay = restartDelayMs(ends);
        assert.ok(delay >= defaultRestartLimits.initialDelayMs && delay <= defaultRestartLimits.maximumDelayMs);
      }),
    );
  });
});
