import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import type { GuestBoot } from "#runtime/runtime.ts";
import { planBootTimeline } from "./boot-spans.ts";

const boot = (overrides: Partial<GuestBoot>): GuestBoot => ({
  bootId: "b",
  uptimeSeconds: 1.5,
  marks: { init: 0.9, modules: 1, network: 1.2, agent: 1.3 },
  traceparent: undefined,
  hypervisorStartTimeMs: 10_000,
  receivedTimeMs: 11_700,
  ...overrides,
});

describe("the timeline of a guest's boot", () => {
  test("places the guest's marks on the host's clock", () => {
    const timeline = planBootTimeline(boot({}));
    assert.equal(timeline.clockOffsetSeconds, 0.2);
    assert.deepEqual(
      timeline.parts.map(({ part, startTimeMs, endTimeMs }) => [part, Math.round(startTimeMs), Math.round(endTimeMs)]),
      [
        ["kernel", 10_000, 11_100],
        ["init", 11_100, 11_500],
        ["ready", 11_500, 11_700],
      ],
    );
  });

  test("never lets a guest's clock reach before its own start", () => {
    const timeline = planBootTimeline(boot({ uptimeSeconds: 60 }));
    assert.equal(timeline.clockOffsetSeconds, 0);
    assert.ok(timeline.parts.every((part) => part.startTimeMs >= 10_000 && part.endTimeMs <= 11_700));
  });

  test("gives a missing mark no length", () => {
    const timeline = planBootTimeline(boot({ marks: {} }));
    assert.deepEqual(
      timeline.parts.map((part) => Math.round(part.endTimeMs - part.startTimeMs)),
      [200, 0, 1500],
    );
  });

  test("is whole and in order whatever a guest says", () => {
    const wild = fc.oneof(fc.double(), fc.constant(-1), fc.constant(Number.NaN));
    fc.assert(
      fc.property(
        wild,
        fc.dictionary(fc.constantFrom("init", "agent", "__proto__", "x"), wild),
        fc.integer(),
        (uptimeSeconds, marks, received) => {
          const timeline = planBootTimeline(boot({ uptimeSeconds, marks, receivedTimeMs: received }));
          let last = timeline.startTimeMs;
          for (const part of timeline.parts) {
            assert.ok(
              part.startTimeMs === last && part.endTimeMs >= part.startTimeMs && part.endTimeMs <= timeline.endTimeMs,
            );
            last = part.endTimeMs;
          }
          assert.equal(last, timeline.endTimeMs);
        },
      ),
    );
  });
});
