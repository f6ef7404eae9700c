import assert from "node:assert/strict";
import { describe, it, mock } from "node:test";
import { createFence, type Fence } from "./fence.ts";

describe("the fencing deadline", () => {
  interface Scene {
    readonly fence: Fence;
    readonly kills: number[];
    /** Lets the host's uptime and the timers go on by this much. */
    pass(seconds: number): void;
    /** Only the uptime goes on, as when the host sleeps. */
    sleep(seconds: number): void;
  }

  function createScene(test: { after(fn: () => void): void }): Scene {
    mock.timers.enable({ apis: ["setTimeout"] });
    test.after(() => mock.timers.reset());
    let uptime = 1000;
    const kills: number[] = [];
    const fence = createFence({ readUptimeSeconds: () => uptime, onDeadline: () => kills.push(uptime) });
    return {
      fence,
      kills,
      pass(seconds) {
        for (let step = 0; step < seconds * 10; step++) {
          uptime += 0.1;
          mock.timers.tick(100);
        }
      },
      sleep: (seconds) => void (uptime += seconds),
    };
  }

  it("kills once when it is reached, and not before", (test) => {
    const { fence, kills, pass } = createScene(test);
    fence.arm(1010);
    pass(9.5);
    assert.deepEqual(kills, []);
    assert.equal(fence.isPast, false);
    pass(20);
    assert.equal(kills.length, 1);
    assert.ok((kills[0] ?? 0) < 1010.4);
    assert.equal(fence.isPast, true);
  });

  it("moves on when it is extended, and counts anew after it was reached", (test) => {
    const { fence, kills, pass } = createScene(test);
    fence.arm(1005);
    pass(4);
    fence.arm(1015);
    pass(8);
    assert.deepEqual(kills, []);
    pass(10);
    assert.equal(kills.length, 1);
    fence.arm(1030);
    assert.equal(fence.isPast, false);
    pass(15);
    assert.equal(kills.length, 2);
  });

  it("does nothing when it is disarmed", (test) => {
    const { fence, kills, pass } = createScene(test);
    fence.arm(1005);
    fence.disarm();
    pass(60);
    assert.deepEqual(kills, []);
  });

  it("counts the time the host was asleep", (test) => {
    const { fence, kills, pass, sleep } = createScene(test);
    fence.arm(1600);
    pass(1);
    sleep(600);
    pass(0.3);
    assert.equal(kills.length, 1);
  });

  it("kills at once when it is armed too late", (test) => {
    const { fence, kills } = createScene(test);
    fence.arm(999);
    assert.equal(kills.length, 1);
  });
});
