import assert from "node:assert/strict";
import { once } from "node:events";
import { type Duplex, duplexPair } from "node:stream";
import { describe, it } from "node:test";
import fc from "fast-check";
import { waitFor } from "#test/support/wait-for.ts";
import { createGuestAgent, type GuestAgent, type GuestReady, parseGuestMessage } from "./guest-agent.ts";

const ready = {
  type: "ready",
  protocol: 1,
  bootId: "1d0c5c5e-6a0c-4f0e-9e39-6c8d1f2f9b1a",
  uptimeSeconds: 1.25,
  marks: { init: 0.8, agent: 1.2 },
  traceparent: "00-11111111111111111111111111111111-2222222222222222-01",
};

function createScene(): { agent: GuestAgent; ours: Duplex; guest: Duplex; seen: GuestReady[] } {
  const [ours, guest] = duplexPair();
  const seen: GuestReady[] = [];
  const agent = createGuestAgent({ stream: ours, session: "s", onReady: (message) => seen.push(message) });
  guest.on("error", () => {});
  return { agent, ours, guest, seen };
}

describe("the guest's agent", () => {
  it("says when it is ready", async () => {
    const { guest, seen } = createScene();
    guest.write(` ${JSON.stringify(ready)}\n`);
    const message = await waitFor("ready", () => seen[0]);
    assert.deepEqual(message, {
      bootId: ready.bootId,
      uptimeSeconds: 1.25,
      marks: ready.marks,
      traceparent: ready.traceparent,
    });
  });

  it("answers the one who asked", async () => {
    const { agent, guest } = createScene();
    const asked = agent.stats(30_000);
    const [line] = (await once(guest, "data")) as [Buffer];
    const { id, type } = JSON.parse(line.toString()) as { id: string; type: string };
    assert.equal(type, "stats");
    guest.write('{"type":"stats","id":"old","memoryTotalBytes":1,"memoryAvailableBytes":1}\n');
    guest.write(`{"type":"stats","id":"${id}","memoryTotalBytes":1000,"memoryAvailableBytes":2000}\n`);
    assert.deepEqual(await asked, { totalBytes: 1000, availableBytes: 1000 });
  });

  it("is not waited for when it is silent, refuses, or is gone", async () => {
    const silent = createScene();
    await assert.rejects(silent.agent.powerOff(50), { code: "GUEST_CHANNEL_UNAVAILABLE" });
    const refusing = createScene();
    refusing.guest.once("data", (line: Buffer) => {
      const { id } = JSON.parse(line.toString()) as { id: string };
      refusing.guest.write(`{"type":"error","id":"${id}","message":"unknown request"}\n`);
    });
    await assert.rejects(refusing.agent.powerOff(30_000), { message: /unknown request/ });
    const gone = createScene();
    const asked = assert.rejects(gone.agent.powerOff(30_000), { code: "GUEST_CHANNEL_UNAVAILABLE" });
    gone.agent.close();
    await asked;
  });

  it("costs nothing when it is hostile, and is heard again afterwards", async () => {
    const { guest, seen } = createScene();
    guest.write(`${"x".repeat(100_000)}\n[]\nnull\n{"type":"ready"}\n{"type":"pong","id":7}\n\0\xff\n`);
    guest.write(`${JSON.stringify({ ...ready, marks: { "../../etc": 1 } })}\n`);
    guest.write(`${JSON.stringify(ready)}\n`);
    await waitFor("ready", () => seen[0]);
    assert.equal(seen.length, 1);
  });

  it("waits itself when it never stops talking", async () => {
    const { agent, ours, guest, seen } = createScene();
    for (let index = 0; index < 100; index++) guest.write("{\n".repeat(100));
    guest.write(`${JSON.stringify(ready)}\n`);
    await waitFor("a pause in reading", () => ours.isPaused());
    assert.equal(seen.length, 0);
    agent.close();
  });
});

describe("parseGuestMessage", () => {
  it("takes nothing that it does not know, and never throws", () => {
    const line = fc.oneof(
      fc.string(),
      fc.json(),
      fc
        .record({
          type: fc.constantFrom("ready", "stats", "pong", "bye", "error"),
          protocol: fc.constantFrom(1, 2),
          id: fc.anything(),
          bootId: fc.anything(),
          uptimeSeconds: fc.anything(),
          marks: fc.dictionary(fc.string(), fc.anything()),
          memoryTotalBytes: fc.double(),
          memoryAvailableBytes: fc.anything(),
        })
        .map((value) => JSON.stringify(value)),
    );
    fc.assert(
      fc.property(line, (text) => {
        const message = parseGuestMessage(text);
        if (message?.type === "ready") {
          assert.ok(Number.isFinite(message.ready.uptimeSeconds));
          for (const seconds of Object.values(message.ready.marks)) assert.ok(seconds >= 0);
        }
        if (message?.type === "stats") assert.ok(message.memory.availableBytes <= message.memory.totalBytes);
      }),
    );
  });

  it("takes no trace context that is malformed", () => {
    const message = parseGuestMessage(JSON.stringify({ ...ready, traceparent: "00-zz" }));
    assert.ok(message?.type === "ready" && message.ready.traceparent === undefined);
  });
});
