import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { GuestExit } from "#guardian/protocol.ts";
import type { VmExitCause } from "#model/vm.ts";
import { planVmExit } from "./exit-cause.ts";

function exitWith(more: Partial<GuestExit>): GuestExit {
  return { code: 0, signal: undefined, timeMs: 1, reason: "", stderrTail: "", channelTails: {}, ...more };
}

function saidQmp(...events: readonly unknown[]): Partial<GuestExit> {
  const lines = events.map((event) => `${JSON.stringify(event)}\n`).join("");
  return { channelTails: { qmp: `cut off line"}\n${lines}` } };
}

const shutdown = (reason: string): Partial<GuestExit> => saidQmp({ event: "SHUTDOWN", data: { guest: true, reason } });

describe("the cause of a guest's end", () => {
  const cases: readonly [string, Partial<GuestExit>, VmExitCause][] = [
    ["powered off", shutdown("guest-shutdown"), "shutdown"],
    ["panicked", saidQmp({ event: "GUEST_PANICKED" }, { event: "SHUTDOWN", data: { reason: "guest-panic" } }), "panic"],
    ["restarted itself", shutdown("guest-reset"), "crash"],
    ["was ended by a signal that QEMU obeyed", shutdown("host-signal"), "killed"],
    ["was killed from outside", { code: undefined, signal: "SIGKILL" }, "killed"],
    ["lost a crashing hypervisor", { code: undefined, signal: "SIGSEGV" }, "crash"],
    ["lost a hypervisor that gave up", { code: 1 }, "crash"],
    ["ended without a word", {}, "shutdown"],
    ["was not ready in time", { reason: "boot_timeout", code: undefined, signal: "SIGKILL" }, "boot_timeout"],
    ["was ended by force, politely", { reason: "forced", ...shutdown("host-signal") }, "killed"],
    ["was fenced", { reason: "fenced", code: undefined, signal: "SIGKILL" }, "killed"],
    ["lost its guardian", { reason: "guardian_lost" }, "guardian_lost"],
    ["lost its host", { reason: "host_rebooted" }, "host_rebooted"],
  ];
  for (const [name, exit, cause] of cases) {
    it(`is ${cause} when it ${name}`, () => {
      assert.equal(planVmExit(exitWith(exit)).cause, cause);
    });
  }

  it("brings QEMU's last words, at most 4 KiB of them", () => {
    const exit = planVmExit(exitWith({ code: 1, stderrTail: `${"x".repeat(5000)}the reason\n` }));
    assert.equal(exit.detail.length, 4096);
    assert.match(exit.detail, /the reason$/);
  });

  it("is not confused by what a guest may have made QEMU say", () => {
    const tail = `null\n[]\n{"event":7}\n{"event":"SHUTDOWN","data":null}\n${"{".repeat(3000)}`;
    assert.equal(planVmExit(exitWith({ channelTails: { qmp: tail } })).cause, "shutdown");
  });
});
